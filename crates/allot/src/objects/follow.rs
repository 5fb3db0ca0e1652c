//! Follows the folder.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use allotment_api::Problem;
use allotment_core::{Object, ObjectKey};
use allotment_engine::{EngineError, Handle};
use tokio::sync::watch;
use tokio::time::sleep;

use super::remember::Remembered;
use super::settle::settle;
use super::steps::{Step, steps};
use super::wanted::{Wanted, row};
use super::watch::Watcher;

/// While something is not in force it is tried again this often: the holders may have left.
const RETRY: Duration = Duration::from_secs(1);

/// The folder is read this often, told or not: there are file systems that tell nothing.
const REREAD: Duration = Duration::from_secs(30);

/// What is not in force, for whoever asks.
pub(crate) type Problems = watch::Receiver<Arc<[Problem]>>;

pub(crate) struct Follower {
    handle: Handle,
    folder: PathBuf,
    remembered: Remembered,
    watcher: Watcher,
    problems: watch::Sender<Arc<[Problem]>>,
    /// What the log has already been told: the problem, and what was wanted when it arose.
    said: BTreeSet<(String, Option<u64>, String)>,
    /// Whether it was said that the engine cannot do its part.
    complained: bool,
}

/// What a pass leaves to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    /// Something was refused, or a file could not be read.
    Refused,
    /// The engine could not do its part.
    Failed,
}

impl Follower {
    pub(crate) fn new(handle: Handle, folder: &Path, data: &Path) -> io::Result<Follower> {
        Ok(Follower {
            handle,
            folder: folder.to_owned(),
            remembered: Remembered::open(data)?,
            watcher: Watcher::new(folder),
            problems: watch::channel(Arc::from([])).0,
            said: BTreeSet::new(),
            complained: false,
        })
    }

    pub(crate) fn problems(&self) -> Problems {
        self.problems.subscribe()
    }

    /// Reads the folder for the first time, and again until the engine has taken what can be taken.
    pub(crate) async fn begin(&mut self) {
        while self.pass().await == Left::Failed {
            sleep(RETRY).await;
        }
    }

    /// Follows the folder, for ever.
    pub(crate) async fn follow(&mut self) {
        loop {
            let left = self.pass().await;
            let pause = if left == Left::Nothing { REREAD } else { RETRY };
            tokio::select! {
                () = self.watcher.changed() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Reads the folder and brings it into force, as far as that goes.
    async fn pass(&mut self) -> Left {
        self.watcher.arm();
        let (folder, expected) = (self.folder.clone(), !self.remembered.files().is_empty());
        let wanted = tokio::task::spawn_blocking(move || Wanted::read(&folder, expected)).await;
        let wanted = wanted.expect("reading files does not panic");
        match self.bring_into_force(wanted).await {
            Ok(left) => {
                self.complained = false;
                left
            }
            Err(error) => {
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::error!(%error, "the objects cannot be brought into force now; trying again and again");
                }
                Left::Failed
            }
        }
    }

    async fn bring_into_force(&mut self, wanted: Wanted) -> Result<Left, Interrupted> {
        let in_force = self.in_force().await?;
        // A name is remembered before its object comes into force and forgotten after it has gone: a crash in between
        // leaves a name too many, which does no harm.
        self.remembered.update(|files| {
            files.extend(
                wanted.objects.iter().map(|(key, declared)| (key.clone(), declared.file().to_owned())),
            );
        })?;
        let settled = settle(&mut self.handle, steps(&in_force, self.remembered.files(), &wanted)).await;
        for step in &settled.done {
            match step {
                Step::Put(declared) => {
                    tracing::info!(object = %declared.value.key(), file = declared.file(), "in force");
                }
                Step::Remove(object, _) => tracing::info!(%object, "removed: its file is gone"),
            }
        }
        if let Some(error) = settled.failed {
            return Err(error.into());
        }
        let in_force = self.in_force().await?;
        self.remembered.update(|files| {
            files.retain(|key, _| wanted.objects.contains_key(key) || in_force.contains_key(key));
        })?;
        let problems: Arc<[Problem]> = wanted.problems.into_iter().chain(settled.blocked).collect();
        self.log(&problems);
        let left = if problems.is_empty() { Left::Nothing } else { Left::Refused };
        self.problems.send_replace(problems);
        Ok(left)
    }

    async fn in_force(&self) -> Result<BTreeMap<ObjectKey, Object>, EngineError> {
        self.handle.read(|state, _| state.objects().map(|object| (object.key(), object)).collect()).await
    }

    /// Each problem once, for as long as it lasts. Its numbers change with every holder that leaves, so they do not count.
    fn log(&mut self, problems: &[Problem]) {
        let mut now = BTreeSet::new();
        for row in problems.iter().map(row) {
            let place = row.field.clone().unwrap_or_else(|| row.file.clone());
            let id = (format!("{}: {:?}", row.file, row.object), row.line, place);
            if !self.said.contains(&id) {
                tracing::warn!(
                    file = row.file,
                    line = row.line,
                    object = row.object,
                    field = row.field,
                    hint = row.hint,
                    "not in force, what was accepted last stays: {}",
                    row.text
                );
            }
            now.insert(id);
        }
        if !self.said.is_empty() && now.is_empty() {
            tracing::info!(folder = %self.folder.display(), "everything declared is in force again");
        }
        self.said = now;
    }
}

/// Why a pass ended half-way.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the list of objects that came from files cannot be written: {0}")]
    Remember(#[from] io::Error),
}
