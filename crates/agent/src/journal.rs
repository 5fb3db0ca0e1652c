//! The node's memory: a file that entries are appended to, and that is durable before anything relies on them.
//!
//! One thread writes. Whoever comes while it waits for the disk shares the next write: one `fdatasync` for all. Entries are
//! written into room that the file has already, so that the disk need not learn of a longer file each time.

mod line;

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

pub(crate) use line::{Given, Line};

/// The file in the state folder.
const NAME: &str = "journal";

/// A file that is shorter is not rewritten, whatever is in it.
const REWRITE_FROM: u64 = 256 << 10;

/// A file is rewritten when it is so many times as long as it was after the last time.
const REWRITE_AT: u64 = 4;

/// Bytes of zeros behind the last entry, when the file is made longer: room for some hundred entries.
const ROOM: usize = 64 << 10;

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the state folder `{folder}` is used by another agent")]
    InUse { folder: PathBuf },
    #[error("cannot {what} `{path}`: {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the journal `{path}` cannot be read: {why}; run the version that wrote it, or a newer one")]
    TooNew { path: PathBuf, why: String },
}

/// It may not be durable: nothing may rest on it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the journal cannot be written: {0}")]
pub(crate) struct NotDurable(String);

/// What was in the file.
pub(crate) struct Found {
    pub(crate) journal: Journal,
    pub(crate) lines: Vec<Line>,
    /// The file was not whole. What an unfinished entry should have said was never relied upon, but a file that was cut off
    /// looks the same: what it lacks, only the live namespaces can tell.
    pub(crate) is_damaged: bool,
}

/// Where entries are handed in. They become durable in this order.
pub(crate) struct Journal {
    jobs: Sender<Job>,
    state: Arc<State>,
    /// Keeps a second agent out.
    _lock: File,
}

#[derive(Default)]
struct State {
    /// Bytes of entries in the file.
    length: AtomicU64,
    /// Bytes above which it is worth being rewritten.
    limit: AtomicU64,
    /// Why the last write failed, and when; nothing since one succeeded.
    failure: Mutex<Option<(Instant, String)>>,
}

enum Job {
    Append(Vec<u8>, oneshot::Sender<Result<(), NotDurable>>),
    Rewrite(Vec<u8>),
}

/// Resolves when an entry, and all before it, are durable.
pub(crate) struct Durable(oneshot::Receiver<Result<(), NotDurable>>);

impl Durable {
    pub(crate) async fn wait(self) -> Result<(), NotDurable> {
        self.0.await.unwrap_or_else(|_| Err(NotDurable("its thread has ended".to_owned())))
    }
}

impl Journal {
    /// Opens the journal in `folder`, which is made if it is missing. A last entry that is not finished is cut off; a damaged
    /// file is put aside, and what of it can be read is kept.
    pub(crate) fn open(folder: &Path) -> Result<Found, OpenError> {
        let io = |what, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { what, path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io("make", folder))?;
        let lock = lock(folder)?;
        let path = folder.join(NAME);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(io("read", &path))?,
        };
        let text = line::decode(&bytes)
            .map_err(|why| OpenError::TooNew { path: path.clone(), why: why.to_string() })?;
        if text.torn > 0 {
            tracing::warn!(bytes = text.torn, "the journal ends in an unfinished entry, which is cut off");
        }
        if text.damaged > 0 {
            let aside = folder.join(format!("{NAME}.damaged-{}", seconds()));
            fs::copy(&path, &aside).map_err(io("copy", &path))?;
            tracing::error!(
                entries = text.damaged, kept = text.lines.len(), aside = %aside.display(),
                "the journal is damaged: what it lacks is looked for in the live network namespaces"
            );
        }
        let mut whole = Vec::new();
        line::header(&mut whole);
        text.lines.iter().for_each(|line| line.encode(&mut whole));
        let (file, room) = replace(folder, &whole).map_err(io("write", &path))?;
        let state = Arc::new(State::default());
        state.rewritten(whole.len());
        let (jobs, queue) = channel();
        let (folder, backlog) = (folder.to_owned(), Vec::new());
        let writer = Writer { folder, file, room, backlog, state: Arc::clone(&state) };
        let spawned = thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run(&queue));
        spawned.map_err(io("start a thread for", &path))?;
        let journal = Journal { jobs, state, _lock: lock };
        Ok(Found { journal, lines: text.lines, is_damaged: text.damaged + text.torn > 0 })
    }

    /// Hands in an entry; an empty one waits for those before it.
    pub(crate) fn append(&self, line: &Line) -> Durable {
        let mut bytes = Vec::new();
        if *line != Line::default() {
            line.encode(&mut bytes);
        }
        let (done, durable) = oneshot::channel();
        // Without a thread the sender is dropped, and the receiver learns of it.
        let _ = self.jobs.send(Job::Append(bytes, done));
        Durable(durable)
    }

    /// Whether most of the file is of no use any more.
    pub(crate) fn wants_rewrite(&self) -> bool {
        self.state.length.load(Ordering::Relaxed) > self.state.limit.load(Ordering::Relaxed)
    }

    /// Replaces all that was handed in so far.
    pub(crate) fn rewrite<'a>(&self, lines: impl IntoIterator<Item = &'a Line>) {
        let mut bytes = Vec::new();
        line::header(&mut bytes);
        lines.into_iter().for_each(|line| line.encode(&mut bytes));
        // Not asked for again before it is done.
        self.state.limit.store(u64::MAX, Ordering::Relaxed);
        let _ = self.jobs.send(Job::Rewrite(bytes));
    }

    /// Bytes of entries in the file.
    pub(crate) fn length(&self) -> u64 {
        self.state.length.load(Ordering::Relaxed)
    }

    /// Why the last write failed, and when that was.
    pub(crate) fn failure(&self) -> Option<(Instant, String)> {
        self.state.failure().clone()
    }
}

