//! Compiles the protos with protox (no protoc): one module tree of code, and one descriptor set per domain.

use std::{env, error::Error, fs, path::PathBuf};

/// Details of errors, which no file of ours imports: with them clients can read the errors that services answer.
const ERRORS: &str = "google/rpc/error_details.proto";

/// Each domain serves its own descriptor set.
const DOMAINS: [(&str, &[&str]); 2] =
    [("users", &["selvedge/users/v1/users.proto"]), ("catalog", &["selvedge/catalog/v1/catalog.proto"])];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=google");
    println!("cargo::rerun-if-changed=selvedge");
    println!("cargo::rerun-if-changed=../mesh/proto");
    for (domain, files) in DOMAINS {
        // Only this method keeps the options: a set of `prost_types` has dropped `google.api.http`.
        let set = compile(&[files, &[ERRORS]].concat())?.encode_file_descriptor_set();
        fs::write(out.join(format!("{domain}.v1.bin")), set)?;
    }
    let all: Vec<&str> = DOMAINS.iter().flat_map(|(_, files)| *files).copied().collect();
    let mut set = compile(&all)?.file_descriptor_set();
    // Options are not called from Rust, and their comments hold text that rustdoc takes for tests.
    set.file.retain(|file| !["google.api", "selvedge.mesh.v1"].contains(&file.package()));
    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    config.type_name_domain(["."], "type.googleapis.com");
    // Clients take any channel; `connect` of `tonic::transport` is not wanted.
    let builder = tonic_prost_build::configure().build_transport(false).include_file("protos.rs");
    // A request that cannot be read is the mistake of its caller.
    let builder = builder.codec_path("crate::codec::Codec");
    builder.compile_fds_with_config(set, config)?;
    Ok(())
}

fn compile(files: &[&str]) -> Result<protox::Compiler, protox::Error> {
    // The mesh's own options stand beside the mesh: a method says there how it is called.
    let mut compiler = protox::Compiler::new([".", "../mesh/proto"])?;
    // Comments become Rust documentation and the text of OpenAPI.
    compiler.include_imports(true).include_source_info(true).open_files(files)?;
    Ok(compiler)
}
