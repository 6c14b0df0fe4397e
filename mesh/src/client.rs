//! The stops of a call below its channel.