impl State {
    fn failure(&self) -> std::sync::MutexGuard<'_, Option<(Instant, String)>> {
        // A poisoned lock guards a value that is whole.
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rewritten(&self, length: usize) {
        let length = length as u64;
        self.length.store(length, Ordering::Relaxed);
        self.limit.store((length * REWRITE_AT).max(REWRITE_FROM), Ordering::Relaxed);
    }
}

struct Writer {
    folder: PathBuf,
    file: File,
    /// The file's length: entries, then zeros.
    room: u64,
    /// What could not be written: it goes before anything else, so that no entry is missing before a later one.
    backlog: Vec<u8>,
    state: Arc<State>,
}

impl Writer {
    /// Until nobody can hand in anything any more.
    fn run(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let mut waiting = Vec::new();
            for job in std::iter::once(first).chain(queue.try_iter()) {
                match job {
                    Job::Append(bytes, done) => {
                        self.backlog.extend_from_slice(&bytes);
                        waiting.push(done);
                    }
                    Job::Rewrite(bytes) => self.rewrite(&bytes),
                }
            }
            let outcome = self.flush().map_err(|error| NotDurable(error.to_string()));
            *self.state.failure() = outcome.as_ref().err().map(|why| (Instant::now(), why.0.clone()));
            for done in waiting {
                // Whoever asked may have gone.
                let _ = done.send(outcome.clone());
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.backlog.is_empty() {
            return Ok(());
        }
        let start = self.state.length.load(Ordering::Relaxed);
        let length = self.backlog.len();
        let end = start + length as u64;
        if end > self.room {
            self.backlog.resize(length + ROOM, 0);
        }
        let written = self.file.write_all_at(&self.backlog, start).and_then(|()| self.file.sync_data());
        let room = start + self.backlog.len() as u64;
        self.backlog.truncate(length);
        if let Err(error) = written {
            // Half an entry must not stand before whole ones.
            self.file.set_len(start)?;
            self.room = start;
            return Err(error);
        }
        self.room = self.room.max(room);
        self.state.length.store(end, Ordering::Relaxed);
        self.backlog.clear();
        Ok(())
    }

    fn rewrite(&mut self, bytes: &[u8]) {
        match replace(&self.folder, bytes) {
            Ok((file, room)) => {
                (self.file, self.room) = (file, room);
                // All that was handed in before is in it.
                self.backlog.clear();
                self.state.rewritten(bytes.len());
            }
            Err(error) => {
                tracing::warn!(%error, "the journal cannot be rewritten; it goes on growing");
                let length = self.state.length.load(Ordering::Relaxed);
                self.state.limit.store(length * REWRITE_AT, Ordering::Relaxed);
            }
        }
    }
}

/// The lock is the kernel's: it goes with the process.
fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("lock");
    let io = |what| {
        let path = path.clone();
        move |source| OpenError::Io { what, path, source }
    };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io("open"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { folder: folder.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io("lock")(error)),
    }
}

/// Puts a new file in the journal's place, with room, and returns it with its length: the old one is there until the new one is
/// durable.
fn replace(folder: &Path, bytes: &[u8]) -> io::Result<(File, u64)> {
    let part = folder.join(format!("{NAME}.new"));
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    // Written, not only set aside: else each entry would still change what the disk knows of the file.
    file.write_all(&vec![0; ROOM])?;
    file.sync_all()?;
    fs::rename(&part, folder.join(NAME))?;
    File::open(folder)?.sync_all()?;
    Ok((file, (bytes.len() + ROOM) as u64))
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests;
