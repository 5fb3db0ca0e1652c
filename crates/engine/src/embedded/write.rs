//! One commit: a journal row, the rows of the blocks whose turn it is, and objects.

use redb::{ReadableTable, Table, WriteTransaction};

use allotment_core::{BlockId, State};

use crate::Batch;

use super::dirty::{Folds, Position};
use super::format::{self, BLOCKS, BlockWriter, JOURNAL, JournalWriter, OBJECTS};
use super::open::Open;
use super::past::Kept;

/// Journal rows that one commit removes at most: more than it adds, so that the journal shrinks again after a burst.
const TRIMS: u64 = 4;

/// One commit, as it will be.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) at: Position,
    pub(super) tail: u64,
    pub(super) touched: Vec<BlockId>,
    pub(super) folds: Folds<BlockId>,
    /// Rows before the tail that are not removed yet.
    pub(super) kept: Option<Kept>,
}

/// The records that a batch changed, as they are now.
pub(super) fn journal_row<'a>(state: &'a State, batch: &Batch) -> JournalWriter<'a> {
    let mut places = batch.places.clone();
    places.sort_unstable();
    places.dedup();
    let mut row = JournalWriter::new();
    let mut record = Vec::new();
    for place in places {
        record.clear();
        assert!(state.write_record(place, &mut record), "an address that changed has a record");
        row.record(state.vrf_name(place.block()), place.address(), &record);
    }
    row
}

/// Writes the rows of the blocks whose turn it is, as the state has them.
fn fold(txn: &WriteTransaction, state: &State, step: &Step) -> Result<(), redb::Error> {
    if step.folds.blocks.is_empty() {
        return Ok(());
    }
    let mut blocks = txn.open_table(BLOCKS)?;
    let mut record = Vec::new();
    for &block in &step.folds.blocks {
        let mut row = BlockWriter::new(step.at.sequence);
        for place in state.places(block) {
            record.clear();
            state.write_record(place, &mut record);
            row.record(place.offset(), &record);
        }
        let key = format::block_key(state.vrf_name(block), block.base());
        blocks.insert(key.as_slice(), row.finish(&key).as_slice())?;
    }
    Ok(())
}

/// Everything that one commit writes.
pub(super) fn write(
    open: &Open,
    state: &State,
    batch: &Batch,
    step: &Step,
    row: &[u8],
) -> Result<(), redb::Error> {
    let txn = open.database.begin_write()?;
    {
        let mut journal = txn.open_table(JOURNAL)?;
        journal.insert(format::journal_key(step.at.sequence).as_slice(), row)?;
        // The newest row stays: it says where the ledger stands.
        trim(&mut journal, step.tail.min(step.at.sequence), step.kept)?;
    }
    fold(&txn, state, step)?;
    if !batch.objects.is_empty() {
        let mut objects = txn.open_table(OBJECTS)?;
        for (key, object) in &batch.objects {
            let key = format::object_key(key);
            match object {
                Some(object) => {
                    objects.insert(key.as_slice(), format::encode_object(&key, object).as_slice())?
                }
                None => objects.remove(key.as_slice())?,
            };
        }
    }
    txn.commit()?;
    Ok(())
}

/// Removes a few of the journal's oldest rows, as far as every change in them is in its block's row and nobody wants to know
/// of them any more.
fn trim(
    journal: &mut Table<'_, &'static [u8], &'static [u8]>,
    tail: u64,
    kept: Option<Kept>,
) -> Result<(), redb::Error> {
    let tail = format::journal_key(tail);
    let is_kept =
        |row: &[u8]| kept.is_some_and(|kept| format::head(row).is_some_and(|head| kept.keeps(head)));
    for _ in 0..TRIMS {
        match journal.first()? {
            Some((key, row)) if key.value() < tail.as_slice() && !is_kept(row.value()) => {}
            _ => break,
        }
        journal.pop_first()?;
    }
    Ok(())
}
