//! Follows the folder.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use allotment_api::Problem;
use allotment_core::{Object, ObjectKey, ObjectKind, State};
use allotment_engine::{EngineError, Handle};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::remember::{Remembered, Sources};
use super::settle::{Blocked, Settled, settle};
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
    /// What made no sense when the folder was read last.
    faults: Vec<Problem>,
    /// What was refused, to be tried again.
    blocked: Vec<Blocked>,
    /// When the folder has to be read again.
    due: Instant,
    /// What the log has already been told.
    said: BTreeSet<String>,
    /// Whether it was said that the engine cannot do its part.
    complained: bool,
}

impl Follower {
    pub(crate) fn new(handle: Handle, folder: &Path, data: &Path) -> io::Result<Follower> {
        Ok(Follower {
            handle,
            folder: folder.to_owned(),
            remembered: Remembered::open(data)?,
            watcher: Watcher::new(folder),
            problems: watch::channel(Arc::from([])).0,
            faults: Vec::new(),
            blocked: Vec::new(),
            due: Instant::now(),
            said: BTreeSet::new(),
            complained: false,
        })
    }

    pub(crate) fn problems(&self) -> Problems {
        self.problems.subscribe()
    }

    pub(crate) fn sources(&self) -> Sources {
        self.remembered.sources(&self.folder)
    }

    /// Reads the folder for the first time, and again until the engine has taken what can be taken.
    pub(crate) async fn begin(&mut self) {
        while !self.read().await {
            sleep(RETRY).await;
        }
    }

    /// Follows the folder, for ever.
    pub(crate) async fn follow(&mut self) {
        loop {
            let is_due = tokio::select! {
                () = self.watcher.hinted() => {
                    // Not among the alternatives: a retry that came due meanwhile would drop it, and the hint with it.
                    self.watcher.quiet().await;
                    true
                }
                () = sleep_until(self.due) => true,
                () = sleep(RETRY), if !self.blocked.is_empty() => false,
            };
            if is_due {
                self.read().await;
            } else {
                self.retry().await;
            }
        }
    }

    /// Reads the folder and brings it into force, as far as that goes. `false`: the engine could not do its part.
    async fn read(&mut self) -> bool {
        self.watcher.arm();
        let (folder, from_files) = (self.folder.clone(), self.remembered.files());
        let wanted = tokio::task::spawn_blocking(move || Wanted::read(&folder, &from_files)).await;
        let done = self.bring_into_force(wanted.expect("reading files does not panic")).await;
        self.due = Instant::now() + if done.is_ok() { REREAD } else { RETRY };
        self.ended(done)
    }

    /// Tries again what was refused. Once any of it is done, the folder is read anew.
    async fn retry(&mut self) {
        let steps = self.blocked.iter().map(|blocked| blocked.step.clone()).collect();
        let settled = settle(&mut self.handle, steps).await;
        if !settled.done.is_empty() {
            self.due = Instant::now();
        }
        let taken = self.take(settled);
        self.ended(taken.map_err(Interrupted::from));
    }

    /// `false`: the engine could not do its part. That is said once.
    fn ended(&mut self, done: Result<(), Interrupted>) -> bool {
        match done {
            Ok(()) => self.complained = false,
            Err(error) if !self.complained => {
                tracing::error!(%error, "the objects cannot be brought into force now; trying again and again");
                self.complained = true;
            }
            Err(_) => {}
        }
        !self.complained
    }

    async fn bring_into_force(&mut self, wanted: Wanted) -> Result<(), Interrupted> {
        let in_force = self.in_force().await?;
        // A name is remembered before its object comes into force and forgotten after it has gone: a crash in between
        // leaves a name too many, which does no harm.
        self.remembered.update(|files| {
            let declared = wanted.objects.iter();
            files.extend(declared.map(|(key, declared)| (key.clone(), declared.file().to_owned())));
        })?;
        let steps = steps(&in_force, &self.remembered.files(), &wanted);
        self.warn_of_opened_pools(&steps).await?;
        let settled = settle(&mut self.handle, steps).await;
        self.faults = wanted.problems;
        self.take(settled)?;
        let in_force = self.in_force().await?;
        self.remembered.update(|files| {
            files.retain(|key, _| wanted.objects.contains_key(key) || in_force.contains_key(key));
        })?;
        Ok(())
    }

    /// Tells what came of the steps.
    fn take(&mut self, settled: Settled) -> Result<(), EngineError> {
        for step in &settled.done {
            match step {
                Step::Put(declared) => {
                    tracing::info!(object = %declared.value.key(), file = declared.file(), "in force");
                }
                Step::Remove(object, _) => tracing::info!(%object, "removed: no file declares it any more"),
            }
        }
        if let Some(error) = settled.failed {
            return Err(error);
        }
        self.blocked = settled.blocked;
        self.log();
        let blocked = self.blocked.iter().map(|blocked| &blocked.problem);
        self.problems.send_replace(self.faults.iter().chain(blocked).cloned().collect());
        Ok(())
    }

    /// A pool may go while its addresses are held: they stay with their owners. But nothing keeps others out of the rest any
    /// more, which is not always what was meant: a new kind or name in the file takes the pool away, too.
    async fn warn_of_opened_pools(&self, steps: &[Step]) -> Result<(), EngineError> {
        for step in steps {
            let Step::Remove(key @ ObjectKey { kind: ObjectKind::IPPool, name }, file) = step else {
                continue;
            };
            let pool = name.clone();
            let held =
                move |state: &State, now| state.pool_usage(&pool, now).iter().map(|usage| usage.held).sum();
            let held: u64 = self.handle.read(held).await?;
            if held > 0 {
                tracing::warn!(
                    object = %key,
                    file,
                    held,
                    "a pool goes while addresses of it are held: they stay with their owners, and the others are open to all who may use its subnet"
                );
            }
        }
        Ok(())
    }

    async fn in_force(&self) -> Result<BTreeMap<ObjectKey, Object>, EngineError> {
        self.handle.read(|state, _| state.objects().map(|object| (object.key(), object)).collect()).await
    }

    /// Each problem once, for as long as the same is wanted: its numbers change with every holder that leaves.
    fn log(&mut self) {
        let faults = self.faults.iter().map(|fault| (fault.to_string(), fault));
        let blocked = self.blocked.iter().map(|blocked| (blocked.step.id(), &blocked.problem));
        let problems: BTreeMap<String, &Problem> = faults.chain(blocked).collect();
        for (id, problem) in &problems {
            if self.said.contains(id) {
                continue;
            }
            let row = row(problem);
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
        if !self.said.is_empty() && problems.is_empty() {
            tracing::info!(folder = %self.folder.display(), "everything declared is in force again");
        }
        self.said = problems.into_keys().collect();
    }
}

/// Why the folder is not in force yet.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the list of objects that came from files cannot be written: {0}")]
    Remember(#[from] io::Error),
}
