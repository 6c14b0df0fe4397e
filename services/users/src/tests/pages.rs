//! Walks through the list.

use super::*;

async fn filled(users: usize) -> Client {
    let mut client = Client::new().await;
    for i in 0..users {
        client.create(&format!("user-{i:03}"), draft("Someone", &format!("user-{i}@example.com"))).await.unwrap();
    }
    client
}

fn ids(page: &ListUsersResponse) -> Vec<&str> {
    page.users.iter().map(|user| user.name.trim_start_matches("users/user-")).collect()
}

#[tokio::test]
async fn a_list_has_fifty_users_unless_asked_otherwise() {
    let mut client = filled(51).await;
    let page = client.list(0, "").await.unwrap();
    assert_eq!(page.users.len(), 50);
    let rest = client.list(0, &page.next_page_token).await.unwrap();
    assert_eq!((ids(&rest), rest.next_page_token.as_str()), (vec!["050"], ""));
    assert_eq!(client.list(5_000, "").await.unwrap().users.len(), 51);
}

#[tokio::test]
async fn the_last_page_has_no_token_even_when_it_is_full() {
    let mut client = filled(4).await;
    let page = client.list(2, "").await.unwrap();
    let last = client.list(2, &page.next_page_token).await.unwrap();
    assert_eq!((ids(&last), last.next_page_token.as_str()), (vec!["002", "003"], ""));
    assert_eq!(Client::new().await.list(2, "").await.unwrap(), ListUsersResponse::default());
}

#[tokio::test]
async fn a_walk_shows_who_was_there_all_the_time_once_whoever_comes_and_goes() {
    let mut client = filled(6).await;
    let first = client.list(2, "").await.unwrap();
    assert_eq!(ids(&first), ["000", "001"]);
    // The last one shown, one shown before it, and one not shown yet.
    for gone in ["users/user-001", "users/user-000", "users/user-003"] {
        client.delete(gone, "").await.unwrap();
    }
    client.create("aaaa-new", draft("New", "new@example.com")).await.unwrap();
    let second = client.list(2, &first.next_page_token).await.unwrap();
    assert_eq!(ids(&second), ["002", "004"]);
    let third = client.list(2, &second.next_page_token).await.unwrap();
    assert_eq!(ids(&third), ["005", "users/aaaa-new"]);
    assert_eq!(third.next_page_token, "");
}

#[tokio::test]
async fn a_token_is_good_after_all_that_it_was_made_of_is_gone() {
    let mut client = filled(3).await;
    let token = client.list(2, "").await.unwrap().next_page_token;
    for i in 0..3 {
        client.delete(&format!("users/user-00{i}"), "").await.unwrap();
    }
    client.create("late", draft("Late", "late@example.com")).await.unwrap();
    let page = client.list(2, &token).await.unwrap();
    assert_eq!(ids(&page), ["users/late"]);
}

#[tokio::test]
async fn bad_sizes_and_tokens_are_violations() {
    let mut client = filled(2).await;
    let token = client.list(1, "").await.unwrap().next_page_token;
    let cut = &token[..token.len() - 1];
    for bad in ["1", "not a token", cut, "%00"] {
        assert_eq!(violated(&client.list(1, bad).await.unwrap_err()), ["page_token"]);
    }
    assert_eq!(violated(&client.list(-1, "").await.unwrap_err()), ["page_size"]);
}

impl Client {
    async fn listed(&mut self, filter: &str, order_by: &str) -> Result<Vec<String>, Status> {
        let (filter, order_by) = (filter.into(), order_by.into());
        let request = ListUsersRequest { filter, order_by, ..Default::default() };
        let page = self.client.list_users(request).await?.into_inner();
        Ok(ids(&page).into_iter().map(str::to_owned).collect())
    }
}

#[tokio::test]
async fn a_list_can_be_filtered_and_ordered() {
    let mut client = filled(3).await;
    client.create("user-ada", draft("Ada", "Ada@Example.com")).await.unwrap();
    for (filter, order_by, listed) in [
        ("display_name = Someone", "", vec!["000", "001", "002"]),
        ("display_name = Someone", "name desc", vec!["002", "001", "000"]),
        ("email = \"ada@EXAMPLE.com\"", "", vec!["ada"]),
        ("email = \"USER-*\" AND name > \"users/user-000\"", "email", vec!["001", "002"]),
        ("NOT email = user-* create_time > 2020-01-01T00:00:00Z", "", vec!["ada"]),
        ("update_time <= 2020-01-01T00:00:00Z", "", vec![]),
        ("", "display_name desc", vec!["002", "001", "000", "ada"]),
    ] {
        assert_eq!(client.listed(filter, order_by).await.unwrap(), listed, "{filter} by {order_by}");
    }
    assert_eq!(violated(&client.listed("password = x", "").await.unwrap_err()), ["filter"]);
    for order_by in ["password", "display_name, create_time"] {
        assert_eq!(violated(&client.listed("", order_by).await.unwrap_err()), ["order_by"]);
    }
}
