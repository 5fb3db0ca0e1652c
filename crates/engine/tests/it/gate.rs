//! A ledger whose commits wait until the test says what becomes of them.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc;

use allotment_core::State;
use allotment_engine::conformance::subnet;
use allotment_engine::{Batch, CommitError, EmbeddedLedger, Engine, Handle, Ledger, LedgerError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::sim_disk::SimDisk;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict {
    Commit,
    /// Nothing is written, and somebody else is said to have been there.
    Conflict,
    Fail,
    Panic,
}

/// The test's end of it.
pub(crate) struct Gate {
    arrived: UnboundedReceiver<()>,
    verdicts: mpsc::Sender<Verdict>,
}

impl Gate {
    /// Returns when a commit waits.
    pub(crate) async fn arrival(&mut self) {
        self.arrived.recv().await.expect("the engine is there");
    }

    /// Returns when the engine has let go of its ledger.
    pub(crate) async fn closing(&mut self) {
        assert_eq!(self.arrived.recv().await, None);
    }

    pub(crate) fn let_it(&self, verdict: Verdict) {
        self.verdicts.send(verdict).unwrap();
    }
}

struct Gated {
    inner: EmbeddedLedger,
    arrived: UnboundedSender<()>,
    verdicts: mpsc::Receiver<Verdict>,
}

/// An engine with subnet `a`, whose later commits wait; and the disk below it.
pub(crate) async fn engine(cidr: &str) -> (Handle, Gate, SimDisk) {
    let disk = new_disk();
    let inner = EmbeddedLedger::open_disk(Arc::new(disk.clone()), "the ledger").unwrap();
    let (arrived, arrivals) = unbounded_channel();
    let (sender, verdicts) = mpsc::channel();
    let handle = Engine::open(Gated { inner, arrived, verdicts }).unwrap();
    let mut gate = Gate { arrived: arrivals, verdicts: sender };
    gate.let_it(Verdict::Commit);
    handle.put(subnet("a", "default", &[cidr])).await.unwrap();
    gate.arrival().await;
    (handle, gate, disk)
}

/// A disk with an empty ledger.
pub(crate) fn new_disk() -> SimDisk {
    let disk = SimDisk::default();
    EmbeddedLedger::create_disk(Arc::new(disk.clone()), "the ledger", 1).unwrap();
    disk
}

impl Ledger for Gated {
    fn load(&mut self, state: &mut State) -> Result<(), LedgerError> {
        self.inner.load(state)
    }

    fn commit(&mut self, state: &State, batch: &Batch) -> Result<(), CommitError> {
        let _ = self.arrived.send(());
        // A test that has gone has nothing against it.
        match self.verdicts.recv().unwrap_or(Verdict::Commit) {
            Verdict::Commit => self.inner.commit(state, batch),
            Verdict::Conflict => Err(CommitError::Conflict(batch.blocks())),
            Verdict::Fail => {
                let (place, why) = ("the ledger".to_owned(), "the test says so".to_owned());
                Err(CommitError::Failed(LedgerError::Write { place, why }))
            }
            Verdict::Panic => panic!("the test says so"),
        }
    }

    fn reload(&mut self, state: &mut State, blocks: &[(String, IpAddr)]) -> Result<(), LedgerError> {
        self.inner.reload(state, blocks)
    }
}
