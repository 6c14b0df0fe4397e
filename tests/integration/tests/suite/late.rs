//! A creation that lasts as long as one likes: its request message comes late.

use std::{convert::Infallible, future::Future};

use anyhow::Context as _;
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use prost::Message as _;
use selvedge_proto::users::v1::{CreateUserRequest, User};
use tonic::body::Body;
use tower::{Service, ServiceExt as _};

/// What creates a user of that id.
pub(crate) fn creation(id: &str) -> CreateUserRequest {
    let user = User { display_name: "Ada".into(), email: format!("{id}@example.com"), ..User::default() };
    CreateUserRequest { user_id: id.into(), user: Some(user), ..Default::default() }
}

/// Begins to create a user of that id, and sends the message when `sent` ends. Any channel will do.
pub(crate) async fn create<C>(channel: C, id: &str, sent: impl Future + Send + 'static) -> anyhow::Result<()>
where
    C: Service<Request<Body>, Response = Response<Body>>,
    C::Error: std::error::Error + Send + Sync + 'static,
{
    let message = creation(id);
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len())?);
    message.encode(&mut frame)?;
    let late = futures::stream::once(async move {
        sent.await;
        Ok::<_, Infallible>(http_body::Frame::data(frame.freeze()))
    });
    let request = Request::post("/selvedge.users.v1.UserService/CreateUser")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(StreamBody::new(late)))?;
    status_of(channel.oneshot(request).await?).await
}

/// The status of a gRPC response, from its headers or trailers.
async fn status_of(response: Response<Body>) -> anyhow::Result<()> {
    let (head, body) = response.into_parts();
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let _message: Bytes = collected.to_bytes();
    let status = tonic::Status::from_header_map(&trailers).or_else(|| tonic::Status::from_header_map(&head.headers));
    let status = status.context("no grpc-status")?;
    anyhow::ensure!(status.code() == tonic::Code::Ok, "{status}");
    Ok(())
}
