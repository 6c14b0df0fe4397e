//! `/v1/acl`: there are no tokens but the one that is set when the registry starts.

use axum::extract::State;

use crate::{
    answer::{Answer, Refusal},
    query::Query,
    store::Shared,
};

/// Refuses: as a Consul without ACLs does, or because no other token can be made.
pub(crate) async fn refuse(State(store): State<Shared>, query: Query) -> Answer {
    if store.token().is_none() {
        return Err(Refusal::unauthorized("ACL support disabled"));
    }
    query.caller.known()?;
    Err(Refusal::internal("this registry has the one token that it was started with, and no others: use a Consul"))
}
