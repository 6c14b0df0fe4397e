//! JSON, path and query to message bytes, and message bytes to JSON.

mod request;
mod response;
mod status;

mod raw;
mod resume;

mod depth;
mod mask;
mod message;
mod query;
mod value;

pub(crate) use self::{
    raw::{Raw, gives as gives_raw, put as put_raw, take as take_raw, takes as takes_raw},
    request::{Parts, request},
    response::{frame, read, write},
    resume::{resume, token},
    status::{http_status, status_json, typed_status_json},
    value::resolve,
};
