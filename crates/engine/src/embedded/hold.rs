//! Between redb and the disk: holds back every write until the ledger has been read and found well.
//!
//! Opening a redb database writes to its file, even when it only looks, and repairing one rewrites it. A damaged file
//! must stay as it was, so a database is opened on hold: what redb writes is kept in memory, in order, and read back
//! from there. [`Hold::release`] writes it to the disk, syncs where redb asked for syncs, and steps aside.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use super::disk::Disk;

/// Pages that held writes are kept in, for reading them back.
const PAGE: usize = 4096;

/// See the module.
#[derive(Debug)]
pub(super) struct Hold {
    disk: Arc<dyn Disk>,
    mode: Mutex<Mode>,
}

#[derive(Debug)]
enum Mode {
    Holding(Held),
    Through,
}

#[derive(Debug)]
struct Held {
    /// How long redb believes the file to be.
    length: u64,
    /// Up to where the disk's bytes count; behind that are zeros until they are written.
    stored: u64,
    writes: VecDeque<Write>,
    /// What the pages touched by `writes` look like after them.
    pages: BTreeMap<u64, Box<[u8; PAGE]>>,
}

#[derive(Debug)]
enum Write {
    Data(u64, Vec<u8>),
    Length(u64),
    Sync,
}

impl Hold {
    pub(super) fn new(disk: Arc<dyn Disk>) -> io::Result<Hold> {
        let length = disk.len()?;
        let held = Held { length, stored: length, writes: VecDeque::new(), pages: BTreeMap::new() };
        Ok(Hold { disk, mode: Mutex::new(Mode::Holding(held)) })
    }

    /// Writes what was held, in order, and lets everything after it through. After an error it still holds what was
    /// not written yet, and may be asked again.
    pub(super) fn release(&self) -> io::Result<()> {
        let mut mode = self.lock();
        if let Mode::Holding(held) = &mut *mode {
            while let Some(write) = held.writes.front() {
                match write {
                    Write::Data(offset, data) => self.disk.write(*offset, data)?,
                    Write::Length(length) => self.disk.set_len(*length)?,
                    Write::Sync => self.disk.sync()?,
                }
                held.writes.pop_front();
            }
            *mode = Mode::Through;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Mode> {
        // Nothing in here panics halfway through a change.
        self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn read(&self, disk: &dyn Disk, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset + out.len() as u64;
        if end > self.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let stored = self.stored.clamp(offset, end) - offset;
        let (stored, zeros) = out.split_at_mut(usize::try_from(stored).expect("it is within `out`"));
        disk.read(offset, stored)?;
        zeros.fill(0);
        for (start, page, within) in pages_of(offset, out.len()) {
            if let Some(held) = self.pages.get(&page) {
                out[start..start + within.len()].copy_from_slice(&held[within]);
            }
        }
        Ok(())
    }

    fn write(&mut self, disk: &dyn Disk, offset: u64, data: &[u8]) -> io::Result<()> {
        for (start, page, within) in pages_of(offset, data.len()) {
            if !self.pages.contains_key(&page) {
                let mut fresh = Box::new([0; PAGE]);
                let base = page * PAGE as u64;
                let known = self.length.saturating_sub(base).min(PAGE as u64);
                self.read(disk, base, &mut fresh[..usize::try_from(known).expect("a page is short")])?;
                self.pages.insert(page, fresh);
            }
            let held = self.pages.get_mut(&page).expect("it was put there just now");
            let length = within.len();
            held[within].copy_from_slice(&data[start..start + length]);
        }
        self.length = self.length.max(offset + data.len() as u64);
        self.writes.push_back(Write::Data(offset, data.to_vec()));
        Ok(())
    }

    fn set_len(&mut self, length: u64) {
        // What is cut off reads as zeros should the file grow again.
        self.stored = self.stored.min(length);
        self.pages.retain(|&page, held| {
            let kept = length.saturating_sub(page * PAGE as u64).min(PAGE as u64);
            held[usize::try_from(kept).expect("a page is short")..].fill(0);
            kept > 0
        });
        self.length = length;
        self.writes.push_back(Write::Length(length));
    }
}

/// The pages that a run of bytes lies in: where its part begins in the run, the page's number, and where in the page.
fn pages_of(offset: u64, length: usize) -> impl Iterator<Item = (usize, u64, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        (done < length).then(|| {
            let at = offset + done as u64;
            let from = usize::try_from(at % PAGE as u64).expect("a page is short");
            let to = PAGE.min(from + length - done);
            let start = done;
            done += to - from;
            (start, at / PAGE as u64, from..to)
        })
    })
}

/// What redb is given: it takes its backend by value, and the ledger keeps a hand on it.
#[derive(Debug)]
pub(super) struct Backend(pub(super) Arc<Hold>);

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        match &*self.0.lock() {
            Mode::Holding(held) => Ok(held.length),
            Mode::Through => self.0.disk.len(),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match &*self.0.lock() {
            Mode::Holding(held) => held.read(&*self.0.disk, offset, out),
            Mode::Through => self.0.disk.read(offset, out),
        }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        match &mut *self.0.lock() {
            Mode::Holding(held) => {
                held.set_len(length);
                Ok(())
            }
            Mode::Through => self.0.disk.set_len(length),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        match &mut *self.0.lock() {
            Mode::Holding(held) => {
                held.writes.push_back(Write::Sync);
                Ok(())
            }
            Mode::Through => self.0.disk.sync(),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match &mut *self.0.lock() {
            Mode::Holding(held) => held.write(&*self.0.disk, offset, data),
            Mode::Through => self.0.disk.write(offset, data),
        }
    }
}
