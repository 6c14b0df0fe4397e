//! What a program printed, line by line, while it runs.

use std::{
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Result, bail};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

/// How many of the last lines an error shows.
const SHOWN: usize = 40;

/// Where a line was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One printed line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it was printed.
    pub stream: Stream,
    /// What it says; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// The lines of both streams in the order of their arrival.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    lines: Arc<Mutex<Vec<Line>>>,
    /// The count of lines; ends when both streams have ended.
    count: watch::Receiver<usize>,
}

impl Output {
    /// Begins to read both streams, each in a task that ends with it.
    pub(crate) fn read(
        stdout: impl AsyncRead + Send + Unpin + 'static,
        stderr: impl AsyncRead + Send + Unpin + 'static,
    ) -> (Self, [JoinHandle<()>; 2]) {
        let (sender, count) = watch::channel(0);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Sink { lines: Arc::clone(&lines), count: sender };
        let tasks =
            [tokio::spawn(sink.clone().fill(stdout, Stream::Stdout)), tokio::spawn(sink.fill(stderr, Stream::Stderr))];
        (Self { lines, count }, tasks)
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        locked(&self.lines).clone()
    }

    /// Waits for a line, looking at those already printed first.
    pub(crate) async fn wait_for(&self, wanted: impl Fn(&str) -> bool, limit: Duration) -> Result<String> {
        match timeout(limit, self.find(wanted)).await {
            Ok(Some(line)) => Ok(line),
            Ok(None) => bail!("the program ended without the line; {}", self.tail()),
            Err(_) => bail!("no such line within {limit:?}; {}", self.tail()),
        }
    }

    /// Waits until both streams have ended.
    pub(crate) async fn ended(&self) {
        let mut count = self.count.clone();
        while count.changed().await.is_ok() {}
    }

    /// Returns the last lines for an error.
    pub(crate) fn tail(&self) -> String {
        let lines = self.lines();
        let shown = &lines[lines.len().saturating_sub(SHOWN)..];
        shown.iter().fold("its last lines:".to_owned(), |mut text, line| {
            write!(text, "\n  {}", line.text).expect("a String takes everything");
            text
        })
    }

    /// Returns the first line that is wanted, or none if both streams end before.
    async fn find(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let mut count = self.count.clone();
        let mut seen = 0;
        loop {
            // Marked as seen before the look, so that what comes after it wakes us.
            let now = *count.borrow_and_update();
            let found = locked(&self.lines)[seen..now].iter().find(|line| wanted(&line.text)).cloned();
            if let Some(line) = found {
                return Some(line.text);
            }
            seen = now;
            let ended = count.changed().await.is_err();
            if ended && *count.borrow() == seen {
                return None;
            }
        }
    }
}

/// The writing end of an [`Output`].
#[derive(Clone, Debug)]
struct Sink {
    lines: Arc<Mutex<Vec<Line>>>,
    count: watch::Sender<usize>,
}

impl Sink {
    async fn fill(self, source: impl AsyncRead + Unpin, stream: Stream) {
        let mut source = BufReader::new(source);
        let mut bytes = Vec::new();
        while source.read_until(b'\n', &mut bytes).await.is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned();
            self.add(Line { stream, text });
            bytes.clear();
        }
    }

    fn add(&self, line: Line) {
        locked(&self.lines).push(line);
        self.count.send_modify(|count| *count += 1);
    }
}

/// Locks; a test that panicked elsewhere is no reason to hide the output.
fn locked(lines: &Mutex<Vec<Line>>) -> MutexGuard<'_, Vec<Line>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}
