//! The protobufs that services share: their generated code, and one descriptor set per domain.
//!
//! Descriptor sets are kept as the bytes that the compiler wrote, with imports, comments and options: decoding and
//! encoding them again with `prost` would drop `google.api.http`.

pub mod codec;

/// Types of Google that our protos use.
pub mod google {
    /// `google.type`.
    pub mod r#type {
        pub use crate::generated::google::r#type::Money;
    }
}

/// `selvedge.users`.
pub mod users {
    /// `selvedge.users.v1`.
    pub mod v1 {
        pub use crate::generated::selvedge::users::v1::*;

        /// An encoded `FileDescriptorSet`: `selvedge.users.v1`, all that it imports, and the details of its errors.
        pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/users.v1.bin"));
    }
}

/// `selvedge.catalog`.
pub mod catalog {
    /// `selvedge.catalog.v1`.
    pub mod v1 {
        pub use crate::generated::selvedge::catalog::v1::*;

        /// An encoded `FileDescriptorSet`: `selvedge.catalog.v1`, all that it imports, and the details of its errors.
        pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/catalog.v1.bin"));
    }
}

#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    missing_debug_implementations,
    unreachable_pub,
    reason = "written by a tool: the house's lints are not its rules"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/protos.rs"));
}

#[cfg(test)]
mod tests;
