//! A real browser. `tests/browser/drive.mjs` drives it.

use std::path::PathBuf;

use crate::{
    skip::{current_test, skip},
    tools,
};

/// An installed Chromium.
#[derive(Clone, Debug)]
pub struct Chromium {
    path: PathBuf,
}

impl Chromium {
    /// Finds it. Returns none where it is not installed: the test is then skipped, loudly.
    ///
    /// # Panics
    ///
    /// In CI, where it is not installed.
    #[must_use]
    pub fn find() -> Option<Self> {
        let Some(path) = tools::tool("chromium", "SELVEDGE_TEST_CHROMIUM") else {
            skip(&current_test(), "no chromium: run `cargo xtask tools`");
            return None;
        };
        Some(Self { path })
    }

    /// Returns the path of the program.
    #[must_use]
    pub fn path(&self) -> &PathBuf {
        &self.path
    }
}
