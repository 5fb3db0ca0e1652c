//! The data folder: one instance at a time, and how a new ledger comes into being in it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::LedgerError;

use super::disk::FileDisk;
use super::open;

const LEDGER: &str = "ledger.redb";
const LOCK: &str = "allotment.lock";

/// Holds the data folder until it is dropped. The kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(folder: &Path) -> Result<Lock, LedgerError> {
        let path = folder.join(LOCK);
        let unavailable = |error: io::Error| unavailable(&path, &error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unavailable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Only for the message: a file without a readable number is no reason to hide the real one.
                let _ = file.read_to_string(&mut pid);
                let holder = match pid.trim() {
                    "" => "another process".to_owned(),
                    pid => format!("another process, pid {pid}"),
                };
                return Err(LedgerError::InUse { place: folder.display().to_string(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(unavailable(error)),
        }
        let note = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            writeln!(file, "{}", std::process::id())
        };
        // A full disk must not keep a daemon from serving what it can still read.
        if let Err(error) = note(&mut file) {
            tracing::debug!(path = %path.display(), %error, "the pid could not be noted in the lock file");
        }
        Ok(Lock { _file: file })
    }
}

/// The ledger's file in a data folder; a new one is made when there is none.
pub(super) fn ledger_file(folder: &Path) -> Result<(PathBuf, FileDisk), LedgerError> {
    let path = folder.join(LEDGER);
    let existing = || OpenOptions::new().read(true).write(true).open(&path);
    let file = match existing() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(folder, &path)?;
            existing()
        }
        other => other,
    };
    let file = file.map_err(|error| unavailable(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok((path, FileDisk::new(file))),
        Err(TryLockError::WouldBlock) => Err(LedgerError::InUse {
            place: path.display().to_string(),
            holder: "another process that opened the file itself".to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(unavailable(&path, &error)),
    }
}

/// Makes a ledger beside its place and moves it there when it is durable, so that there is never half a ledger.
fn create(folder: &Path, path: &Path) -> Result<(), LedgerError> {
    let draft = path.with_extension("redb.new");
    let unavailable = |error: io::Error| unavailable(&draft, &error);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&draft);
    let file = file.map_err(unavailable)?;
    let durable = file.try_clone().map_err(unavailable)?;
    open::create(Arc::new(FileDisk::new(file)), &draft.display().to_string(), draw_id())?;
    durable.sync_all().map_err(unavailable)?;
    fs::rename(&draft, path).map_err(unavailable)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(unavailable)
}

/// 128 bits that no other ledger has: the standard library's hash keys are drawn at random.
fn draw_id() -> u128 {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    half() << 64 | half()
}

fn unavailable(path: &Path, error: &io::Error) -> LedgerError {
    LedgerError::Unavailable { place: path.display().to_string(), why: error.to_string() }
}
