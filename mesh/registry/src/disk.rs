//! What survives a restart, even an end without warning: all of the state in one file, which is replaced as one.

mod saved;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{task::spawn_blocking, time::Instant};
use tracing::{info, warn};

use crate::{
    disk::saved::Saved,
    error::Error,
    record::Node,
    state::State,
    store::{Shared, Written},
};

const FILE: &str = "registry.json";
const NEW_FILE: &str = "registry.json.new";
const LOCK_FILE: &str = "lock";
/// Values may be secrets.
const MODE: u32 = 0o600;

/// A folder that this process alone writes to.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Held until it is dropped.
    _lock: File,
}

impl Folder {
    /// Opens a folder, which is made if there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::folder(path, &error);
        fs::create_dir_all(path).map_err(failed)?;
        let lock = OpenOptions::new().create(true).append(true).open(path.join(LOCK_FILE)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::folder(path, &"another registry uses it")),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Returns the state that was saved, as that of `node`; none if nothing was.
    pub(crate) fn load(&self, node: &Node) -> Result<Option<State>, Error> {
        let path = self.path.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::folder(&path, &error)),
        };
        let state = Saved::read(&text).and_then(|saved| saved.restore(node, Instant::now()));
        let state = state.map_err(|reason| Error::folder(&path, &reason))?;
        info!(path = %path.display(), services = state.services.len(), "state restored");
        Ok(Some(state))
    }

    /// Replaces the file: whoever reads it at whatever time finds the old one or the new one, whole.
    fn save(&self, text: &[u8]) -> io::Result<()> {
        let new = self.path.join(NEW_FILE);
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(MODE).open(&new)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&new, self.path.join(FILE))?;
        File::open(&self.path)?.sync_all()
    }
}

/// Saves the state after each change, several together if they come faster, until it is dropped.
pub(crate) async fn run(folder: Arc<Folder>, store: Shared) {
    let mut changes = store.changes();
    // What the file is known to hold.
    let mut known = Arc::default();
    loop {
        let version = *changes.borrow_and_update();
        let failure = match save(&folder, &store, &known).await {
            Ok(text) => {
                known = text;
                None
            }
            Err(error) => {
                warn!(path = %folder.path.display(), %error, "the state was not saved");
                known = Arc::default();
                Some(error)
            }
        };
        store.written(Written { version, failure });
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Saves the state unless the file holds it: a lease that is renewed changes nothing there. Returns what it holds.
async fn save(folder: &Arc<Folder>, store: &Shared, known: &Arc<Vec<u8>>) -> Result<Arc<Vec<u8>>, String> {
    let saved = store.read(Saved::of);
    let (folder, known) = (Arc::clone(folder), Arc::clone(known));
    let write = spawn_blocking(move || {
        let text = serde_json::to_vec(&saved).map_err(|error| error.to_string())?;
        if text == *known {
            return Ok(known);
        }
        folder.save(&text).map_err(|error| format!("cannot write to {}: {error}", folder.path.display()))?;
        Ok(Arc::new(text))
    });
    write.await.map_err(|error| error.to_string())?
}

#[cfg(test)]
mod tests;
