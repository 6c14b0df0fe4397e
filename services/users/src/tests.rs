//! The service as its clients see it: the generated client, over the routes, without a network.

mod migrations;
mod pages;

use prost_types::FieldMask;
use selvedge_kit::{database, testing};
use selvedge_proto::users::v1::{
    CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest, ListUsersResponse, UpdateUserRequest, User,
    user_service_client::UserServiceClient,
};
use tonic::{Code, Status, service::Routes};
use tonic_types::StatusExt as _;

use super::*;

const LONGEST: usize = 32 << 20;

struct Client {
    client: UserServiceClient<Routes>,
}

impl Client {
    async fn new() -> Self {
        Self::on(&testing::fresh().await).await
    }

    async fn on(url: &str) -> Self {
        let pool = database::open(url, store::SCHEMA).await.unwrap();
        let routes = routes(Users::new(Store::new(pool)), LONGEST).prepare();
        Self { client: UserServiceClient::new(routes).max_encoding_message_size(LONGEST) }
    }

    async fn create(&mut self, id: &str, user: User) -> Result<User, Status> {
        let request = CreateUserRequest { user: Some(user), user_id: id.into(), ..Default::default() };
        self.client.create_user(request).await.map(tonic::Response::into_inner)
    }

    async fn get(&mut self, name: &str) -> Result<User, Status> {
        self.client.get_user(GetUserRequest { name: name.into() }).await.map(tonic::Response::into_inner)
    }

    async fn list(&mut self, page_size: i32, page_token: &str) -> Result<ListUsersResponse, Status> {
        let request = ListUsersRequest { page_size, page_token: page_token.into(), ..Default::default() };
        self.client.list_users(request).await.map(tonic::Response::into_inner)
    }

    async fn update(&mut self, user: User, mask: &[&str]) -> Result<User, Status> {
        let paths = mask.iter().map(ToString::to_string).collect();
        let request = UpdateUserRequest { user: Some(user), update_mask: Some(FieldMask { paths }) };
        self.client.update_user(request).await.map(tonic::Response::into_inner)
    }

    async fn delete(&mut self, name: &str, etag: &str) -> Result<(), Status> {
        let request = DeleteUserRequest { name: name.into(), etag: etag.into() };
        self.client.delete_user(request).await.map(tonic::Response::into_inner)
    }
}

fn draft(display_name: &str, email: &str) -> User {
    User { display_name: display_name.into(), email: email.into(), ..User::default() }
}

/// The fields of `BadRequest`; every error of the service must have an `ErrorInfo`.
fn violated(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(reason(status), "INVALID_FIELDS");
    let request = status.get_details_bad_request().unwrap();
    request.field_violations.into_iter().map(|violation| violation.field).collect()
}

fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.domain, "users.selvedge");
    info.reason
}

fn resource(status: &Status) -> (String, String) {
    let info = status.get_details_resource_info().unwrap();
    (info.resource_type, info.resource_name)
}

fn user_resource(name: &str) -> (String, String) {
    ("users.selvedge/User".into(), name.into())
}

#[tokio::test]
async fn a_user_is_created_and_read() {
    let mut client = Client::new().await;
    let created = client.create("ada1", draft("Ada Lovelace", "Ada@Example.com")).await.unwrap();
    assert_eq!((created.name.as_str(), created.email.as_str()), ("users/ada1", "Ada@Example.com"));
    assert!(!created.etag.is_empty() && created.create_time.is_some());
    assert_eq!(created.create_time, created.update_time);
    assert_eq!(client.get("users/ada1").await.unwrap(), created);
}

#[tokio::test]
async fn a_user_without_an_id_is_given_one() {
    let mut client = Client::new().await;
    let created = client.create("", draft("Ada", "ada@example.com")).await.unwrap();
    assert_eq!(client.get(&created.name).await.unwrap(), created);
}

#[tokio::test]
async fn what_the_service_alone_writes_is_ignored_in_a_create() {
    let mut client = Client::new().await;
    let own = User { name: "users/other".into(), etag: "mine".into(), ..draft("Ada", "ada@example.com") };
    let created = client.create("ada1", own).await.unwrap();
    assert_eq!(created.name, "users/ada1");
    assert_ne!(created.etag, "mine");
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let mut client = Client::new().await;
    let status = client.create("A!", draft("", "nobody")).await.unwrap_err();
    assert_eq!(violated(&status), ["user_id", "user.display_name", "user.email"]);
    let status = client.client.create_user(CreateUserRequest::default()).await.unwrap_err();
    assert!(violated(&status).contains(&"user".to_owned()));
    let status = client.update(draft(" ", "nobody"), &["display_name", "email"]).await.unwrap_err();
    assert_eq!(violated(&status), ["user.name", "user.display_name", "user.email"]);
    let status = client.client.update_user(UpdateUserRequest::default()).await.unwrap_err();
    assert_eq!(violated(&status), ["user", "user.name"]);
}

