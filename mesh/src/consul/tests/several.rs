//! Several agents: the next one when one gives no answer.

use super::*;

/// A client of these agents, in this order.
fn of(agents: &[&str]) -> Consul {
    Consul::new(&settings(&agents.join(","))).unwrap()
}

/// An address where nobody listens.
async fn nobody() -> String {
    Fake::start().stop().await
}

#[tokio::test]
async fn the_next_agent_is_asked_when_one_cannot_be_reached_and_stays() {
    let (logs, gone, fake) = (Logs::capture(), nobody().await, Fake::start());
    let consul = of(&[&gone, &fake.url]);
    assert!(consul.describe().ends_with(&gone));
    for _ in 0..2 {
        consul.pass("a").await.unwrap();
    }
    assert!(consul.describe().ends_with(&fake.url));
    let warnings = logs.lines("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    for part in [&gone, &fake.url] {
        assert!(warnings[0].contains(part), "{warnings:?}");
    }
}

#[tokio::test]
async fn when_no_agent_can_be_reached_the_error_names_the_last_and_the_log_all() {
    let (logs, one, two) = (Logs::capture(), nobody().await, nobody().await);
    let error = of(&[&one, &two]).pass("a").await.unwrap_err().to_string();
    assert!(error.contains(&two), "{error}");
    let gone = logs.lines("WARN").into_iter().find(|line| line.contains("the registry is gone")).unwrap();
    assert!(gone.contains(&one) && gone.contains(&two), "{gone}");
}

#[tokio::test]
async fn an_agent_that_says_no_is_there() {
    let (one, two) = (Fake::start(), Fake::start());
    let consul = of(&[&one.url, &two.url]);
    for status in [403, 500, 503] {
        one.script(status, None, "no");
        let _ = consul.pass("a").await;
    }
    assert_eq!((one.asked().len(), two.asked().len()), (3, 0));
}

#[tokio::test]
async fn one_request_that_takes_long_is_no_reason_to_leave_an_agent() {
    let (one, two) = (Fake::start(), Fake::start());
    one.set("/v1/slow", 7, json!({}));
    one.set("/v1/agent/self", 7, json!({}));
    let consul = of(&[&one.url, &two.url]);
    // Index 7 is known: the fake waits.
    let mut request = Request::get(&["slow"]).with("index", "7").with("wait", "60000");
    request.timeout = Duration::from_millis(50);
    consul.http.send(&request).await.unwrap_err();
    let lines: Vec<_> = one.asked().into_iter().map(|asked| asked.line).collect();
    assert_eq!(lines, ["GET /v1/slow?index=7&wait=60000", "GET /v1/agent/self"]);
    assert_eq!(two.asked().len(), 0);
}

#[tokio::test]
async fn a_watch_goes_on_at_the_next_agent_with_an_index_of_that_one() {
    let (one, two) = (Fake::start(), Fake::start());
    one.set("/v1/health/service/users", 900, json!([{}]));
    two.set("/v1/health/service/users", 5, json!([{}, {}]));
    let consul = of(&[&one.url, &two.url]);
    let mut watch = consul.watch_instances("users", Duration::from_secs(60), Usage::default());
    assert_eq!(watch.next().await.unwrap().len(), 1);
    let waiting = tokio::spawn(async move {
        loop {
            match watch.next().await {
                Ok(entries) => return entries.len(),
                Err(failure) => watch.recover(&failure).await,
            }
        }
    });
    one.asked_at_least(2).await;
    one.stop().await;
    assert_eq!(waiting.await.unwrap(), 2);
    assert_eq!(two.asked()[0].line, "GET /v1/health/service/users?stale=");
}

#[tokio::test]
async fn who_waits_at_an_agent_that_others_left_leaves_too() {
    let (one, two) = (Fake::start(), Fake::start());
    one.set("/v1/health/service/users", 900, json!([{}]));
    let consul = of(&[&one.url, &two.url]);
    let mut watch = consul.watch_instances("users", Duration::from_secs(60), Usage::default());
    watch.next().await.unwrap();
    let waiting = tokio::spawn(async move { watch.next().await.unwrap_err().cause });
    one.asked_at_least(2).await;
    consul.http.leave();
    assert_eq!(waiting.await.unwrap(), Cause::Left);
}
