//! Keeps the cores from deep sleep while something is measured.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
};

/// Where Linux takes the longest wait that a core may need to wake, as long as the file is open (Documentation, "PM Quality
/// Of Service Interface").
const LATENCY: &str = "/dev/cpu_dma_latency";

/// Holds the cores awake until it is dropped.
///
/// A core of a virtual machine that sleeps is woken through the hypervisor, which takes longer than a call: what is
/// measured then is how often a way of calling lets the cores sleep.
#[derive(Debug)]
pub(crate) struct Awake {
    _held: Option<File>,
}

impl Awake {
    /// Says whether the cores can be held, which wants root.
    pub(crate) fn hold() -> Self {
        let held = OpenOptions::new().write(true).open(LATENCY).and_then(|mut file| {
            // At most no time at all, in microseconds.
            file.write_all(&0_i32.to_ne_bytes())?;
            Ok(file)
        });
        match &held {
            Ok(_) => println!("the cores are kept awake ({LATENCY})"),
            Err(error) => println!("the cores may sleep between calls: {LATENCY} cannot be held ({error})"),
        }
        Self { _held: held.ok() }
    }
}
