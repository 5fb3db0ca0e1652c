//! The engine's thread: it owns the state and the ledger, and takes turns between reading the queue and committing.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use allotment_core::{BlockId, State, Timestamp};
use tokio::sync::watch;

use crate::draft::{Draft, Undo};
use crate::handle::{End, EngineError, Handle};
use crate::ledger::{CommitError, Ledger, LedgerError, Stale};
use crate::linger::{self, Linger, Pace};
use crate::metrics::Metrics;
use crate::panics::panic_text;
use crate::task::{Item, Task};

/// Requests that may wait: what the engine commits in about a tenth of a second. More would only wait longer than it
/// takes to ask again.
const QUEUE: usize = 8192;

/// Decisions in one commit at most, so that a commit stays short and its journal row small.
const BATCH: usize = 1024;

/// Decisions whose memory is asked for ahead: their lines fit in the nearest cache.
const ANNOUNCED: usize = 64;

/// How often a batch is planned again after conflicts before its callers are told.
const ATTEMPTS: usize = 5;

/// After a failed commit nothing is tried for this long: opening the ledger anew reads it whole.
const PAUSE: Duration = Duration::from_millis(250);

/// What can be set; the defaults are for everybody but tests and benchmarks.
pub struct Options {
    /// The clock; the rules never see a time before the newest in the ledger (C8).
    pub clock: Box<dyn Fn() -> Timestamp + Send>,
    /// Decisions in one commit at most.
    pub batch: usize,
    /// The longest wait for more requests before a commit.
    pub linger: Duration,
    /// How far apart commits begin at least.
    pub pace: Pace,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            clock: Box::new(system_clock),
            batch: BATCH,
            linger: linger::LONGEST,
            pace: Pace::default(),
        }
    }
}

fn system_clock() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// See [`Engine::open`].
pub struct Engine<L> {
    ledger: L,
    state: State,
    /// Whether the state is what the ledger has. While it is not, nothing is decided and nothing shown.
    sound: bool,
    /// Until when nothing is tried, and why.
    paused: Option<(Instant, String)>,
    queue: Receiver<Item>,
    linger: Linger,
    /// When the next commit may begin.
    paced: Option<Instant>,
    options: Options,
    metrics: Arc<Metrics>,
}

