//! Compiles the benchmarks' own protos; no protoc is needed.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=../../proto/google/api");
    let mut config = tonic_prost_build::Config::new();
    config.bytes(["."]);
    tonic_prost_build::configure().compile_fds_with_config(compile("echo")?.file_descriptor_set(), config)?;
    let mut orders = compile("orders")?.file_descriptor_set();
    // Options are not called from Rust.
    orders.file.retain(|file| file.package() != "google.api");
    let servers = tonic_prost_build::configure().build_client(false);
    Ok(servers.compile_fds_with_config(orders, tonic_prost_build::Config::new())?)
}

/// Compiles one file, and keeps what it says of itself as it was said.
fn compile(name: &str) -> Result<protox::Compiler, Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new(["proto", "../../proto"])?;
    compiler.include_imports(true).open_files([format!("{name}.proto")])?;
    fs::write(out.join(format!("{name}.bin")), compiler.encode_file_descriptor_set())?;
    Ok(compiler)
}
