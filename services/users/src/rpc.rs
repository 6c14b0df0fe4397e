//! Messages to domain, domain to messages.

use std::mem;

use selvedge_kit::{list::Asked, once::RequestId, time};
use selvedge_proto::users::v1::{
    CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest, ListUsersResponse, UpdateUserRequest,
    User as Message, user_service_server::UserService,
};
use tonic::{Request, Response, Status};

use crate::{
    domain::Users,
    user::{Draft, User},
};

/// `UserService` over the domain.
#[derive(Clone, Debug)]
pub struct Rpc {
    users: Users,
}

impl Rpc {
    /// Opens the domain to calls.
    #[must_use]
    pub fn new(users: Users) -> Self {
        Self { users }
    }
}

#[tonic::async_trait]
impl UserService for Rpc {
    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<Message>, Status> {
        let mut request = request.into_inner();
        let request_id = RequestId::new(mem::take(&mut request.request_id), &request);
        let CreateUserRequest { user, user_id, request_id: _ } = request;
        let user = self.users.create(user.map(draft), &user_id, request_id).await?;
        Ok(Response::new(message(user)))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<Message>, Status> {
        let user = self.users.get(&request.into_inner().name).await?;
        Ok(Response::new(message(user)))
    }

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        let ListUsersRequest { page_size, page_token, filter, order_by } = request.into_inner();
        let asked = Asked { page_size, page_token: &page_token, filter: &filter, order_by: &order_by };
        let page = self.users.list(asked).await?;
        let users = page.rows.into_iter().map(message).collect();
        Ok(Response::new(ListUsersResponse { users, next_page_token: page.next_token }))
    }

    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Result<Response<Message>, Status> {
        let UpdateUserRequest { user, update_mask } = request.into_inner();
        let user = self.users.update(user.map(draft), update_mask.as_ref()).await?;
        Ok(Response::new(message(user)))
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<()>, Status> {
        let DeleteUserRequest { name, etag } = request.into_inner();
        self.users.delete(&name, &etag).await?;
        Ok(Response::new(()))
    }
}

/// Takes what a caller may say of a user; the times are the service's own.
fn draft(message: Message) -> Draft {
    let Message { name, display_name, email, create_time: _, update_time: _, etag } = message;
    Draft { name, display_name, email, etag }
}

fn message(user: User) -> Message {
    Message {
        name: user.name(),
        create_time: Some(time::timestamp(user.create_time)),
        update_time: Some(time::timestamp(user.update_time)),
        etag: user.etag(),
        display_name: user.display_name,
        email: user.email,
    }
}
