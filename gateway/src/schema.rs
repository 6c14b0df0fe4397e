//! What the gateway knows of protos: one immutable [`Schema`], swapped whole when a service changes.

mod learn;
mod reflect;

mod index;
mod report;

mod bindings;
mod learned;
mod routes;
mod template;

pub(crate) use self::{
    bindings::{Binding, BodyRule},
    index::{OWN, Schema, Target},
    learn::Learner,
    learned::{Files, Learned, RawSet},
    routes::Matched,
    template::{Piece, Template, Variable},
};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use self::{index::State, routes::Routes};
