//! What the gateway knows of protos: one immutable [`Schema`], swapped whole when a service changes.

mod learn;
mod reading;
mod reflect;
mod registered;
mod store;

mod index;
mod report;

mod bindings;
mod census;
mod editions;
mod files;
mod honest;
mod learned;
mod method;
mod narrow;
mod routes;
mod template;

pub(crate) use self::{
    bindings::{Binding, BodyRule},
    editions::linkable,
    files::{Files, RawSet},
    index::{OWN, Schema, Target},
    learn::Learner,
    learned::Learned,
    routes::Matched,
    template::{Piece, Template, Variable},
};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use self::{index::State, routes::Routes};
