//! Tests of the system as its users use it: real programs, real tools, real registries.

mod grpc_web;
mod instance;
mod late;
mod stack;

mod bad_input;
mod consul;
mod databases;
mod foreign;
mod local;
mod openapi;
mod readme;
mod rolling;
mod services;
mod walk;

mod contract;