#[tokio::test]
async fn an_id_is_given_once() {
    let mut client = Client::new().await;
    client.create("ada1", draft("Ada", "ada@example.com")).await.unwrap();
    let status = client.create("ada1", draft("Ada", "ada@example.com")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "USER_EXISTS"));
    assert_eq!(resource(&status), user_resource("users/ada1"));
}

#[tokio::test]
async fn an_email_address_is_used_once_whatever_its_case() {
    let mut client = Client::new().await;
    client.create("ada1", draft("Ada", "ada@example.com")).await.unwrap();
    let status = client.create("ada2", draft("Ada", "ADA@Example.Com")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "EMAIL_TAKEN"));
    assert_eq!(resource(&status), user_resource("ADA@Example.Com"));
    client.create("grace", draft("Grace", "grace@example.com")).await.unwrap();
    let taken = User { name: "users/grace".into(), ..draft("", "Ada@example.com") };
    let status = client.update(taken, &["email"]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "EMAIL_TAKEN"));
    assert_eq!(client.get("users/grace").await.unwrap().email, "grace@example.com");
}

#[tokio::test]
async fn an_email_address_may_change_its_case_and_is_free_when_its_user_is_gone() {
    let mut client = Client::new().await;
    client.create("ada1", draft("Ada", "ada@example.com")).await.unwrap();
    let user = User { name: "users/ada1".into(), ..draft("", "Ada@Example.com") };
    assert_eq!(client.update(user, &["email"]).await.unwrap().email, "Ada@Example.com");
    client.delete("users/ada1", "").await.unwrap();
    client.create("ada2", draft("Ada", "ada@example.com")).await.unwrap();
}

#[tokio::test]
async fn an_unknown_user_is_not_found_by_any_method() {
    let mut client = Client::new().await;
    let user = User { name: "users/nobody".into(), ..draft("Nobody", "") };
    for status in [
        client.get("users/nobody").await.unwrap_err(),
        client.update(user, &["display_name"]).await.unwrap_err(),
        client.delete("users/nobody", "").await.unwrap_err(),
    ] {
        assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "USER_NOT_FOUND"));
        assert_eq!(resource(&status), user_resource("users/nobody"));
    }
}

#[tokio::test]
async fn an_update_changes_what_the_mask_names_and_the_state() {
    let mut client = Client::new().await;
    let old = client.create("ada1", draft("Ada", "ada@example.com")).await.unwrap();
    let wish = User { name: old.name.clone(), ..draft("Ada Lovelace", "ignored@example.com") };
    let new = client.update(wish, &["display_name"]).await.unwrap();
    assert_eq!((new.display_name.as_str(), new.email.as_str()), ("Ada Lovelace", "ada@example.com"));
    assert_eq!(new.create_time, old.create_time);
    let order = |user: &User| user.update_time.map(|time| (time.seconds, time.nanos));
    assert!(order(&new) > order(&old));
    assert_ne!(new.etag, old.etag);
    assert_eq!(client.get("users/ada1").await.unwrap(), new);
}

#[tokio::test]
async fn an_update_without_a_mask_changes_what_is_present() {
    let mut client = Client::new().await;
    client.create("ada1", draft("Ada", "ada@example.com")).await.unwrap();
    let user = User { name: "users/ada1".into(), ..draft("", "lovelace@example.com") };
    let new = client.update(user, &[]).await.unwrap();
    assert_eq!((new.display_name.as_str(), new.email.as_str()), ("Ada", "lovelace@example.com"));
}

#[tokio::test]
async fn an_update_of_everything_may_not_leave_required_fields_empty() {
    let mut client = Client::new().await;
    client.create("ada1", draft("Ada", "ada@example.com")).await.unwrap();
    let user = User { name: "users/ada1".into(), ..draft("", "lovelace@example.com") };
    let status = client.update(user, &["*"]).await.unwrap_err();
    assert_eq!(violated(&status), ["user.display_name"]);
}

