//! The schemas on disk, beside the mesh's snapshot: so that a gateway that is started while a service cannot be asked
//! serves its routes.
//!
//! One file: a line with format, version and checksum, then a protobuf message. It is replaced as a whole, so that a
//! reader finds the old or the new one; one that cannot be used is set aside.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use prost::Message;
use sha2::{Digest as _, Sha256};
use tokio::{sync::watch, task::spawn_blocking};
use tracing::warn;

use crate::schema::files::Files;

/// The first word of the file.
const FORMAT: &str = "selvedge-schemas";
/// What this program writes, and the newest that it reads.
const VERSION: u32 = 1;
/// The size of the largest file that is written or read, in bytes.
const MOST: usize = 64 * 1024 * 1024;

/// The schemas of one service: of each digest that it was registered with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    pub(crate) service: String,
    pub(crate) versions: Vec<(Option<String>, Files)>,
}

/// Where schemas are kept.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    most: usize,
    written: Vec<Kept>,
}

/// Why a file cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Unusable {
    #[error("it is no file of schemas")]
    Foreign,
    #[error("it is of version {0}, and this program reads up to {VERSION}")]
    Newer(u32),
    #[error("it is cut or corrupt: its checksum is another")]
    Corrupt,
    #[error("it is larger than {0} bytes")]
    Large(usize),
}

impl Store {
    /// Names the file of a gateway in a folder, which the mesh makes for its snapshot.
    pub(crate) fn new(folder: &Path, gateway: &str) -> Self {
        Self { path: folder.join(format!("{gateway}.schemas")), most: MOST, written: Vec::new() }
    }

    /// Reads what was kept, the service that was seen first before the others. A file that cannot be used is set aside
    /// with a warning. It blocks.
    pub(crate) fn read(&mut self) -> Vec<Kept> {
        let bytes = match read(&self.path, self.most) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                warn!(path = %self.path.display(), %error, "the kept schemas cannot be read: starting without");
                return Vec::new();
            }
        };
        match decode(&bytes, self.most) {
            Ok(kept) => self.written.clone_from(&kept),
            Err(reason) => set_aside(&self.path, &reason),
        }
        self.written.clone()
    }

    /// Writes all that is to be kept, if it is not what the file holds. The first services go first: what comes after
    /// the bound is told of and left out. It blocks; what fails is told, and the file stays as it was.
    pub(crate) fn write(&mut self, kept: Vec<Kept>) {
        let kept = self.bounded(kept);
        if kept == self.written {
            return;
        }
        match replace(&self.path, &encode(&kept)) {
            Ok(()) => self.written = kept,
            Err(error) => {
                warn!(path = %self.path.display(), %error, "the schemas cannot be kept on disk: the last file stays");
            }
        }
    }

    fn bounded(&self, kept: Vec<Kept>) -> Vec<Kept> {
        let mut free = self.most - head(&[]).len();
        let fits = |one: &Kept| {
            let left = free.checked_sub(Service::from(one).encoded_len() + 16);
            match left {
                Some(left) => free = left,
                None => warn!(service = one.service, "its schema is not kept on disk: there is no room in the bound"),
            }
            left.is_some()
        };
        kept.into_iter().filter(fits).collect()
    }
}

/// Writes what it is told, one after the other, and the last of it before it ends with the sender.
pub(crate) async fn keep(mut store: Store, mut told: watch::Receiver<Vec<Kept>>) {
    while told.changed().await.is_ok() {
        let kept = told.borrow_and_update().clone();
        let writing = spawn_blocking(move || {
            store.write(kept);
            store
        });
        let Ok(written) = writing.await else { return };
        store = written;
    }
}

/// What the file holds.
#[derive(Clone, PartialEq, Message)]
struct Contents {
    #[prost(message, repeated, tag = "1")]
    services: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    versions: Vec<Version>,
}

#[derive(Clone, PartialEq, Message)]
struct Version {
    #[prost(string, optional, tag = "1")]
    digest: Option<String>,
    #[prost(string, repeated, tag = "2")]
    services: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    files: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "bytes", tag = "2")]
    bytes: Bytes,
}

impl From<&Kept> for Service {
    fn from(kept: &Kept) -> Self {
        let file = |(name, bytes): (&String, &Bytes)| File { name: name.clone(), bytes: bytes.clone() };
        let versions = kept.versions.iter().map(|(digest, files)| Version {
            digest: digest.clone(),
            services: files.services.clone(),
            files: files.files.iter().map(file).collect(),
        });
        Self { name: kept.service.clone(), versions: versions.collect() }
    }
}

impl From<Service> for Kept {
    fn from(service: Service) -> Self {
        let versions = service.versions.into_iter().map(|version| {
            let files = version.files.into_iter().map(|file| (file.name, file.bytes)).collect();
            (version.digest, Files { files, services: version.services })
        });
        Self { service: service.name, versions: versions.collect() }
    }
}

fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One more, to see that it is too large.
    fs::File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn set_aside(path: &Path, reason: &Unusable) {
    let aside = path.with_extension("schemas.bad");
    let moved = fs::rename(path, &aside);
    let (path, aside) = (path.display(), aside.display());
    match moved {
        Ok(()) => warn!(%path, %aside, %reason, "the kept schemas cannot be used: set aside, and starting without"),
        Err(error) => warn!(%path, %reason, %error, "the kept schemas cannot be used: starting without"),
    }
}

fn encode(kept: &[Kept]) -> Vec<u8> {
    let body = Contents { services: kept.iter().map(Service::from).collect() }.encode_to_vec();
    let mut file = head(&body).into_bytes();
    file.extend(body);
    file
}

fn head(body: &[u8]) -> String {
    let checksum: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{FORMAT} {VERSION} {checksum}\n")
}

fn decode(file: &[u8], most: usize) -> Result<Vec<Kept>, Unusable> {
    let end = file.iter().take(256).position(|&byte| byte == b'\n').ok_or(Unusable::Foreign)?;
    let first = std::str::from_utf8(&file[..end]).map_err(|_| Unusable::Foreign)?;
    let mut words = first.split(' ');
    let (Some(FORMAT), Some(version)) = (words.next(), words.next()) else { return Err(Unusable::Foreign) };
    let version: u32 = version.parse().map_err(|_| Unusable::Foreign)?;
    if version > VERSION {
        return Err(Unusable::Newer(version));
    }
    if file.len() > most {
        return Err(Unusable::Large(most));
    }
    let body = &file[end + 1..];
    if file[..=end] != *head(body).as_bytes() {
        return Err(Unusable::Corrupt);
    }
    let contents = Contents::decode(body).map_err(|_| Unusable::Corrupt)?;
    Ok(contents.services.into_iter().map(Kept::from).collect())
}

/// Puts a new file, whole and on the disk, in the place of another.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let written = write_new(&new, bytes).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        _ = fs::remove_file(&new);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
