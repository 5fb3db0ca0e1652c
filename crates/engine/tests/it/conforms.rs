//! The embedded ledger does what every ledger must do.

use std::sync::Arc;

use allotment_engine::conformance::{self, Subject};
use allotment_engine::{EmbeddedLedger, embedded::Disk};
use tempfile::TempDir;

use crate::sim_disk::SimDisk;

struct Folder(TempDir);

impl Subject for Folder {
    type Ledger = EmbeddedLedger;

    fn open(&self) -> EmbeddedLedger {
        EmbeddedLedger::open(self.0.path()).unwrap()
    }
}

#[test]
fn in_a_folder() {
    conformance::run(|| Folder(TempDir::new().unwrap()));
}

struct InMemory(SimDisk);

impl Subject for InMemory {
    type Ledger = EmbeddedLedger;

    fn open(&self) -> EmbeddedLedger {
        if self.0.is_empty().unwrap() {
            EmbeddedLedger::create_disk(Arc::new(self.0.clone()), "a disk in memory", 1).unwrap();
        }
        EmbeddedLedger::open_disk(Arc::new(self.0.clone()), "a disk in memory").unwrap()
    }
}

#[test]
fn on_a_disk_in_memory() {
    conformance::run(|| InMemory(SimDisk::default()));
}
