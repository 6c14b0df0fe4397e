//! Services that lie about their schema: whatever they tell, the shop beside them is served on.

use std::sync::atomic::{AtomicUsize, Ordering};

use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint},
};
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto,
    field_descriptor_proto::{Label, Type},
};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest as Question;

use super::{
    reflecting::{self, Reflect, listed, raw, sent},
    *,
};
use crate::testing::compiled;

/// A gateway with the shop, and a service that means harm.
struct World {
    consul: Consul,
    running: Running,
    schema: Arc<ArcSwap<Schema>>,
}

impl World {
    async fn start() -> Self {
        let (consul, url) = Consul::start().await;
        let gateway = Gateway::new(options(&url)).unwrap();
        let schema = Arc::clone(&gateway.schema);
        let running = start(gateway).await;
        consul.register("shop", &["grpc", "gateway"], upstream().await);
        until(running.address, "/v1/items/1", "HTTP/1.1 200").await;
        Self { consul, running, schema }
    }

    /// Registers it, and waits until it was read or refused. Returns why it was, if so.
    async fn meets(&self, name: &str, reflect: Arc<Reflect>) -> Option<String> {
        self.consul.register(name, &["grpc", "gateway"], reflecting::serve(reflect, b"\0\0\0\0\0").await);
        let tried = async {
            loop {
                if let Some(report) = self.schema.load().report.services.get(name).filter(|report| report.tried) {
                    return report.error.clone();
                }
                assert!(fetch(self.running.address, "/v1/items/1").await.starts_with("HTTP/1.1 200"), "{name}");
            }
        };
        let error = timeout(SOON * 4, tried).await.unwrap_or_else(|_| panic!("{name} was never read"));
        let text = fetch(self.running.address, "/v1/items/1").await;
        assert!(text.starts_with("HTTP/1.1 200") && text.contains("items/1"), "{name}: {text}");
        error
    }

    async fn is_refused(&self, name: &str, reflect: Arc<Reflect>, why: &str) {
        let error = self.meets(name, reflect).await.unwrap_or_else(|| panic!("{name} was taken"));
        assert!(error.contains(why) && error.len() < 1_000, "{name}: {error}");
        assert!(!error.contains(char::is_control), "{name}: {error:?}");
    }

    async fn is_borne(&self, name: &str, reflect: Arc<Reflect>) {
        assert_eq!(self.meets(name, reflect).await, None, "{name}");
        for path in ["/openapi.json", "/descriptor.binpb"] {
            assert!(fetch(self.running.address, path).await.starts_with("HTTP/1.1 200"), "{name} {path}");
        }
    }
}

/// A file with one service, whose methods take and return the message `M`.
fn file(name: &str, package: &str, methods: &[&str]) -> FileDescriptorProto {
    let method = |name: &&str| MethodDescriptorProto {
        name: Some((*name).to_owned()),
        input_type: Some(format!(".{package}.M")),
        output_type: Some(format!(".{package}.M")),
        ..MethodDescriptorProto::default()
    };
    let service = ServiceDescriptorProto {
        name: Some("S".into()),
        method: methods.iter().map(method).collect(),
        ..ServiceDescriptorProto::default()
    };
    FileDescriptorProto {
        name: Some(name.to_owned()),
        package: Some(package.to_owned()),
        syntax: Some("proto3".into()),
        service: vec![service],
        message_type: vec![message("M", &[])],
        ..FileDescriptorProto::default()
    }
}

