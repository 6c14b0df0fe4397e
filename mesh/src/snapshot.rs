//! The last known good on disk: names and addresses, neither keys nor tokens.
//!
//! One file: a line with format, version and checksum, then JSON. It is replaced as a whole, so that a reader finds
//! the old or the new one; one that cannot be used is set aside.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tracing::warn;

use crate::error::Error;

/// The first word of a snapshot.
const FORMAT: &str = "selvedge-snapshot";

/// What this program writes, and the newest that it reads.
const VERSION: u32 = 1;

/// One instance, as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tags: Vec<String>,
    pub(crate) meta: BTreeMap<String, String>,
    /// At least 1; files of the first version have none.
    #[serde(default = "one")]
    pub(crate) weight: u32,
    #[serde(default)]
    pub(crate) zone: Option<String>,
}

fn one() -> u32 {
    1
}

/// Services and their tags.
pub(crate) type Names = BTreeMap<String, Vec<String>>;

/// All that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
struct Contents {
    datacenter: String,
    services: Option<Names>,
    instances: BTreeMap<String, Vec<Record>>,
}

/// The last known good of one service's mesh.
#[derive(Debug)]
pub(crate) struct Snapshot {
    path: PathBuf,
    /// How old it was when it was read; nothing if there was none to use.
    age: Option<Duration>,
    state: Mutex<State>,
    /// Two writes at once would mix their files up.
    writing: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    contents: Contents,
    /// There is something that is not written, and nobody about to do so.
    pending: bool,
}

/// Why a file cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Unusable {
    #[error("it is no snapshot")]
    Foreign,
    #[error("it is of version {0}, and this program reads up to {VERSION}")]
    Newer(u32),
    #[error("it is cut or corrupt: its checksum is another")]
    Corrupt,
    #[error("it is of the datacenter {0:?}")]
    Elsewhere(String),
}

impl Snapshot {
    /// Reads the snapshot of a service in a folder, which is made if it is not there. One that cannot be used is set
    /// aside with a warning.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the folder cannot be made.
    pub(crate) fn open(folder: &Path, service: &str, datacenter: Option<&str>) -> Result<Self, Error> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| {
            Error::config("discovery.snapshot", &format!("cannot make the folder {}: {error}", folder.display()))
        })?;
        let path = folder.join(format!("{service}.snapshot"));
        let read = read(&path, datacenter);
        let age = read.as_ref().map(|_| age(&path));
        let mut contents = read.unwrap_or_default();
        contents.datacenter = datacenter.map_or(contents.datacenter, str::to_owned);
        let state = Mutex::new(State { contents, pending: false });
        Ok(Self { path, age, state, writing: Mutex::new(()) })
    }

    /// How old what was read was then; nothing if there was nothing to use.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.age
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the instances of a service, if they are known.
    pub(crate) fn instances(&self, service: &str) -> Option<Vec<Record>> {
        self.state().contents.instances.get(service).cloned()
    }

    /// Returns the names of all services, if they are known.
    pub(crate) fn services(&self) -> Option<Names> {
        self.state().contents.services.clone()
    }

    /// Keeps the instances of a service. Returns whether the caller is to see to [`Snapshot::write`].
    pub(crate) fn keep_instances(&self, service: &str, records: Vec<Record>) -> bool {
        self.keep(|contents| {
            let news = contents.instances.get(service) != Some(&records);
            if news {
                contents.instances.insert(service.to_owned(), records);
            }
            news
        })
    }

    /// Keeps the names of all services. Returns whether the caller is to see to [`Snapshot::write`].
    pub(crate) fn keep_services(&self, names: &Names) -> bool {
        self.keep(|contents| {
            let news = contents.services.as_ref() != Some(names);
            if news {
                contents.services = Some(names.clone());
            }
            news
        })
    }

    /// Notes in which datacenter the registry says it is.
    pub(crate) fn note_datacenter(&self, datacenter: &str) {
        let mut state = self.state();
        if !datacenter.is_empty() && state.contents.datacenter != datacenter {
            state.contents.datacenter = datacenter.to_owned();
        }
    }

    fn keep(&self, change: impl FnOnce(&mut Contents) -> bool) -> bool {
        let mut state = self.state();
        change(&mut state.contents) && !std::mem::replace(&mut state.pending, true)
    }

    /// Writes what is kept. It blocks; what fails is told, and the file is as it was.
    pub(crate) fn write(&self) {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = {
            let mut state = self.state();
            state.pending = false;
            state.contents.clone()
        };
        if let Err(error) = replace(&self.path, &encode(&contents)) {
            warn!(path = %self.path.display(), %error, "the snapshot cannot be written: the last one stays");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a file, or sets it aside.
fn read(path: &Path, datacenter: Option<&str>) -> Option<Contents> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            warn!(path = %path.display(), %error, "the snapshot cannot be read: starting without");
            return None;
        }
    };
    decode(&bytes, datacenter).map_err(|reason| set_aside(path, &reason)).ok()
}

fn set_aside(path: &Path, reason: &Unusable) {
    let aside = path.with_extension("snapshot.bad");
    let moved = fs::rename(path, &aside);
    let (path, aside) = (path.display(), aside.display());
    match moved {
        Ok(()) => warn!(%path, %aside, %reason, "the snapshot cannot be used: set aside, and starting without"),
        Err(error) => warn!(%path, %reason, %error, "the snapshot cannot be used: starting without"),
    }
}

fn age(path: &Path) -> Duration {
    let written = fs::metadata(path).and_then(|found| found.modified()).ok();
    written.and_then(|at| at.elapsed().ok()).unwrap_or_default()
}

fn encode(contents: &Contents) -> Vec<u8> {
    let body = serde_json::to_vec(contents).expect("maps with text as keys are JSON");
    let mut file = format!("{FORMAT} {VERSION} {}\n", checksum(&body)).into_bytes();
    file.extend(body);
    file
}

fn decode(file: &[u8], datacenter: Option<&str>) -> Result<Contents, Unusable> {
    let end = file.iter().position(|&byte| byte == b'\n').ok_or(Unusable::Foreign)?;
    let head = std::str::from_utf8(&file[..end]).map_err(|_| Unusable::Foreign)?;
    let mut words = head.split(' ');
    let (Some(FORMAT), Some(version), sum) = (words.next(), words.next(), words.next()) else {
        return Err(Unusable::Foreign);
    };
    let version: u32 = version.parse().map_err(|_| Unusable::Foreign)?;
    if version > VERSION {
        return Err(Unusable::Newer(version));
    }
    let body = &file[end + 1..];
    if sum != Some(&checksum(body)) {
        return Err(Unusable::Corrupt);
    }
    let contents: Contents = serde_json::from_slice(body).map_err(|_| Unusable::Corrupt)?;
    let elsewhere = datacenter.is_some_and(|wanted| !contents.datacenter.is_empty() && wanted != contents.datacenter);
    if elsewhere { Err(Unusable::Elsewhere(contents.datacenter)) } else { Ok(contents) }
}

fn checksum(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts a new file, whole and on the disk, in the place of another.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    /// Several meshes of one process may have the same file.
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let new = path.with_extension(format!("{}-{serial}.new", std::process::id()));
    let written = write_new(&new, bytes).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
