//! The embedded ledger itself: opening, committing, and going on after a failure.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use allotment_core::{BlockId, State};

use crate::panics::panic_text;
use crate::{Batch, CommitError, History, Ledger, LedgerError};

use super::dirty::{Dirty, JOURNAL_BUDGET, Position};
use super::disk::Disk;
use super::folder::{self, Lock};
use super::format::{Head, JournalWriter};
use super::load::{Loaded, Newest, Snapshot};
use super::open::{self, Open, guarded};
use super::past::Kept;
use super::write::{Step, journal_row, write};

/// The ledger of one machine: a file in its data folder.
#[derive(Debug)]
pub struct EmbeddedLedger {
    place: String,
    disk: Arc<dyn Disk>,
    /// Nothing after a failure, until it is opened anew.
    open: Option<Open>,
    newest: Newest,
    dirty: Dirty<BlockId>,
    /// How long changes are remembered, in milliseconds.
    keep_ms: u64,
    /// A commit that failed: it may have reached the disk all the same.
    doubt: Option<Step>,
    _lock: Option<Lock>,
}

impl EmbeddedLedger {
    /// Opens the ledger in a data folder, or makes one when there is none. The folder is this ledger's alone until it
    /// is dropped. An existing file is read and checked but not changed; the first commit writes to it.
    pub fn open(folder: &Path) -> Result<EmbeddedLedger, LedgerError> {
        let lock = Lock::take(folder)?;
        let (path, disk) = folder::ledger_file(folder)?;
        EmbeddedLedger::on(Arc::new(disk), path.display().to_string(), Some(lock))
    }

    /// Opens the ledger on a disk. `place` names it in errors.
    pub fn open_disk(disk: Arc<dyn Disk>, place: &str) -> Result<EmbeddedLedger, LedgerError> {
        EmbeddedLedger::on(disk, place.to_owned(), None)
    }

    /// Makes a ledger on an empty disk; `id` tells it from every other.
    pub fn create_disk(disk: Arc<dyn Disk>, place: &str, id: u128) -> Result<(), LedgerError> {
        open::create(disk, place, id)
    }

    /// Keeps the journal about this many bytes long, instead of 16 MiB; before loading. A test needs no long run then to
    /// see blocks folded.
    #[must_use]
    pub fn with_journal_budget(mut self, bytes: u64) -> EmbeddedLedger {
        self.dirty = Dirty::new(bytes);
        self
    }

    /// Remembers what happened for this long, instead of not at all. It costs no sync: rows of the journal stay that long.
    #[must_use]
    pub fn with_history(mut self, keep: Duration) -> EmbeddedLedger {
        self.keep_ms = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
        self
    }

    fn on(disk: Arc<dyn Disk>, place: String, lock: Option<Lock>) -> Result<EmbeddedLedger, LedgerError> {
        let open = Some(Open::new(&disk, &place)?);
        let (newest, dirty) = (Newest::default(), Dirty::new(JOURNAL_BUDGET));
        Ok(EmbeddedLedger { place, disk, open, newest, dirty, keep_ms: 0, doubt: None, _lock: lock })
    }

    /// What the commit of `batch` will be.
    fn step(&self, journal: &JournalWriter<'_>, batch: &Batch) -> Step {
        let at = Position {
            sequence: self.newest.sequence + 1,
            before: self.newest.written,
            length: journal.len(),
        };
        let touched = batch.blocks();
        let folds = self.dirty.folds(at, touched.len());
        let tail = self.dirty.tail_after(&folds, &touched, at);
        let kept = Kept::at(batch.at, self.keep_ms, at.before + at.length);
        Step { at, tail, touched, folds, kept }
    }

    fn committed(&mut self, step: &Step) {
        self.dirty.committed(&step.folds, &step.touched, step.at);
        let Position { sequence, before, length } = step.at;
        self.newest = Newest { sequence, tail: step.tail, written: before + length };
    }

    /// Opens the database anew if a failure closed it, and settles whether the commit that failed reached the disk.
    fn reopen(&mut self) -> Result<(), LedgerError> {
        if self.open.is_some() {
            return Ok(());
        }
        let open = Open::new(&self.disk, &self.place)?;
        let newest = guarded(&self.place, || Snapshot::new(&open.database, &self.place)?.newest())?;
        if let Some(step) = self.doubt.take_if(|step| step.at.sequence == newest.sequence) {
            self.committed(&step);
        }
        if newest != self.newest {
            let why = "somebody else wrote to it while it was in use".to_owned();
            return Err(LedgerError::Damaged { place: self.place.clone(), why });
        }
        self.doubt = None;
        self.open = Some(open);
        Ok(())
    }

    fn database(&self) -> &Open {
        self.open.as_ref().expect("it was opened before")
    }

    fn give_up(&mut self) {
        if let Some(open) = self.open.take() {
            open.give_up();
        }
        if let Err(error) = self.disk.drop_cache() {
            tracing::warn!(ledger = %self.place, %error, "the kernel's copy of the ledger could not be dropped");
        }
    }

    fn try_commit(&self, state: &State, batch: &Batch, step: &Step, row: &[u8]) -> Result<(), redb::Error> {
        let open = self.database();
        open.hold.release()?;
        catch_unwind(AssertUnwindSafe(|| write(open, state, batch, step, row)))
            .unwrap_or_else(|panic| Err(redb::Error::Corrupted(panic_text(&*panic))))
    }

    /// Takes over what a load has found out.
    fn remember(&mut self, state: &State, loaded: Loaded) {
        self.newest = loaded.newest;
        self.dirty = Dirty::new(self.dirty.budget());
        for block in loaded.dirty {
            let id = state.block_of(&block.vrf, block.base).expect("its records were loaded");
            self.dirty.touch(id, block.sequence, block.before);
        }
    }
}

impl Ledger for EmbeddedLedger {
    fn load(&mut self, state: &mut State) -> Result<(), LedgerError> {
        self.reopen()?;
        let read = || Snapshot::new(&self.database().database, &self.place)?.load(state);
        let loaded = guarded(&self.place, read).inspect_err(|_| self.give_up())?;
        self.remember(state, loaded);
        Ok(())
    }

    fn commit(&mut self, state: &State, batch: &Batch) -> Result<(), CommitError> {
        self.reopen()?;
        let journal = journal_row(state, batch);
        let step = self.step(&journal, batch);
        let row =
            journal.finish(step.at.sequence, Head { at: batch.at, tail: step.tail, before: step.at.before });
        match self.try_commit(state, batch, &step, &row) {
            Ok(()) => {
                self.committed(&step);
                Ok(())
            }
            Err(error) => {
                self.doubt = Some(step);
                self.give_up();
                Err(LedgerError::Write { place: self.place.clone(), why: error.to_string() }.into())
            }
        }
    }

    fn reload(&mut self, state: &mut State, blocks: &[(String, IpAddr)]) -> Result<(), LedgerError> {
        self.reopen()?;
        let read = || Snapshot::new(&self.database().database, &self.place)?.reload(state, blocks);
        guarded(&self.place, read).inspect_err(|_| self.give_up())
    }

    fn history(&mut self, from: u64, only: Option<IpAddr>) -> Result<History, LedgerError> {
        self.reopen()?;
        let read = || Snapshot::new(&self.database().database, &self.place)?.history(from, only);
        guarded(&self.place, read)
    }
}
