//! JSON, path and query to message bytes, and message bytes to JSON.

mod request;
mod response;
mod status;

mod mask;
mod message;
mod query;
mod value;

pub(crate) use self::{
    request::{Parts, request},
    response::{frame, response},
    status::{http_status, status_json},
};
