//! Messages to domain, domain to messages.

use selvedge_kit::time;
use selvedge_proto::{
    catalog::v1::{
        CreateProductRequest, GetProductRequest, ListProductsRequest, ListProductsResponse, Product as Message,
        catalog_service_server::CatalogService,
    },
    google::r#type::Money,
};
use tonic::{Request, Response, Status};

use crate::{
    domain::Catalog,
    owners::Owners,
    product::{Draft, Price, Product},
};

/// `CatalogService` over the domain.
#[derive(Clone, Debug)]
pub struct Rpc<O> {
    catalog: Catalog<O>,
}

impl<O: Owners> Rpc<O> {
    /// Opens the domain to calls.
    #[must_use]
    pub fn new(catalog: Catalog<O>) -> Self {
        Self { catalog }
    }
}

#[tonic::async_trait]
impl<O: Owners> CatalogService for Rpc<O> {
    async fn create_product(&self, request: Request<CreateProductRequest>) -> Result<Response<Message>, Status> {
        let CreateProductRequest { product, product_id } = request.into_inner();
        let product = self.catalog.create(product.map(draft), &product_id).await?;
        Ok(Response::new(message(product)))
    }

    async fn get_product(&self, request: Request<GetProductRequest>) -> Result<Response<Message>, Status> {
        let product = self.catalog.get(&request.into_inner().name).await?;
        Ok(Response::new(message(product)))
    }

    async fn list_products(
        &self,
        request: Request<ListProductsRequest>,
    ) -> Result<Response<ListProductsResponse>, Status> {
        let ListProductsRequest { page_size, page_token } = request.into_inner();
        let page = self.catalog.list(page_size, &page_token).await?;
        let next_page_token = page.next_token();
        let products = page.rows.into_iter().map(message).collect();
        Ok(Response::new(ListProductsResponse { products, next_page_token }))
    }
}

/// Takes what a caller may say of a product; name, times and etag are the service's own.
fn draft(message: Message) -> Draft {
    let Message { display_name, description, price, owner, tags, available_quantity, .. } = message;
    let price = price.map(|Money { currency_code, units, nanos }| Price { currency: currency_code, units, nanos });
    Draft { display_name, description, price, owner, tags, available_quantity }
}

fn message(product: Product) -> Message {
    let (name, owner, etag) = (product.name(), product.owner(), product.etag());
    let Price { currency, units, nanos } = product.price;
    Message {
        name,
        display_name: product.display_name,
        description: product.description,
        price: Some(Money { currency_code: currency, units, nanos }),
        owner,
        tags: product.tags,
        available_quantity: product.available_quantity,
        create_time: Some(time::timestamp(product.create_time)),
        update_time: Some(time::timestamp(product.update_time)),
        etag,
    }
}
