//! Messages to domain, domain to messages.

use std::mem;

use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use selvedge_kit::{change_log, list::Asked, once::RequestId, time};
use selvedge_proto::{
    catalog::v1::watch_products_response::Kind,
    catalog::v1::{
        BatchGetProductsRequest, BatchGetProductsResponse, CreateProductRequest, DeleteProductRequest,
        GetProductRequest, ListProductsRequest, ListProductsResponse, Product as Message, ReleaseStockRequest,
        ReserveStockRequest, UpdateProductRequest, WatchProductsRequest, WatchProductsResponse,
        catalog_service_server::CatalogService,
    },
    google::r#type::Money,
};
use tonic::{Request, Response, Status};

use crate::{
    domain::Catalog,
    owners::Owners,
    product::{Draft, Price, Product},
    watch::{Event, Told},
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
        let mut request = request.into_inner();
        let request_id = RequestId::new(mem::take(&mut request.request_id), &request);
        let CreateProductRequest { product, product_id, request_id: _ } = request;
        let product = self.catalog.create(product.map(draft), &product_id, request_id).await?;
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
        let ListProductsRequest { page_size, page_token, filter, order_by } = request.into_inner();
        let asked = Asked { page_size, page_token: &page_token, filter: &filter, order_by: &order_by };
        let page = self.catalog.list(asked).await?;
        let products = page.rows.into_iter().map(message).collect();
        Ok(Response::new(ListProductsResponse { products, next_page_token: page.next_token }))
    }

    async fn batch_get_products(
        &self,
        request: Request<BatchGetProductsRequest>,
    ) -> Result<Response<BatchGetProductsResponse>, Status> {
        let products = self.catalog.batch_get(&request.into_inner().names).await?;
        Ok(Response::new(BatchGetProductsResponse { products: products.into_iter().map(message).collect() }))
    }

    async fn update_product(&self, request: Request<UpdateProductRequest>) -> Result<Response<Message>, Status> {
        let UpdateProductRequest { product, update_mask } = request.into_inner();
        let product = self.catalog.update(product.map(draft), update_mask.as_ref()).await?;
        Ok(Response::new(message(product)))
    }

    async fn delete_product(&self, request: Request<DeleteProductRequest>) -> Result<Response<()>, Status> {
        let DeleteProductRequest { name, etag } = request.into_inner();
        self.catalog.delete(&name, &etag).await?;
        Ok(Response::new(()))
    }

    type WatchProductsStream = BoxStream<'static, Result<WatchProductsResponse, Status>>;

    async fn watch_products(
        &self,
        request: Request<WatchProductsRequest>,
    ) -> Result<Response<Self::WatchProductsStream>, Status> {
        let WatchProductsRequest { resume_token, include_present } = request.into_inner();
        let events = self.catalog.watch(&resume_token, include_present).await?;
        Ok(Response::new(events.map_ok(event).map_err(Status::from).boxed()))
    }

    async fn reserve_stock(&self, request: Request<ReserveStockRequest>) -> Result<Response<Message>, Status> {
        let mut request = request.into_inner();
        let request_id = RequestId::new(mem::take(&mut request.request_id), &request);
        let product = self.catalog.reserve(&request.name, request.quantity, request_id).await?;
        Ok(Response::new(message(product)))
    }

    async fn release_stock(&self, request: Request<ReleaseStockRequest>) -> Result<Response<Message>, Status> {
        let mut request = request.into_inner();
        let request_id = RequestId::new(mem::take(&mut request.request_id), &request);
        let product = self.catalog.release(&request.name, request.quantity, request_id).await?;
        Ok(Response::new(message(product)))
    }
}

/// Takes what a caller may say of a product; the times and what is reserved are the service's own.
fn draft(message: Message) -> Draft {
    let Message { name, display_name, description, price, owner, tags, available_quantity, etag, .. } = message;
    let price = price.map(|Money { currency_code, units, nanos }| Price { currency: currency_code, units, nanos });
    Draft { name, display_name, description, price, owner, tags, available_quantity, etag }
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
        reserved_quantity: product.reserved_quantity,
        create_time: Some(time::timestamp(product.create_time)),
        update_time: Some(time::timestamp(product.update_time)),
        etag,
    }
}

fn event(event: Event) -> WatchProductsResponse {
    let (kind, product) = match event.told {
        Told::Present(product) => (Kind::Present, Some(product)),
        Told::Bookmark => (Kind::Bookmark, None),
        Told::Changed(change_log::Kind::Created, product) => (Kind::Created, Some(product)),
        Told::Changed(change_log::Kind::Updated, product) => (Kind::Updated, Some(product)),
        Told::Changed(change_log::Kind::Deleted, product) => (Kind::Deleted, Some(product)),
    };
    WatchProductsResponse { kind: kind.into(), product: product.map(message), resume_token: event.resume_token }
}
