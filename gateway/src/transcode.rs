//! A REST request to the bytes of a message, and the bytes of a service's message to what a REST client reads.

mod request;
mod response;
mod status;

mod raw;
mod resume;

mod body;
mod mask;
mod path;
mod query;

pub(crate) use self::{
    path::resolve,
    raw::{Raw, gives as gives_raw, put as put_raw, take as take_raw, takes as takes_raw},
    request::{Parts, request},
    response::{frame, write},
    resume::{resume, token},
    status::{http_status, status_json, typed_status_json},
};
