//! Ports for programs that cannot listen on port 0.

use std::{
    net::{Ipv4Addr, TcpListener, UdpSocket},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};

/// Below what Linux gives to outgoing connections, so that no connection takes a port between choice and use.
const FIRST: u32 = 15_000;
const COUNT: u32 = 17_000;

/// How many ports of this process were looked at so far.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// Returns a port of 127.0.0.1 that is free for TCP and UDP, and that this process gets once only.
///
/// # Errors
///
/// If no port is free.
pub fn free_port() -> Result<u16> {
    // Test binaries that run at the same time begin at different places.
    let start = process::id().wrapping_mul(97);
    (0..COUNT)
        .map(|_| candidate(start, TAKEN.fetch_add(1, Ordering::Relaxed)))
        .find(|port| is_free(*port))
        .context("no free port on 127.0.0.1: end what holds them")
}

/// Returns several such ports.
///
/// # Errors
///
/// If no port is free.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    for port in &mut ports {
        *port = free_port()?;
    }
    Ok(ports)
}

fn candidate(start: u32, step: u32) -> u16 {
    let offset = start.wrapping_add(step) % COUNT;
    u16::try_from(FIRST + offset).expect("FIRST + COUNT is below 65536")
}

fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports = free_ports::<64>().unwrap();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), 64);
    }

    #[test]
    fn a_port_in_use_is_not_free() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(!is_free(held.local_addr().unwrap().port()));
        let held = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(!is_free(held.local_addr().unwrap().port()));
    }

    #[test]
    fn candidates_stay_below_the_ephemeral_range() {
        for start in [0, 1, u32::MAX] {
            for step in [0, 1, COUNT, u32::MAX] {
                assert!((15_000..32_000).contains(&candidate(start, step)));
            }
        }
    }
}
