//! ACL tokens: by value, from a file, by login.

use super::*;
use crate::config::{LoginConfig, Secret};

#[tokio::test]
async fn a_refused_token_is_told_with_what_it_lacks_but_not_itself() {
    let fake = Fake::start();
    let lacks = "Permission denied: token with AccessorID '1' lacks permission 'service:write' on \"users\"";
    let config = RegistryConfig { token: Some(Secret::new("opensesame")), ..fake.config() };
    let with_token = Consul::new(&config).unwrap();
    for (consul, token, told) in
        [(&with_token, Some("opensesame"), "refused the token"), (&consul(&fake), None, "set registry.token")]
    {
        fake.script(403, None, lacks);
        let error = consul.register(&Registration::default(), true).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Registry);
        assert_eq!(fake.asked().last().unwrap().token.as_deref(), token);
        for part in [fake.url.as_str(), told, "'service:write' on \"users\"", "PUT /v1/agent/service/register"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("opensesame") && !format!("{consul:?}").contains("opensesame"));
    }
}

#[tokio::test]
async fn a_token_file_is_read_again_and_goes_before_a_value() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "one\n").unwrap();
    let token = Some(Secret::new("value"));
    let config = RegistryConfig { token, token_file: Some(path.clone()), ..fake.config() };
    let consul = Consul::new(&config).unwrap();
    consul.pass("a").await.unwrap();
    fs::write(&path, "two\n").unwrap();
    consul.pass("a").await.unwrap();
    fs::remove_file(&path).unwrap();
    consul.pass("a").await.unwrap();
    let tokens: Vec<_> = fake.asked().into_iter().filter_map(|asked| asked.token).collect();
    assert_eq!(tokens, ["one", "two", "two"], "the last one that could be read stays");
}

/// A client that logs in with what a file holds.
fn logging_in(fake: &Fake, folder: &std::path::Path) -> Consul {
    let path = folder.join("bearer");
    fs::write(&path, "proof\n").unwrap();
    let login = LoginConfig { method: "jwt".into(), bearer_token_file: Some(path) };
    Consul::new(&RegistryConfig { login, ..fake.config() }).unwrap()
}

/// The answer to a login: a token that holds for so many seconds.
fn granted(token: &str, seconds: u32) -> String {
    let (begin, end) = ("2026-11-21T08:00:00Z", format!("2026-11-21T08:{:02}:{:02}Z", seconds / 60, seconds % 60));
    json!({"AccessorID": "1", "SecretID": token, "CreateTime": begin, "ExpirationTime": end}).to_string()
}

/// What was asked, each with its token.
fn asked(fake: &Fake) -> Vec<String> {
    let one = |asked: fake::Asked| format!("{} {}", asked.line, asked.token.unwrap_or_default());
    fake.asked().into_iter().map(one).collect()
}

#[tokio::test]
async fn a_login_brings_the_token_and_a_logout_gives_it_up() {
    let (fake, folder) = (Fake::start(), tempfile::tempdir().unwrap());
    let consul = logging_in(&fake, folder.path());
    fake.script(200, None, &granted("one", 600));
    consul.pass("a").await.unwrap();
    consul.pass("a").await.unwrap();
    consul.log_out().await.unwrap();
    consul.log_out().await.unwrap();
    let login = "POST /v1/acl/login ";
    let (pass, logout) = ("PUT /v1/agent/check/pass/a one", "POST /v1/acl/logout one");
    assert_eq!(asked(&fake), [login, pass, pass, logout]);
    let body = json!({"AuthMethod": "jwt", "BearerToken": "proof"});
    assert_eq!(fake.asked()[0].body, Some(body));
    assert!(!format!("{consul:?}").contains("proof"));
}

#[tokio::test]
async fn a_token_that_the_agent_forgot_is_had_anew() {
    let (fake, folder) = (Fake::start(), tempfile::tempdir().unwrap());
    let consul = logging_in(&fake, folder.path());
    fake.script(200, None, &granted("one", 600));
    fake.script(403, None, "rpc error making call: ACL not found");
    fake.script(200, None, &granted("two", 600));
    consul.pass("a").await.unwrap();
    let pass = "PUT /v1/agent/check/pass/a";
    let login = "POST /v1/acl/login ";
    assert_eq!(asked(&fake), [login, &format!("{pass} one"), login, &format!("{pass} two")]);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_and_the_old_one_given_up() {
    let (fake, folder) = (Fake::start(), tempfile::tempdir().unwrap());
    let consul = logging_in(&fake, folder.path());
    // It holds for no time at all: due at once.
    fake.script(200, None, &granted("one", 0));
    fake.script(200, None, "");
    fake.script(200, None, &granted("two", 600));
    consul.pass("a").await.unwrap();
    consul.pass("a").await.unwrap();
    let (login, pass) = ("POST /v1/acl/login ", "PUT /v1/agent/check/pass/a");
    let expected = [login, &format!("{pass} one"), login, "POST /v1/acl/logout one", &format!("{pass} two")];
    assert_eq!(asked(&fake), expected);
}

#[tokio::test]
async fn a_login_that_is_refused_is_told_with_its_reason() {
    let (fake, folder) = (Fake::start(), tempfile::tempdir().unwrap());
    let consul = logging_in(&fake, folder.path());
    fake.script(403, None, "Permission denied");
    let error = consul.pass("a").await.unwrap_err().to_string();
    assert!(error.contains("POST /v1/acl/login") && error.contains("Permission denied"), "{error}");
    fs::remove_file(folder.path().join("bearer")).unwrap();
    let error = consul.pass("a").await.unwrap_err().to_string();
    assert!(error.contains("registry.login.bearer_token_file"), "{error}");
}
