//! What a wrong request is answered with: the right status, and the name of what was wrong.

use selvedge_harness::{Embedded, Grpcurl, LIMIT, eventually};
use serde_json::Value;
use tonic::Code;

use crate::stack::Stack;

struct Case {
    verb: &'static str,
    path: &'static str,
    content_type: &'static str,
    body: String,
    status: u16,
    code: i64,
    names: &'static str,
}

fn case(verb: &'static str, path: &'static str, body: &str, answer: (u16, Code), names: &'static str) -> Case {
    let (status, code) = answer;
    let body = body.to_owned();
    Case { verb, path, content_type: "application/json", body, status, code: i64::from(code as i32), names }
}

fn cases() -> Vec<Case> {
    let large = format!(r#"{{"display_name": "{}"}}"#, "x".repeat(5 << 20));
    vec![
        case("GET", "/v1/nothing", "", (404, Code::NotFound), "/v1/nothing"),
        case("PUT", "/v1/users", "{}", (405, Code::Unimplemented), "PUT"),
        case("POST", "/v1/users", "{", (400, Code::InvalidArgument), "JSON"),
        case("POST", "/v1/users", r#"{"colour": 1}"#, (400, Code::InvalidArgument), "colour"),
        case("POST", "/v1/users", r#"{"email": 7}"#, (400, Code::InvalidArgument), "email"),
        case("POST", "/v1/users", &large, (413, Code::ResourceExhausted), "4194304"),
        case("GET", "/v1/users?colour=red", "", (400, Code::InvalidArgument), "colour"),
        case("GET", "/v1/users?page_token=nonsense", "", (400, Code::InvalidArgument), "page_token"),
        case("GET", "/v1/users?page_size=-1", "", (400, Code::InvalidArgument), "page_size"),
        case("GET", "/v1/users?page_size=many", "", (400, Code::InvalidArgument), "page_size"),
        case(
            "POST",
            "/v1/users",
            r#"{"display_name": "A", "email": "nobody"}"#,
            (400, Code::InvalidArgument),
            "user.email",
        ),
        case("PATCH", "/v1/users/ada-1815?update_mask=shoe_size", "{}", (400, Code::InvalidArgument), "update_mask"),
        Case {
            content_type: "text/plain",
            ..case("POST", "/v1/users", "{}", (415, Code::InvalidArgument), "text/plain")
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_rest_request_is_told_what_is_wrong() -> anyhow::Result<()> {
    let stack = Stack::embedded().await?;
    let http = reqwest::Client::new();
    let user = r#"{"display_name": "Ada", "email": "ada@example.com"}"#;
    let url = format!("{}/v1/users?user_id=ada-1815", stack.gateway);
    http.post(url).header("content-type", "application/json").body(user).send().await?.error_for_status()?;
    for Case { verb, path, content_type, body, status, code, names } in cases() {
        let mut request = http.request(verb.parse()?, format!("{}{path}", stack.gateway));
        if !body.is_empty() {
            request = request.header("content-type", content_type).body(body);
        }
        let response = request.send().await?;
        assert_eq!(response.status(), status, "{verb} {path}");
        if status == 405 {
            let allow = response.headers()["allow"].to_str()?;
            assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
        }
        let text = response.text().await?;
        let answer: Value = serde_json::from_str(&text)?;
        assert_eq!(answer["code"], code, "{verb} {path}: {text}");
        assert!(text.contains(names), "{verb} {path} does not name {names}: {text}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_grpc_service_or_method_is_unimplemented() -> anyhow::Result<()> {
    let stack = Stack::embedded().await?;
    let Some(grpcurl) = Grpcurl::find() else { return Ok(()) };
    let protos = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
    let google = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    let unknown = "integration.greeter.v1.GreeterService/Greet";
    let files = ["-import-path", protos, "-import-path", google, "-proto", "greeter.proto"];
    let args = [&["-plaintext"], &files[..], &[stack.gateway_address(), unknown]].concat();
    let refused = grpcurl.run(&args).await?;
    assert_eq!(refused.status.code(), Some(64 + 12), "{refused:?}");
    assert!(refused.stderr.contains("integration.greeter.v1.GreeterService"), "{refused:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_a_service_that_nobody_registered_names_it_and_the_registry() -> anyhow::Result<()> {
    let registry = Embedded::start().await?;
    let mut config = selvedge::Config::new("caller");
    config.registry.address = registry.url();
    let mesh = selvedge::Mesh::new(config)?;
    let mut client = selvedge_proto::users::v1::user_service_client::UserServiceClient::new(mesh.channel("nobody"));
    let status = client.get_user(selvedge_proto::users::v1::GetUserRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("nobody") && status.message().contains(&registry.url()), "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_on_when_the_registry_is_gone() -> anyhow::Result<()> {
    let mut registry = Embedded::start().await?;
    let data = tempfile::TempDir::new()?;
    let url = registry.url();
    let stack = Stack::start(&["--registry", &url, "--data-dir", crate::stack::path(&data)]).await?;
    registry.program().kill().await?;
    // Each instance and the gateway is a mesh of its own, and each says it once.
    let meshes = 5;
    let all_say = async |what: &str| {
        eventually(LIMIT, async || {
            let count = said(&stack, what);
            anyhow::ensure!(count == meshes, "{count} of {meshes} said: {what}");
            Ok(())
        })
        .await
    };
    all_say(GONE).await?;
    stack.program.wait_for_line(|line| line.contains(GONE) && line.contains(&url), LIMIT).await?;
    let http = reqwest::Client::new();
    for _ in 0..20 {
        let answer = http.get(format!("{}/v1/users", stack.gateway)).send().await?;
        assert_eq!(answer.status(), 200);
    }
    let _back = Embedded::start_at(url.trim_start_matches("http://")).await?;
    all_say(BACK).await?;
    assert_eq!((said(&stack, GONE), said(&stack, BACK)), (meshes, meshes), "{}", stack.output());
    Ok(())
}

/// What the log says when the registry stops to answer, and when it answers again.
const GONE: &str = "the registry is gone";
const BACK: &str = "the registry is back";

fn said(stack: &Stack, what: &str) -> usize {
    stack.program.lines().iter().filter(|line| line.text.contains(what)).count()
}
