//! The registry of this repository as a program of its own.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use crate::{eventually::LIMIT, program::Program};

/// A `selvedge registry` on a free port. Ended when dropped.
#[derive(Debug)]
pub struct Embedded {
    program: Program,
    address: SocketAddr,
}

impl Embedded {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    ///
    /// If it was not built or does not come up.
    pub async fn start() -> Result<Self> {
        Self::start_at("127.0.0.1:0").await
    }

    /// Starts one at an address: the one of another that ended, for a registry that comes back.
    ///
    /// # Errors
    ///
    /// If it was not built or does not come up.
    pub async fn start_at(listen: &str) -> Result<Self> {
        let program = Program::spawn("selvedge", &["registry", "--listen", listen], &[])?;
        let line = program.wait_for_line(|line| address(line).is_some(), LIMIT).await?;
        let address = address(&line).context("the line had an address a moment ago")?;
        Ok(Self { program, address })
    }

    /// Returns its address, as in `http://127.0.0.1:8500`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the program, to read its output or to signal it.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }
}

/// Returns the first address with a port in a line, whatever stands around it.
fn address(line: &str) -> Option<SocketAddr> {
    let words = line.split(|letter: char| letter.is_whitespace() || "/,;()`\"".contains(letter));
    let ends = ['.', ':'];
    let addresses = words.filter_map(|word| word.trim_matches(ends).parse::<SocketAddr>().ok());
    addresses.into_iter().find(|address| address.port() != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_prose() {
        let here: SocketAddr = "127.0.0.1:8500".parse().unwrap();
        for line in
            ["registry at http://127.0.0.1:8500 (for one machine)", "listening on 127.0.0.1:8500.", "(127.0.0.1:8500)"]
        {
            assert_eq!(address(line), Some(here), "{line}");
        }
        assert_eq!(address("asked for 127.0.0.1:0"), None);
        assert_eq!(address("12:30:01 starting"), None);
    }
}
