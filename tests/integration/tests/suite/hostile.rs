//! What hostile input is answered with: INVALID_ARGUMENT that names the field, on every database, and never INTERNAL.

mod raw;
mod strings;

mod world;

use anyhow::ensure;
use selvedge_proto::{
    catalog::v1::{ListProductsRequest, WatchProductsRequest},
    users::v1::{GetUserRequest, ListUsersRequest, UpdateUserRequest, User},
};

use self::world::{World, refused};
use crate::databases::shop::Ground;

/// Filters that are too deep or too much, or are no filters; each lists and methods refuse them alike.
async fn filters(world: &mut World) -> anyhow::Result<usize> {
    let nested = |open: &str| format!("{}name = \"users/a\"{}", open.repeat(10_000), ")".repeat(10_000));
    let filters = [
        nested("("),
        nested("NOT ("),
        "(".repeat(10_000),
        "-".repeat(10_000),
        vec!["name = \"users/a\""; 1_000].join(" OR "),
        "create_time = 1".into(),
        "display_name = \"' OR 1=1 --".into(),
        "1=1".into(),
        "pg_sleep(10)".into(),
        "display_name = (select email)".into(),
    ];
    for filter in &filters {
        refused(
            world.listed(ListUsersRequest { filter: filter.clone(), ..Default::default() }).await,
            "filter",
            filter,
        )?;
        let request = ListProductsRequest { filter: filter.clone(), ..Default::default() };
        refused(world.catalog.list_products(request).await, "filter", filter)?;
    }
    Ok(2 * filters.len())
}

/// Tokens of another list, of another filter or order, tampered with and cut.
async fn tokens(world: &mut World) -> anyhow::Result<usize> {
    let filter = "display_name != \"x\"".to_owned();
    let first = ListUsersRequest { page_size: 1, filter: filter.clone(), ..Default::default() };
    let token = world.users.list_users(first).await?.into_inner().next_page_token;
    ensure!(!token.is_empty(), "there are three users");
    let good = ListUsersRequest { page_token: token.clone(), filter, ..Default::default() };
    world.listed(good.clone()).await?;

    let mut changed = token.clone().into_bytes();
    let middle = changed.len() / 2;
    changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed)?;
    for bad in [
        ListUsersRequest { filter: String::new(), ..good.clone() },
        ListUsersRequest { filter: "display_name != \"y\"".into(), ..good.clone() },
        ListUsersRequest { order_by: "name".into(), ..good.clone() },
        ListUsersRequest { page_token: changed, ..good.clone() },
        ListUsersRequest { page_token: token[1..].into(), ..good.clone() },
        ListUsersRequest { page_token: format!("{token}A"), ..good.clone() },
    ] {
        refused(world.listed(bad.clone()).await, "page_token", &bad.page_token)?;
    }
    let (token, filter) = (token.as_str(), good.filter.as_str());
    let of_users = ListProductsRequest { page_token: token.into(), filter: filter.into(), ..Default::default() };
    refused(world.catalog.list_products(of_users).await, "page_token", token)?;
    let watch = WatchProductsRequest { resume_token: token.into(), ..Default::default() };
    refused(world.catalog.watch_products(watch).await, "resume_token", token)?;
    Ok(8)
}

async fn masks(world: &mut World) -> anyhow::Result<usize> {
    let masks: [&[&str]; 7] = [
        &["email", "email"],
        &["display_name", "*"],
        &["*", "*"],
        &["user.*"],
        &["display_name.*"],
        &["'; drop table users; --"],
        &["email\0"],
    ];
    for mask in masks {
        let user = User { name: "users/ada-1815".into(), display_name: "Eve".into(), ..User::default() };
        let paths = mask.iter().map(ToString::to_string).collect();
        let update_mask = Some(prost_types::FieldMask { paths });
        let answer = world.users.update_user(UpdateUserRequest { user: Some(user), update_mask }).await;
        refused(answer, "update_mask", &mask.join(","))?;
    }
    Ok(masks.len())
}

async fn hostile(ground: &Ground) -> anyhow::Result<()> {
    let (engine, mut world) = (ground.engine, World::start(ground).await?);
    let ada = GetUserRequest { name: "users/ada-1815".into() };
    let before = world.users.get_user(ada.clone()).await?.into_inner();
    let counts = [
        strings::sent(&world).await?,
        filters(&mut world).await?,
        tokens(&mut world).await?,
        masks(&mut world).await?,
        raw::sent(&world).await?,
    ];
    // All is still there, and as it was.
    ensure!(world.users.get_user(ada).await?.into_inner() == before);
    println!("{engine}: {} hostile requests, each refused by the name of its field", counts.iter().sum::<usize>());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_input_is_refused_by_name_on_sqlite() -> anyhow::Result<()> {
    hostile(&Ground::sqlite()?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_input_is_refused_by_name_on_servers() -> anyhow::Result<()> {
    let Some(ground) = Ground::servers().await? else { return Ok(()) };
    hostile(&ground).await
}
