//! Databases of earlier builds, opened by this one.

use selvedge_kit::testing::Dump;

use super::*;

/// What the build with the first two steps left: two users, and a request that it answered. When a release is made, what it
/// leaves takes this one's place.
const RELEASED: Dump =
    Dump { sqlite: include_str!("released/sqlite.sql"), postgres: include_str!("released/postgres.sql") };

#[test]
fn committed_migrations_stay_as_they_are() {
    testing::unchanged(store::SCHEMA, include_str!("../../migrations/checksums.txt"));
}

#[tokio::test]
async fn a_database_of_an_earlier_build_keeps_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let url = testing::restored(folder.path(), RELEASED).await;
    let mut client = Client::on(&url).await;
    let ada = client.get("users/ada-1815").await.unwrap();
    assert_eq!((ada.display_name.as_str(), ada.email.as_str()), ("Ada 'Countess' Lovelace", "Ada@example.com"));
    assert_eq!(ada.create_time.map(|time| (time.seconds, time.nanos)), Some((1_700_000_000, 123_456_000)));
    let status = client.create("ada-1816", draft("Another", "ADA@example.com")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "EMAIL_TAKEN"));

    // What was answered is answered again, and what comes now comes after.
    let request_id = "0f8fad5b-d9cb-469f-a165-70867728950e".into();
    let again =
        CreateUserRequest { user: Some(draft("Ada", "Ada@example.com")), user_id: "ada-1815".into(), request_id };
    let first = client.client.create_user(again).await.unwrap().into_inner();
    assert_eq!(first.display_name, "Ada");
    let renamed = client.update(User { name: ada.name.clone(), ..draft("Ada", "") }, &["display_name"]).await.unwrap();
    assert!(renamed.display_name == "Ada" && renamed.etag != ada.etag);
    client.create("cleo", draft("Cleo", "cleo@example.com")).await.unwrap();
    let listed = client.list(0, "").await.unwrap().users;
    let names: Vec<_> = listed.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["users/ada-1815", "users/bob-1900", "users/cleo"]);

    // Opened once more, nothing is left to do.
    assert_eq!(Client::on(&url).await.get("users/ada-1815").await.unwrap(), renamed);
}

#[tokio::test]
async fn a_database_of_every_earlier_step_comes_up_with_its_data() {
    let user = "insert into users (id, display_name, email, email_key, create_time, update_time, revision)
         values ('ada-1815', 'Ada', 'Ada@example.com', 'ada@example.com', 1, 1, 1)";
    for earlier in testing::earlier(store::SCHEMA) {
        let folder = tempfile::tempdir().unwrap();
        let url = testing::shared(folder.path()).await;
        testing::left(&url, earlier, user).await;
        let mut client = Client::on(&url).await;
        let step = earlier.newest();
        assert_eq!(client.get("users/ada-1815").await.unwrap().email, "Ada@example.com", "from step {step}");
        client.create("bob-1900", draft("Bob", "bob@example.com")).await.unwrap();
        let listed = client.list(0, "").await.unwrap().users;
        assert_eq!(listed.len(), 2, "from step {step}");
    }
}
