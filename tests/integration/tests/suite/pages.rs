//! Clients that are generated of the live mesh: in a browser, on a page of another origin; and on Node. All run once;
//! each trial of each client is a test of its own, and says what went wrong with it.

mod run;

use self::run::{Place, outcome};

/// Makes a test of each trial of a client: see `tests/browser/page/trials.ts`, and `node/node.ts`.
macro_rules! trials {
    ($module:ident, $place:ident $client:literal: $($trial:ident)*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $trial() -> anyhow::Result<()> {
                    crate::pages::succeeds(crate::pages::Place::$place, $client, stringify!($trial)).await
                }
            )*
        }
    };
}

trials!(connect_web, Page "connect-web": page unary server_stream error_details cancel large_message metadata);
trials!(grpc_web, Page "grpc-web": page unary server_stream error_details cancel large_message metadata);
trials!(nice_grpc_web, Page "nice-grpc-web": page unary server_stream error_details cancel large_message metadata);
// REST knows no metadata.
trials!(openapi_fetch, Page "openapi-fetch": page unary server_stream error_details cancel large_message);
trials!(grpc_js, Gateway "grpc-js": unary server_stream error_details cancel deadline large_message metadata);
trials!(grpc_js_direct, Instance "grpc-js": unary server_stream error_details cancel deadline large_message);

async fn succeeds(place: Place, client: &str, trial: &str) -> anyhow::Result<()> {
    let Some(outcome) = outcome().await? else { return Ok(()) };
    let problem = outcome.of(place, client, trial);
    assert_eq!(problem, Ok(()), "{client}, {trial}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_no_allowed_origin_gets_nothing() -> anyhow::Result<()> {
    let Some(outcome) = outcome().await? else { return Ok(()) };
    let done = outcome.done_by_a_stranger();
    assert!(done.is_empty(), "{done:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_stream_runs_on_that_a_page_gave_up() -> anyhow::Result<()> {
    let Some(outcome) = outcome().await? else { return Ok(()) };
    assert_eq!(outcome.streams_left, None);
    Ok(())
}

/// A trial that nobody here knows of would fail in silence.
#[tokio::test(flavor = "multi_thread")]
async fn every_trial_has_its_test() -> anyhow::Result<()> {
    let Some(outcome) = outcome().await? else { return Ok(()) };
    assert_eq!(outcome.trials(), 3 * 7 + 6 + 7 + 6);
    Ok(())
}
