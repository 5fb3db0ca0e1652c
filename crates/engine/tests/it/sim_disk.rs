//! A disk in memory that fails when it is told to, and forgets what was not synced when its machine stops.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use allotment_engine::embedded::Disk;

/// What goes wrong at one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The operation fails and does nothing; the next ones work again.
    Fail,
    /// A write does half its work, then fails; so does a sync.
    Tear,
    /// As `Fail`, and so does everything that writes until the disk is repaired, as when it is full.
    Full,
    /// The machine stops: nothing works until it is restarted.
    Stop,
}

/// What was asked of the disk so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) writes: u64,
    pub(crate) bytes: u64,
    pub(crate) syncs: u64,
}

#[derive(Debug, Default)]
struct Inner {
    /// What is safe.
    durable: Vec<u8>,
    /// What readers see.
    seen: Vec<u8>,
    /// Writes since the last sync.
    unsynced: Vec<Write>,
    operations: u64,
    cost: Cost,
    fault: Option<(u64, Fault)>,
    full: bool,
    stopped: bool,
    random: u64,
}

#[derive(Clone, Debug)]
enum Write {
    Data(u64, Vec<u8>),
    Length(u64),
}

/// See the module. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimDisk(Arc<Mutex<Inner>>);

impl SimDisk {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    pub(crate) fn cost(&self) -> Cost {
        self.inner().cost
    }

    /// Chooses what a failed sync leaves.
    pub(crate) fn draw_from(&self, seed: u64) {
        self.inner().random = seed | 1;
    }

    /// Operations that write or sync, so far.
    pub(crate) fn operations(&self) -> u64 {
        self.inner().operations
    }

    /// Plans a fault for the operation of this number, of those that write or sync.
    pub(crate) fn fail_at(&self, operation: u64, fault: Fault) {
        self.inner().fault = Some((operation, fault));
    }

    /// Whether the planned fault has happened.
    pub(crate) fn has_failed(&self) -> bool {
        self.inner().fault.is_none()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.inner().stopped
    }

    /// The machine stops.
    pub(crate) fn stop(&self) {
        self.inner().stopped = true;
    }

    /// Space again.
    pub(crate) fn repair(&self) {
        self.inner().full = false;
    }

    /// The machine starts again. Of what was not synced any part may have reached the disk, in any order, and of one
    /// write any half: `seed` draws which.
    pub(crate) fn restart(&self, seed: u64) {
        let mut inner = self.inner();
        inner.random = seed | 1;
        inner.settle();
        inner.stopped = false;
        inner.full = false;
        inner.fault = None;
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.inner().seen.clone()
    }

    pub(crate) fn of(bytes: Vec<u8>) -> SimDisk {
        let disk = SimDisk::default();
        *disk.inner() = Inner { durable: bytes.clone(), seen: bytes, ..Inner::default() };
        disk
    }
}

impl Inner {
    /// Counts one operation; says what is to go wrong with it.
    fn operation(&mut self) -> io::Result<Option<Fault>> {
        self.alive()?;
        if self.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.operations += 1;
        let Some((_, fault)) = self.fault.filter(|&(at, _)| at == self.operations) else { return Ok(None) };
        self.fault = None;
        match fault {
            Fault::Full => {
                self.full = true;
                Err(io::ErrorKind::StorageFull.into())
            }
            Fault::Stop => {
                self.stopped = true;
                Err(gone())
            }
            Fault::Fail => Err(io::Error::other("the disk failed")),
            Fault::Tear => Ok(Some(fault)),
        }
    }

    fn alive(&self) -> io::Result<()> {
        if self.stopped { Err(gone()) } else { Ok(()) }
    }

    fn write(&mut self, write: Write) {
        apply(&mut self.seen, &write);
        self.unsynced.push(write);
    }

    /// A part of what was not synced reaches the disk; what readers see is what is there.
    fn settle(&mut self) {
        for write in std::mem::take(&mut self.unsynced) {
            match (self.draw() % 4, write) {
                (0, _) => {}
                (1, Write::Data(offset, data)) => {
                    let half = Write::Data(offset, data[..data.len() / 2].to_vec());
                    apply(&mut self.durable, &half);
                }
                (_, write) => apply(&mut self.durable, &write),
            }
        }
        self.seen = self.durable.clone();
    }

    fn draw(&mut self) -> u64 {
        // xorshift64; any seed but 0 will do.
        let mut x = self.random.max(1);
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random = x;
        x >> 8
    }
}

fn gone() -> io::Error {
    io::Error::other("the machine has stopped")
}

fn apply(bytes: &mut Vec<u8>, write: &Write) {
    match write {
        Write::Data(offset, data) => {
            let from = usize::try_from(*offset).unwrap();
            if bytes.len() < from + data.len() {
                bytes.resize(from + data.len(), 0);
            }
            bytes[from..from + data.len()].copy_from_slice(data);
        }
        Write::Length(length) => bytes.resize(usize::try_from(*length).unwrap(), 0),
    }
}

impl Disk for SimDisk {
    fn len(&self) -> io::Result<u64> {
        let inner = self.inner();
        inner.alive()?;
        Ok(inner.seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.inner();
        inner.alive()?;
        let from = usize::try_from(offset).unwrap();
        let bytes = inner.seen.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.inner();
        if inner.operation()?.is_some() {
            inner.write(Write::Data(offset, data[..data.len() / 2].to_vec()));
            return Err(io::Error::other("the disk wrote half"));
        }
        inner.cost.writes += 1;
        inner.cost.bytes += data.len() as u64;
        inner.write(Write::Data(offset, data.to_vec()));
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut inner = self.inner();
        if inner.operation()?.is_some() {
            return Err(io::Error::other("the disk failed"));
        }
        inner.write(Write::Length(length));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.inner();
        if inner.operation()?.is_some() {
            // Some of it is safe, and the kernel will not try the rest again: it goes on showing it.
            let seen = inner.seen.clone();
            inner.settle();
            inner.seen = seen;
            return Err(io::Error::other("the disk failed to sync"));
        }
        inner.cost.syncs += 1;
        for write in std::mem::take(&mut inner.unsynced) {
            apply(&mut inner.durable, &write);
        }
        Ok(())
    }

    fn drop_cache(&self) -> io::Result<()> {
        let mut inner = self.inner();
        inner.alive()?;
        // What was written and not synced is still on its way; what a failed sync dropped is seen to be gone.
        let mut seen = inner.durable.clone();
        for write in &inner.unsynced {
            apply(&mut seen, write);
        }
        inner.seen = seen;
        Ok(())
    }
}
