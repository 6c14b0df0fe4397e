use std::{fs, path::Path};

use super::*;
use crate::policy::codes::Codes;

/// Compiles a service `test.v1.Echo` with these methods, as the owner of a service would.
fn compile(methods: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let source = format!(
        "syntax = \"proto3\";\npackage test.v1;\nimport \"selvedge/mesh/v1/options.proto\";\n\
         message Text {{ string text = 1; Inner inner = 2; message Inner {{ string text = 7; }} }}\nservice Echo {{\n{methods}\n}}\n"
    );
    fs::write(folder.path().join("echo.proto"), source).unwrap();
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let mut compiler = protox::Compiler::new([folder.path(), &protos]).unwrap();
    compiler.include_imports(true).open_files([folder.path().join("echo.proto")]).unwrap();
    compiler.encode_file_descriptor_set()
}

fn policy_of(options: &str) -> Result<MethodPolicy, Error> {
    let set = compile(&format!("rpc Run(Text) returns (Text) {{ {options} }}"));
    methods(&[&set]).map(|methods| methods["/test.v1.Echo/Run"].policy)
}

#[test]
fn what_is_unary_and_what_may_be_repeated_is_known_of_every_method() {
    let set = compile(
        "rpc Get(Text) returns (Text) { option idempotency_level = NO_SIDE_EFFECTS; }
         rpc Put(Text) returns (Text) { option idempotency_level = IDEMPOTENT; }
         rpc Add(Text) returns (Text);
         rpc Watch(Text) returns (stream Text);
         rpc Load(stream Text) returns (Text);",
    );
    let methods = methods(&[&set]).unwrap();
    let expected = [
        ("Get", Some(Idempotency::NoSideEffects), true),
        ("Put", Some(Idempotency::Idempotent), true),
        ("Add", None, true),
        ("Watch", None, false),
        ("Load", None, false),
    ];
    assert_eq!(methods.len(), expected.len());
    for (name, idempotency, unary) in expected {
        let method = methods[&format!("/test.v1.Echo/{name}")];
        assert_eq!((method.policy.idempotency, method.unary), (idempotency, unary), "{name}");
    }
}

#[test]
fn options_of_a_method_say_its_policy() {
    let policy = policy_of(
        "option idempotency_level = IDEMPOTENT;
         option (selvedge.mesh.v1.method) = {
           deadline: {seconds: 2, nanos: 500000000}
           retry: {
             max_attempts: 4
             codes: [CODE_UNAVAILABLE, CODE_ABORTED]
             initial_backoff: {nanos: 10000000}
             max_backoff: {seconds: 1}
             backoff_multiplier: 1.5
             per_try_timeout: {nanos: 300000000}
           }
           hedge: {max_attempts: 3, delay: {nanos: 20000000}, quantile: 0.95}
           hash_field: 'inner.text'
           stream_idle_timeout: {seconds: 30}
           priority: PRIORITY_HIGH
         };",
    )
    .unwrap();
    let millis = |count| Some(Duration::from_millis(count));
    let codes: Codes = [Code::Unavailable, Code::Aborted].into_iter().collect();
    let expected = MethodPolicy {
        idempotency: Some(Idempotency::Idempotent),
        deadline: millis(2_500),
        max_attempts: Some(4),
        retry_codes: Some(codes),
        initial_backoff: millis(10),
        max_backoff: millis(1_000),
        backoff_multiplier: Some(1.5),
        per_try_timeout: millis(300),
        stream_idle_timeout: millis(30_000),
        priority: Some(Priority::High),
        hedge: Some(HedgePolicy { max_attempts: 3, delay: millis(20), quantile: Some(0.95) }),
        hash_field: Some(serde_json::from_str("\"2.7\"").unwrap()),
    };
    assert_eq!(policy, expected);
}

#[test]
fn what_the_options_do_not_say_stays_open() {
    let policy = policy_of("option (selvedge.mesh.v1.method) = {retry: {max_attempts: 1}};").unwrap();
    assert_eq!(policy, MethodPolicy { max_attempts: Some(1), ..MethodPolicy::default() });
}

#[test]
fn a_policy_that_cannot_be_kept_is_refused_and_its_method_named() {
    for (policy, reason) in [
        ("hedge: {max_attempts: 6}", "hedge.max_attempts must be 1 to 5"),
        ("hedge: {quantile: 1}", "hedge.quantile must be 0.5 to 0.999"),
        ("hash_field: \"inner.none\"", "hash_field: test.v1.Text.Inner has no field \"none\""),
        ("stream_idle_timeout: {}", "stream_idle_timeout must be more than zero"),
        ("retry: {max_attempts: 0}", "retry.max_attempts must be 1 to 5"),
        ("retry: {max_attempts: 6}", "retry.max_attempts must be 1 to 5"),
        ("retry: {backoff_multiplier: 0.5}", "retry.backoff_multiplier must be at least 1"),
        ("retry: {codes: [CODE_UNSPECIFIED]}", "retry.codes names 0"),
        ("deadline: {}", "deadline must be more than zero"),
        ("deadline: {seconds: -1}", "deadline must be more than zero"),
        ("retry: {per_try_timeout: {}}", "retry.per_try_timeout must be more than zero"),
    ] {
        let error = policy_of(&format!("option (selvedge.mesh.v1.method) = {{{policy}}};")).unwrap_err().to_string();
        assert!(error.contains("/test.v1.Echo/Run") && error.contains(reason), "{policy}: {error}");
    }
}

#[test]
fn bytes_that_are_no_descriptor_set_are_refused() {
    let error = methods(&[&[0xff; 3]]).unwrap_err();
    assert!(error.to_string().contains("FileDescriptorSet"), "{error}");
}
