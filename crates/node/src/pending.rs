//! Releases that had to wait: the plugin leaves a DEL here while the daemon is away, and the daemon one that the engine
//! cannot do now (O2).

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use allotment_wire::cni::Error;
use allotment_wire::{CniCall, Command, PENDING_DEL};

use crate::metrics::PendingMetrics;
use crate::together::together;

/// What a file may have: a configuration at its longest, and the environment.
const MAX_BYTES: u64 = crate::http::MAX_BODY as u64;

/// What files that could not be read are called from then on; nobody looks at them but people.
const BAD: &str = "bad";

/// The folder.
pub(crate) struct Pending {
    folder: PathBuf,
    /// One replay at a time: whoever comes second finds nothing left to do.
    turn: Mutex<()>,
    next: AtomicU64,
    metrics: PendingMetrics,
}

/// Why an ADD has to wait.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error("the folder {} cannot be read: {source}", .folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    #[error("releases that came while nobody could do them are still waiting ({waiting}): {}", .why.msg)]
    Release { waiting: usize, why: Error },
    #[error("releases that came while nobody could do them are still waiting ({waiting})")]
    Unfinished { waiting: usize },
    /// It would be done again later, when the same container may have an address again.
    #[error("the release in {} is done, but the file cannot be removed: {source}", .file.display())]
    Stuck { file: PathBuf, source: io::Error },
}

impl Pending {
    /// The folder beside the socket, made if it is missing: for its owner only, as releases in it are believed.
    pub(crate) fn beside(socket: &Path, metrics: PendingMetrics) -> io::Result<Pending> {
        let folder = socket.with_file_name(PENDING_DEL);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Pending { folder, turn: Mutex::new(()), next: AtomicU64::new(0), metrics })
    }

    /// Keeps a DEL for later. The file has its name only once it is whole.
    pub(crate) fn keep(&self, call: &CniCall) -> io::Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("daemon-{}-{number}.json", std::process::id());
        let part = self.folder.join(format!(".{name}"));
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(&serde_json::to_vec(call)?)?;
        fs::rename(part, self.folder.join(name))
    }

    /// Does what waits, through `release`. A file is removed when its release is
    /// durable; one that makes no sense is moved aside and holds nobody up.
    pub(crate) async fn replay<R, F>(&self, release: R) -> Result<(), ReplayError>
    where
        R: Fn(CniCall) -> F,
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        if self.waiting()?.is_empty() {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        let files = self.waiting()?;
        self.metrics.waiting.set(i64::try_from(files.len()).unwrap_or(i64::MAX));
        let mut left = files.len();
        let mut calls = Vec::new();
        for path in files {
            match read(&path) {
                Ok(Some(call)) => calls.push((path, call)),
                Ok(None) => left -= 1,
                Err(why) => {
                    self.move_aside(&path, &why);
                    left -= 1;
                }
            }
        }
        let (mut failed, mut stuck) = (None, None);
        let work = |(path, call)| {
            let releasing = release(call);
            async move { (path, releasing.await) }
        };
        together(calls, work, |(path, outcome): (PathBuf, _)| match outcome {
            Ok(()) => {
                self.metrics.replayed.inc();
                match remove(&path) {
                    Ok(()) => left -= 1,
                    Err(source) => stuck = Some(ReplayError::Stuck { file: path, source }),
                }
                true
            }
            Err(error) => {
                failed = Some(error);
                false
            }
        })
        .await;
        self.metrics.waiting.set(i64::try_from(left).unwrap_or(i64::MAX));
        match (failed, stuck) {
            (Some(why), _) => Err(ReplayError::Release { waiting: left, why }),
            (None, Some(stuck)) => Err(stuck),
            (None, None) if left > 0 => Err(ReplayError::Unfinished { waiting: left }),
            (None, None) => Ok(()),
        }
    }

    /// The files that wait. Those under way begin with a dot.
    fn waiting(&self) -> Result<Vec<PathBuf>, ReplayError> {
        let list = || -> io::Result<Vec<PathBuf>> {
            let mut files = Vec::new();
            let entries = match fs::read_dir(&self.folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
                entries => entries?,
            };
            for entry in entries {
                let path = entry?.path();
                let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
                if !hidden && path.extension().is_none_or(|ending| ending != BAD) {
                    files.push(path);
                }
            }
            Ok(files)
        };
        list().map_err(|source| ReplayError::Folder { folder: self.folder.clone(), source })
    }

    fn move_aside(&self, path: &Path, why: &str) {
        self.metrics.bad.inc();
        let mut aside = path.as_os_str().to_owned();
        aside.push(".");
        aside.push(BAD);
        tracing::error!(
            file = %path.display(),
            aside = %Path::new(&aside).display(),
            "a waiting release makes no sense and was moved aside: {why}; if its container is gone, release it by hand"
        );
        if let Err(error) = fs::rename(path, &aside) {
            tracing::error!(file = %path.display(), %error, "it could not even be moved");
        }
    }
}

/// One file; nothing if it is gone.
fn read(path: &Path) -> Result<Option<CniCall>, String> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
        Ok(_) if bytes.len() as u64 > MAX_BYTES => return Err(format!("it has more than {MAX_BYTES} bytes")),
        Ok(_) => {}
    }
    let call: CniCall = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    if call.command != Command::Del || call.container_id.is_empty() || call.ifname.is_empty() {
        return Err("it is no DEL with a container id and an interface".to_owned());
    }
    Ok(Some(call))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