/// A message with fields of these names and types.
fn message(name: &str, fields: &[(&str, &str)]) -> DescriptorProto {
    let field = |((name, kind), number): (&(&str, &str), i32)| FieldDescriptorProto {
        name: Some((*name).to_owned()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(Type::Message.into()),
        type_name: Some((*kind).to_owned()),
        ..FieldDescriptorProto::default()
    };
    let field = fields.iter().zip(1..).map(field).collect();
    DescriptorProto { name: Some(name.to_owned()), field, ..DescriptorProto::default() }
}

fn encoded(files: &[FileDescriptorProto]) -> Vec<Vec<u8>> {
    files.iter().map(FileDescriptorProto::encode_to_vec).collect()
}

#[tokio::test]
async fn descriptors_that_are_none_or_do_not_fit_are_refused() {
    let world = World::start().await;
    world.is_refused("bytes", raw("a.S", vec![b"\xff\xff\xff".to_vec()]), "no descriptor").await;
    let missing = FileDescriptorProto { dependency: vec!["b.proto".into()], ..file("a.proto", "a", &["M"]) };
    world.is_refused("import", raw("a.S", encoded(&[missing])), "b.proto").await;
    world.is_refused("unlisted", raw("a.Other", encoded(&[file("a.proto", "a", &["M"])])), "none of its files").await;
    let mut deep = DescriptorProto::default();
    for _ in 0..200 {
        deep = DescriptorProto { name: Some("N".into()), nested_type: vec![deep], ..DescriptorProto::default() };
    }
    let deep = FileDescriptorProto { message_type: vec![deep], ..file("a.proto", "a", &[]) };
    world.is_refused("deep", raw("a.S", encoded(&[deep])), "no descriptor").await;
    world.running.leave.cancel();
}

#[tokio::test]
async fn circles_of_imports_and_of_messages_end() {
    let world = World::start().await;
    let importing = |name: &str, package: &str, other: &str| FileDescriptorProto {
        dependency: vec![other.to_owned()],
        ..file(name, package, &["Get"])
    };
    let circle = [importing("a.proto", "a", "b.proto"), importing("b.proto", "b", "a.proto")];
    // Linked or refused, it is read to its end.
    world.meets("imports", raw("a.S", encoded(&circle))).await;
    assert!(fetch(world.running.address, "/descriptor.binpb").await.starts_with("HTTP/1.1 200"));
    let source = r#"syntax = "proto3";
        package b;
        import "google/api/annotations.proto";
        service S { rpc Get(M) returns (M) { option (google.api.http) = { get: "/circle" }; } }
        message M { N n = 1; M m = 2; }
        message N { M m = 1; map<string, N> ns = 2; }"#;
    world.is_borne("messages", reflecting::of(compiled(&[("b.proto", source.into())], &["b.S"]))).await;
    let text = fetch(world.running.address, "/circle?m.m.m.n.m.x=1").await;
    assert!(text.starts_with("HTTP/1.1 400"), "{text}");
    world.running.leave.cancel();
}

#[tokio::test]
async fn who_claims_the_names_of_others_gets_only_its_own() {
    let world = World::start().await;
    let mut theft = file("shop/v1/shop.proto", "shop.v1", &["GetItem", "Steal"]);
    theft.service[0].name = Some("ShopService".into());
    world.is_borne("thief", raw("shop.v1.ShopService", encoded(&[theft]))).await;
    let conflicts = world.schema.load().report.conflicts.clone();
    assert_eq!(conflicts, ["shop.v1.ShopService is claimed by thief too, and stays with shop"]);
    assert!(world.schema.load().target("/shop.v1.ShopService/Steal").is_err());

    let lie = |name: &str, kind: &str| {
        let known = FileDescriptorProto {
            message_type: vec![message(kind, &[("seconds", ".a.M")])],
            dependency: vec!["a.proto".into()],
            service: vec![],
            ..file(name, "google.protobuf", &[])
        };
        raw("a.S", encoded(&[file("a.proto", "a", &["Get"]), known]))
    };
    for (name, kind) in [
        ("google/protobuf/timestamp.proto", "Timestamp"),
        ("google/protobuf/descriptor.proto", "FieldDescriptorProto"),
        ("other.proto", "Any"),
    ] {
        world.is_refused(&kind.to_lowercase(), lie(name, kind), "otherwise than protobuf does").await;
    }
    world.running.leave.cancel();
}

#[tokio::test]
async fn names_that_no_compiler_lets_through_are_refused() {
    let world = World::start().await;
    let long = "N".repeat(100_000);
    for (place, name) in
        ["a\nERROR forged", "a/../b", "<script>", "\u{202e}a", "", long.as_str()].into_iter().enumerate()
    {
        let bad = raw("a.S", encoded(&[file("a.proto", "a", &[name])]));
        world.is_refused(&format!("method-{place}"), bad, "a name that cannot be").await;
    }
    let bad = raw("a.S", encoded(&[file("a.proto\r\nSet-Cookie: a=b", "a", &["Get"])]));
    world.is_refused("file", bad, "a name that cannot be").await;
    let unlisted = raw("a\u{1b}[2J.S", encoded(&[file("a.proto", "a", &["Get"])]));
    world.is_refused("listed", unlisted, "a\\u{1b}[2J.S").await;
    world.running.leave.cancel();
}

#[tokio::test]
async fn a_hundred_thousand_methods_are_borne() {
    let world = World::start().await;
    let names: Vec<String> = (0..100_000).map(|number| format!("M{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.is_borne("many", raw("a.S", encoded(&[file("a.proto", "a", &names)]))).await;
    assert!(world.schema.load().target("/a.S/M99999").is_ok());
    world.running.leave.cancel();
}

#[tokio::test]
async fn more_than_fits_is_refused_before_it_is_decoded() {
    let world = World::start().await;
    // Two bytes for a message that takes hundreds in memory.
    let wide = [file("a.proto", "a", &["Get"]).encode_to_vec(), [0x22, 0x00].repeat(1_500_000)].concat();
    world.is_refused("wide", raw("a.S", vec![wide]), "larger than 1000 files").await;
    let large = FileDescriptorProto { options: None, ..file("a.proto", "a", &["Get"]) };
    let large = [large.encode_to_vec(), [&[0xfa, 0x3f, 0x80, 0x80, 0x80, 0x09][..], &vec![b'x'; 9 << 21]].concat()];
    let refused = world.meets("large", raw("a.S", vec![large.concat()])).await;
    assert!(refused.is_some(), "it was taken");
    let services: Vec<String> = (0..2_000).map(|number| format!("a.S{number}")).collect();
    let many: Arc<Reflect> = Arc::new(move |_| Some(listed(&services)));
    world.is_refused("services", many, "larger than 1000 files").await;
    let count = AtomicUsize::new(0);
    let endless: Arc<Reflect> = Arc::new(move |question| match question {
        Question::ListServices(_) => Some(listed(&["a.S".to_owned()])),
        _ => {
            // Three hundred at a time, of which each imports the next.
            let first = count.fetch_add(300, Ordering::Relaxed);
            let files = (first..first + 300).map(|number| FileDescriptorProto {
                dependency: vec![format!("{}.proto", number + 1)],
                ..file(&format!("{number}.proto"), "a", &[])
            });
            Some(sent(encoded(&files.collect::<Vec<_>>())))
        }
    });
    world.is_refused("endless", endless, "larger than 1000 files").await;
    world.running.leave.cancel();
}

#[tokio::test]
async fn one_that_never_answers_keeps_nobody_else_waiting() {
    let world = World::start().await;
    let silent: Arc<Reflect> = Arc::new(|_| None);
    for number in 0..20 {
        let port = reflecting::serve(Arc::clone(&silent), b"\0\0\0\0\0").await;
        world.consul.register(&format!("silent-{number}"), &["grpc", "gateway"], port);
    }
    world.is_borne("prompt", raw("a.S", encoded(&[file("a.proto", "a", &["Get"])]))).await;
    let report = &world.schema.load().report;
    assert!((0..20).all(|number| !report.services[&format!("silent-{number}")].tried), "{report:?}");
    world.running.leave.cancel();
}

/// A file whose method has so many bindings, all of one template.
fn bound(template: &str, count: usize) -> Vec<Vec<u8>> {
    let rule = |more: &[u8]| {
        let mut rule = Vec::new();
        encode_key(2, WireType::LengthDelimited, &mut rule);
        encode_varint(template.len() as u64, &mut rule);
        [rule, template.as_bytes().to_vec(), more.to_vec()].concat()
    };
    let delimited = |tag: u32, bytes: &[u8]| {
        let mut field = Vec::new();
        encode_key(tag, WireType::LengthDelimited, &mut field);
        encode_varint(bytes.len() as u64, &mut field);
        [field, bytes.to_vec()].concat()
    };
    let additional = delimited(11, &rule(&[])).repeat(count);
    let options = delimited(72_295_728, &rule(&additional));
    // The options go where no type of Rust would keep them: as the last field of the method, by hand.
    let mut declared = file("evil.proto", "evil", &[]);
    declared.dependency = vec!["google/api/annotations.proto".into()];
    declared.message_type[0].field.push(FieldDescriptorProto {
        name: Some("name".into()),
        number: Some(1),
        label: Some(Label::Optional.into()),
        r#type: Some(Type::String.into()),
        ..FieldDescriptorProto::default()
    });
    declared.service.clear();
    let method = MethodDescriptorProto {
        name: Some("Take".into()),
        input_type: Some(".evil.M".into()),
        output_type: Some(".evil.M".into()),
        ..MethodDescriptorProto::default()
    };
    let method = delimited(2, &[method.encode_to_vec(), delimited(4, &options)].concat());
    let service = delimited(6, &[delimited(1, b"S"), method].concat());
    let known = compiled(&[("x.proto", r#"syntax = "proto3"; import "google/api/annotations.proto";"#.into())], &[]);
    let google = known.files.iter().filter(|(name, _)| name.starts_with("google/")).map(|(_, bytes)| bytes.to_vec());
    google.chain([[declared.encode_to_vec(), service].concat()]).collect()
}

#[tokio::test]
async fn ten_thousand_bindings_that_conflict_are_told_in_a_few_lines() {
    let world = World::start().await;
    world.is_borne("evil", raw("evil.S", bound("/v1/{name=items/*}", 10_000))).await;
    let report = world.schema.load().report.clone();
    assert_eq!(report.conflicts.len(), 101);
    assert!(
        report.conflicts[0].contains("/evil.S/Take too, and stays with /shop.v1.ShopService/GetItem"),
        "{report:?}"
    );
    assert_eq!(report.conflicts[100], "and 9901 more");
    world.is_borne("worse", raw("evil.S", bound("/v1/\n\u{1b}[2J{", 10_000))).await;
    world.consul.deregister("evil");
    let all_told = || (world.schema.load().report.services["worse"].set_aside.len() == 101).then_some(());
    seen("all that is set aside", all_told).await;
    let problems = world.schema.load().report.problems();
    assert!(problems.iter().all(|line| line.len() < 1_000 && !line.contains(char::is_control)), "{problems:?}");
    world.running.leave.cancel();
}