#[tokio::test]
async fn an_update_of_nothing_changes_nothing() {
    let mut client = Client::new().await;
    let old = client.create("ada1", draft("Ada", "ada@example.com")).await.unwrap();
    let user = User { name: "users/ada1".into(), ..draft("Other", "") };
    assert_eq!(client.update(user, &["etag"]).await.unwrap(), old);
}

#[tokio::test]
async fn an_unknown_path_of_a_mask_is_refused() {
    let mut client = Client::new().await;
    client.create("ada1", draft("Ada", "ada@example.com")).await.unwrap();
    let user = User { name: "users/ada1".into(), ..draft("Other", "") };
    let status = client.update(user, &["display_name", "password", "user.email"]).await.unwrap_err();
    assert_eq!(violated(&status), ["update_mask", "update_mask"]);
    assert_eq!(client.get("users/ada1").await.unwrap().display_name, "Ada");
}

#[tokio::test]
async fn a_stale_etag_aborts() {
    let mut client = Client::new().await;
    let first = client.create("ada1", draft("Ada", "ada@example.com")).await.unwrap();
    let wish = User { display_name: "Ada L.".into(), ..first.clone() };
    let second = client.update(wish.clone(), &["display_name"]).await.unwrap();
    for status in [
        client.update(wish, &["display_name"]).await.unwrap_err(),
        client.delete("users/ada1", &first.etag).await.unwrap_err(),
    ] {
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "ETAG_STALE"));
        assert_eq!(resource(&status), user_resource("users/ada1"));
    }
    client.delete("users/ada1", &second.etag).await.unwrap();
    let again = client.create("ada1", draft("Ada", "ada@example.com")).await.unwrap();
    assert_ne!(again.etag, first.etag, "a new user has no etag of an old one");
}

#[tokio::test]
async fn hostile_requests_are_invalid_and_answered_briefly() {
    let mut client = Client::new().await;
    let huge = "x".repeat(4 << 20);
    for text in [huge.as_str(), "a\0b", "\u{202e}\x1b[31m", "'; drop table users; --"] {
        let user = User { name: text.into(), etag: text.into(), ..draft(text, text) };
        let statuses = [
            client.create(text, user.clone()).await.unwrap_err(),
            client.get(text).await.unwrap_err(),
            client.list(-1, text).await.unwrap_err(),
            client.update(user, &[text]).await.unwrap_err(),
            client.delete(text, text).await.unwrap_err(),
        ];
        for status in statuses {
            assert!(!violated(&status).is_empty());
            assert!(status.message().len() < 2_000 && status.details().len() < 4_000, "{}", status.message());
        }
    }
}

#[tokio::test]
async fn data_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let url = testing::shared(folder.path()).await;
    let created = Client::on(&url).await.create("ada1", draft("Ada", "ada@example.com")).await.unwrap();
    assert_eq!(Client::on(&url).await.get("users/ada1").await.unwrap(), created);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_creates_of_one_address_on_two_instances_one_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let url = testing::shared(folder.path()).await;
    let (one, other) = tokio::join!(Client::on(&url), Client::on(&url));
    let calls = (0..16).map(|i| {
        let client = if i % 2 == 0 { &one } else { &other };
        let mut client = Client { client: client.client.clone() };
        async move { client.create("", draft("Ada", "ada@example.com")).await }
    });
    let answers = futures::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for status in answers.into_iter().filter_map(Result::err) {
        assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
    }
}

#[tokio::test]
async fn a_user_is_created_once_for_a_request_id() {
    let mut client = Client::new().await;
    let request = CreateUserRequest {
        user: Some(draft("Ada", "ada@example.com")),
        user_id: String::new(),
        request_id: "0f8fad5b-d9cb-469f-a165-70867728950e".into(),
    };
    let first = client.client.create_user(request.clone()).await.unwrap().into_inner();
    assert_eq!(client.client.create_user(request.clone()).await.unwrap().into_inner(), first);
    let other = CreateUserRequest { user: Some(draft("Bob", "bob@example.com")), ..request.clone() };
    assert_eq!(violated(&client.client.create_user(other).await.unwrap_err()), ["request_id"]);
    let bad = CreateUserRequest { request_id: "again".into(), ..request };
    assert_eq!(violated(&client.client.create_user(bad).await.unwrap_err()), ["request_id"]);
    assert_eq!(client.list(0, "").await.unwrap().users.len(), 1);
}
