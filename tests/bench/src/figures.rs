//! What a benchmark measured: medians over its rounds, as a table and as JSON.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context as _;
use serde::Serialize;

/// All samples by name.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    samples: BTreeMap<String, (Vec<f64>, &'static str)>,
}

#[derive(Debug, Serialize)]
struct File<'a> {
    figures: Vec<Figure<'a>>,
}

#[derive(Debug, Serialize)]
struct Figure<'a> {
    name: &'a str,
    value: f64,
    unit: &'a str,
}

impl Figures {
    pub(crate) fn add(&mut self, name: String, value: f64, unit: &'static str) {
        self.samples.entry(name).or_insert_with(|| (Vec::new(), unit)).0.push(value);
    }

    /// Returns the median of all rounds.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        let mut values = self.samples.get(name)?.0.clone();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    /// Writes `{"figures": [{"name", "value", "unit"}]}`.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let figures =
            self.samples.iter().filter_map(|(name, (_, unit))| Some(Figure { name, value: self.median(name)?, unit }));
        let text = serde_json::to_string_pretty(&File { figures: figures.collect() })?;
        let folder = path.parent().context("the file is in a folder")?;
        fs::create_dir_all(folder)?;
        Ok(fs::write(path, text)?)
    }
}
