//! Faults on demand, under `/__dev`: what registries do to their clients on bad days, for tests of those clients.
//!
//! Only there where it was asked for. Which faults there are, and what they do: `mesh/registry/docs/README.md`.

mod control;
mod plan;
mod strike;

use std::sync::Arc;

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{get, put},
};

use crate::{
    faults::{
        control::{Controlled, begin, end, end_all, list},
        plan::Plan,
        strike::strike,
    },
    store::Shared,
};

/// Puts faults before the endpoints, and what begins and ends them beside.
pub(crate) fn with_faults(endpoints: Router, store: Shared) -> Router {
    let plan = Arc::new(Plan::default());
    let controlled = Controlled { plan: Arc::clone(&plan), store };
    let control = Router::new()
        .route("/__dev/", get(list).delete(end_all))
        .route("/__dev/{fault}", put(begin).delete(end))
        .with_state(controlled);
    endpoints.layer(from_fn_with_state(plan, strike)).merge(control)
}
