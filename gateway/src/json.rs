//! JSON and the wire format of protobuf, turned into each other by descriptor: nothing is built in between.

mod read;
mod write;

mod codec;
mod encoder;
mod settings;
mod text;

mod cursor;
mod known;
mod scalar;
mod time;
mod types;
mod wire;

pub(crate) use self::{
    codec::Codec,
    cursor::Bad,
    encoder::Encoder,
    known::{Known, wrapped},
    read::{Reader, Wrong},
    scalar::Not,
    settings::Settings,
    text::text,
    types::{Field, GOOGLE_RPC, Layout, Repeat, Shape, Types},
    wire::{Malformed, Value},
    write::{Writer, single, wholly},
};

#[cfg(test)]
mod tests;