impl<L: Ledger + 'static> Engine<L> {
    /// Loads the ledger and starts the engine on a thread of its own. Loading blocks the calling thread.
    pub fn open(ledger: L) -> Result<Handle, LedgerError> {
        Engine::open_with(ledger, Options::default())
    }

    pub fn open_with(ledger: L, options: Options) -> Result<Handle, LedgerError> {
        let (sender, queue) = mpsc::sync_channel(QUEUE);
        let (ended, end) = watch::channel(None);
        let metrics = Arc::new(Metrics::default());
        let handle = Handle::new(sender, Arc::clone(&metrics), end);
        let linger = Linger::new(options.linger);
        let state = State::new();
        let mut engine = Engine {
            ledger,
            state,
            sound: false,
            paused: None,
            queue,
            linger,
            paced: None,
            options,
            metrics,
        };
        engine.load()?;
        let run = move || {
            // Everything that callers wait for is dropped in here, and so they are told, before the end is.
            let end = match catch_unwind(AssertUnwindSafe(move || engine.run())) {
                Ok(()) => End::Stopped,
                Err(panic) => End::Panicked(panic_text(&*panic)),
            };
            tracing::debug!(?end, "the engine has ended");
            // Nobody may be left to hear it.
            let _ = ended.send(Some(end));
        };
        let thread = thread::Builder::new().name("engine".to_owned()).spawn(run);
        let failed = |error: std::io::Error| LedgerError::Unavailable {
            place: "the engine's thread".to_owned(),
            why: error.to_string(),
        };
        thread.map(|_| handle).map_err(failed)
    }

    fn run(mut self) {
        let mut tasks = Vec::new();
        while self.collect(&mut tasks) {
            let due = self.drop_stale(std::mem::take(&mut tasks));
            self.decide(due);
        }
    }

    /// Waits for a change and gathers those that are to be committed with it. `false`: there will be no more.
    fn collect(&mut self, tasks: &mut Vec<Box<dyn Task>>) -> bool {
        while tasks.is_empty() {
            match self.queue.recv() {
                Ok(item) => self.take(item, tasks),
                Err(_) => return false,
            }
        }
        self.drain(tasks);
        if let Some(wait) = self.linger.wait(tasks.len(), Instant::now()) {
            self.gather(tasks, wait.expected, wait.until);
            self.linger.waited(wait, tasks.len());
        }
        if let Some(paced) = self.paced {
            self.gather(tasks, self.options.pace.enough, paced);
        }
        true
    }

    /// Takes what comes until then, or until there are enough.
    fn gather(&mut self, tasks: &mut Vec<Box<dyn Task>>, enough: usize, until: Instant) {
        while tasks.len() < enough.min(self.options.batch) {
            let left = until.saturating_duration_since(Instant::now());
            match self.queue.recv_timeout(left) {
                Ok(item) => self.take(item, tasks),
                Err(_) => break,
            }
        }
        self.drain(tasks);
    }

    fn drain(&mut self, tasks: &mut Vec<Box<dyn Task>>) {
        while tasks.len() < self.options.batch
            && let Ok(item) = self.queue.try_recv()
        {
            self.take(item, tasks);
        }
    }

    /// Reads are done on the spot: between two batches, the state is what is committed.
    fn take(&mut self, item: Item, tasks: &mut Vec<Box<dyn Task>>) {
        self.metrics.queued.fetch_sub(1, Ordering::Relaxed);
        match item {
            Item::Change(task) => tasks.push(task),
            Item::Read(read) => match self.ready() {
                Ok(()) => read.read(Ok((&self.state, self.now()))),
                Err(why) => read.read(Err(EngineError::Ledger(why))),
            },
            Item::Refresh(answer) => {
                // Whoever went away meanwhile does not need to know.
                let _ = answer.send(self.refresh().map_err(EngineError::Ledger));
            }
            Item::History(from, only, answer) => {
                let history = self.ledger.history(from, only);
                let _ = answer.send(history.map_err(|error| EngineError::Ledger(error.to_string())));
            }
        }
    }

    fn now(&self) -> Timestamp {
        (self.options.clock)().max(self.state.newest())
    }

    /// Leaves out what nobody waits for, or what comes too late.
    fn drop_stale(&self, tasks: Vec<Box<dyn Task>>) -> Vec<Box<dyn Task>> {
        let now = Instant::now();
        let mut due = Vec::with_capacity(tasks.len());
        for task in tasks {
            if task.is_withdrawn() {
                self.metrics.withdrawn.add(1);
            } else if task.is_late(now) {
                self.metrics.late.add(1);
                task.fail(EngineError::Deadline);
            } else {
                due.push(task);
            }
        }
        due
    }

    /// Decides a batch, commits it, and answers.
    fn decide(&mut self, mut tasks: Vec<Box<dyn Task>>) {
        for _ in 0..ATTEMPTS {
            if let Err(why) = self.writable() {
                return fail(tasks, &why);
            }
            let now = self.now();
            let mut draft = Draft::new(&mut self.state, now);
            let mut held = Vec::with_capacity(tasks.len());
            let mut waiting = tasks.into_iter();
            while waiting.len() > 0 {
                draft.announce(waiting.as_slice().iter().take(ANNOUNCED).map(|task| task.subject()));
                for mut task in waiting.by_ref().take(ANNOUNCED) {
                    task.decide(&mut draft);
                    // What was decided on committed state alone can be told at once, refusals above all.
                    if draft.is_clean() { task.answer(&self.metrics) } else { held.push(task) }
                }
            }
            let (batch, undo) = draft.finish();
            if batch.is_empty() {
                return;
            }
            let began = Instant::now();
            self.paced = self.options.pace.after(&batch).map(|pace| began + pace);
            match self.ledger.commit(&self.state, &batch) {
                Ok(()) => {
                    self.metrics.committed(held.len(), began.elapsed());
                    self.linger.answering(held.len(), self.metrics.queued());
                    for task in held {
                        task.answer(&self.metrics);
                    }
                    return;
                }
                Err(CommitError::Conflict(blocks)) => {
                    self.metrics.conflicts.add(1);
                    self.restore([batch.blocks(), blocks].concat(), undo);
                }
                Err(CommitError::Objects) => {
                    self.metrics.conflicts.add(1);
                    self.sound = false;
                }
                Err(CommitError::Failed(error)) => {
                    self.metrics.failures.add(1);
                    tracing::error!(%error, hint = error.hint(), "a commit failed; nothing of it was granted");
                    self.restore(batch.blocks(), undo);
                    self.pause(error.to_string());
                    return fail(held, &error.to_string());
                }
            }
            tasks = held;
        }
        fail(tasks, &format!("others wrote the same blocks {ATTEMPTS} times in a row"));
    }

    /// Makes the state what the ledger has, after a commit that did not happen.
    fn restore(&mut self, mut blocks: Vec<BlockId>, undo: Undo) {
        blocks.sort_unstable();
        blocks.dedup();
        let named: Vec<(String, IpAddr)> =
            blocks.iter().map(|&block| (self.state.vrf_name(block).to_owned(), block.base())).collect();
        if let Err(error) = self.reload(&named, undo) {
            tracing::warn!(%error, "the blocks of a failed commit could not be read again");
            self.pause(error);
        }
    }

    /// Takes over what somebody else has written.
    fn refresh(&mut self) -> Result<(), String> {
        self.ready()?;
        match self.ledger.refresh().map_err(|error| error.to_string())? {
            Stale::Blocks(blocks) if blocks.is_empty() => Ok(()),
            Stale::Blocks(blocks) => self.reload(&blocks, Undo::default()),
            Stale::Everything => self.load().map_err(|error| error.to_string()),
        }
    }

    /// Reads blocks again. After an error nothing of the state can be believed.
    fn reload(&mut self, blocks: &[(String, IpAddr)], undo: Undo) -> Result<(), String> {
        self.state.begin_loading();
        for (vrf, base) in blocks {
            // Nothing is known of a VRF that somebody else was the first to use.
            if let Some(block) = self.state.block_of(vrf, *base) {
                self.state.forget(block);
            }
        }
        self.sound = false;
        undo.apply(&mut self.state).map_err(|error| error.to_string())?;
        self.ledger.reload(&mut self.state, blocks).map_err(|error| error.to_string())?;
        self.state.settle();
        self.sound = true;
        Ok(())
    }

    /// Reads the whole ledger.
    fn load(&mut self) -> Result<(), LedgerError> {
        let mut state = State::with_seed(RandomState::new().build_hasher().finish());
        state.begin_loading();
        self.ledger.load(&mut state)?;
        state.settle();
        self.state = state;
        self.sound = true;
        Ok(())
    }

    /// Whether the state can be believed; where it could not, the ledger is read again.
    fn ready(&mut self) -> Result<(), String> {
        if self.sound {
            return Ok(());
        }
        self.writable()
    }

    /// Whether a commit can be tried.
    fn writable(&mut self) -> Result<(), String> {
        if let Some((until, why)) = &self.paused
            && Instant::now() < *until
        {
            return Err(why.clone());
        }
        self.paused = None;
        if !self.sound {
            self.load().map_err(|error| {
                self.pause(error.to_string());
                error.to_string()
            })?;
        }
        Ok(())
    }

    fn pause(&mut self, why: String) {
        self.paused = Some((Instant::now() + PAUSE, why));
    }
}

fn fail(tasks: Vec<Box<dyn Task>>, why: &str) {
    for task in tasks {
        task.fail(EngineError::Ledger(why.to_owned()));
    }
}
