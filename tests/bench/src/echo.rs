//! The service that every arm calls.

use std::pin::Pin;

use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use self::pb::{
    EchoManyRequest, EchoRequest, EchoResponse,
    echo_service_server::{EchoService, EchoServiceServer},
};

/// Generated code.
pub(crate) mod pb {
    #![allow(clippy::all, clippy::pedantic, unreachable_pub, missing_debug_implementations, reason = "generated")]
    tonic::include_proto!("selvedge.bench.v1");
}

/// What the mesh learns of it.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/echo.bin"));

/// Answers with what it was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Echo;

/// Returns the service for a server of either make.
pub(crate) fn service() -> EchoServiceServer<Echo> {
    EchoServiceServer::new(Echo)
}

#[tonic::async_trait]
impl EchoService for Echo {
    type EchoManyStream = Pin<Box<dyn Stream<Item = Result<EchoResponse, Status>> + Send>>;

    async fn echo(&self, request: Request<EchoRequest>) -> Result<Response<EchoResponse>, Status> {
        Ok(Response::new(EchoResponse { payload: request.into_inner().payload }))
    }

    async fn echo_many(&self, request: Request<EchoManyRequest>) -> Result<Response<Self::EchoManyStream>, Status> {
        let EchoManyRequest { payload, times } = request.into_inner();
        let answers = (0..times).map(move |_| Ok(EchoResponse { payload: payload.clone() }));
        Ok(Response::new(Box::pin(tokio_stream::iter(answers))))
    }
}
