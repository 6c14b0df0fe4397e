//! What of a method's messages is known where they are read and written.

use std::sync::Arc;

use prost_reflect::{FieldDescriptor, MethodDescriptor};

use crate::json::{
    settings::Settings,
    types::{Field, Layout, Types},
};

/// The types of a method, and how its JSON looks.
#[derive(Clone, Debug)]
pub(crate) struct Codec {
    types: Arc<Types>,
    input: usize,
    output: usize,
    pub(crate) settings: Settings,
}

impl Codec {
    /// Makes it for a method whose messages are of these types.
    pub(crate) fn new(types: Arc<Types>, method: &MethodDescriptor, settings: Settings) -> Self {
        let place = |name: &str| types.place(name).expect("a method's messages are of its pool");
        let (input, output) = (place(method.input().full_name()), place(method.output().full_name()));
        Self { types, input, output, settings }
    }

    pub(crate) fn types(&self) -> &Types {
        &self.types
    }

    pub(crate) fn input(&self) -> &Layout {
        self.types.message(self.input)
    }

    pub(crate) fn output(&self) -> &Layout {
        self.types.message(self.output)
    }

    /// Returns a field of the request.
    pub(crate) fn field(&self, field: &FieldDescriptor) -> &Field {
        &self.input().fields[place(self.input(), field)]
    }

    /// Returns a field of the answer.
    pub(crate) fn answered(&self, field: &FieldDescriptor) -> &Field {
        &self.output().fields[self.place_answered(field)]
    }

    /// Returns the place of a field of the answer.
    pub(crate) fn place_answered(&self, field: &FieldDescriptor) -> usize {
        place(self.output(), field)
    }
}

fn place(layout: &Layout, field: &FieldDescriptor) -> usize {
    layout.numbered(field.number(), 0).expect("it is a field of this message")
}
