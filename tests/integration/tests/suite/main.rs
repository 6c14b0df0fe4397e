//! Tests of the system as its users use it: real programs, real tools, real registries.

mod gateway;
mod greeter;
mod grpc_web;
mod instance;
mod late;
mod stack;

mod bad_input;
mod clients;
mod consul;
mod databases;
mod foreign;
mod hostile;
mod json;
mod local;
mod openapi;
mod otlp;
mod pages;
mod plans;
mod readme;
mod rolling;
mod schemas;
mod services;
mod streams;
mod walk;

mod contract;
