//! `/v1/agent`: what services ask their own agent, and tell it. Nothing here blocks but `service/:id` with a hash.

pub(crate) mod check;
pub(crate) mod node;
pub(crate) mod service;
pub(crate) mod service_health;
