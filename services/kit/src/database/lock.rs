//! One process at a time prepares a database.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::Path,
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::database::error::OpenError;

/// Longer than any schema of ours takes.
const LONGEST: Duration = Duration::from_secs(30);
/// How often to look whether the other is done.
const PAUSE: Duration = Duration::from_millis(20);

/// An exclusive lock on a file beside the database. The system takes it back from a process that dies.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Waits for the lock of a database.
    pub(crate) async fn take(database: &Path) -> Result<Self, OpenError> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let folder = || database.parent().unwrap_or(database).to_path_buf();
        let unusable = |source: io::Error| OpenError::Folder { folder: folder(), source };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(unusable)?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::Error(source)) => return Err(unusable(source)),
                Err(TryLockError::WouldBlock) if begun.elapsed() < LONGEST => sleep(PAUSE).await,
                Err(TryLockError::WouldBlock) => {
                    return Err(OpenError::Locked { path: database.into(), waited: LONGEST });
                }
            }
        }
    }
}
