//! How the ledger is read: objects, then blocks, with the records that the journal has newer.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use redb::{ReadTransaction, ReadableDatabase, ReadableTable, TableError};

use allotment_core::{Object, State};

use crate::LedgerError;
use crate::bytes::Malformed;

use super::format::{self, BLOCKS, Head, JOURNAL, META, OBJECTS};
use super::row::RowError;

/// A snapshot of the database, and where it is, for errors.
pub(super) struct Snapshot<'a> {
    txn: ReadTransaction,
    place: &'a str,
}

/// What is left to know after everything was read.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) newest: Newest,
    /// Blocks with changes that only the journal has.
    pub(super) dirty: Vec<DirtyBlock>,
}

/// The end of the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Newest {
    /// 0 while there is none.
    pub(super) sequence: u64,
    /// Where reading the journal has to begin.
    pub(super) tail: u64,
    /// Bytes of all journal rows ever written.
    pub(super) written: u64,
}

/// A block with changes that only the journal has: the row of the oldest of them, and the bytes before that row.
#[derive(Debug)]
pub(super) struct DirtyBlock {
    pub(super) vrf: String,
    pub(super) base: IpAddr,
    pub(super) sequence: u64,
    pub(super) before: u64,
}

/// The journal rows that matter, by sequence; checked.
struct Journal(Vec<(u64, Vec<u8>)>);

/// What the journal has of one block.
#[derive(Default)]
struct Later<'a> {
    /// Rows that change the block, ascending: sequence, and bytes before the row.
    rows: Vec<(u64, u64)>,
    /// The newest record of each place, and the row it is from.
    records: BTreeMap<u8, (u64, &'a [u8])>,
}

/// By the key of the block's row.
type LaterByBlock<'a> = HashMap<Vec<u8>, Later<'a>>;

impl<'a> Snapshot<'a> {
    pub(super) fn new(database: &impl ReadableDatabase, place: &'a str) -> Result<Snapshot<'a>, LedgerError> {
        let txn = database.begin_read().map_err(|error| read_error(place, error))?;
        Ok(Snapshot { txn, place })
    }

    /// The header row; nothing where it is missing.
    pub(super) fn header(&self) -> Result<Option<Vec<u8>>, LedgerError> {
        match self.txn.open_table(META) {
            Ok(table) => {
                Ok(table.get(format::HEADER_KEY).map_err(|e| self.failed(e))?.map(|row| row.value().to_vec()))
            }
            Err(TableError::TableDoesNotExist(_) | TableError::TableTypeMismatch { .. }) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    pub(super) fn newest(&self) -> Result<Newest, LedgerError> {
        let journal = self.table(JOURNAL)?;
        let Some((key, row)) = journal.last().map_err(|e| self.failed(e))? else {
            return Ok(Newest { sequence: 0, tail: 1, written: 0 });
        };
        let (key, row) = (key.value(), row.value());
        let sequence =
            format::journal_sequence(key).map_err(|e| self.bad("the last row of the journal", e))?;
        let (Head { tail, before, .. }, _) = format::open_journal(key, row)
            .map_err(|e| self.bad(format_args!("journal row {sequence}"), e))?;
        Ok(Newest { sequence, tail, written: before + row.len() as u64 })
    }

    /// Reads everything into an empty state.
    pub(super) fn load(&self, state: &mut State) -> Result<Loaded, LedgerError> {
        for object in self.objects()? {
            let key = object.key();
            state.put(object).map_err(|error| self.damaged(format!("{key} is not accepted: {error}")))?;
        }
        let newest = self.newest()?;
        let journal = self.journal(newest)?;
        let mut later = self.by_block(&journal, |_| true)?;
        let mut dirty = Vec::new();
        let table = self.table(BLOCKS)?;
        for entry in table.iter().map_err(|e| self.failed(e))? {
            let (key, row) = entry.map_err(|e| self.failed(e))?;
            let later = later.remove(key.value()).unwrap_or_default();
            dirty.extend(self.block(state, newest, key.value(), Some(row.value()), &later)?);
        }
        for (key, later) in later {
            dirty.extend(self.block(state, newest, &key, None, &later)?);
        }
        dirty.sort_by_key(|block| block.sequence);
        Ok(Loaded { newest, dirty })
    }

    /// Reads these blocks into a state that has forgotten them.
    pub(super) fn reload(&self, state: &mut State, blocks: &[(String, IpAddr)]) -> Result<(), LedgerError> {
        let keys: HashSet<Vec<u8>> = blocks.iter().map(|(vrf, base)| format::block_key(vrf, *base)).collect();
        let newest = self.newest()?;
        let journal = self.journal(newest)?;
        let mut later = self.by_block(&journal, |key| keys.contains(key))?;
        let table = self.table(BLOCKS)?;
        for key in &keys {
            let row = table.get(key.as_slice()).map_err(|e| self.failed(e))?;
            let later = later.remove(key).unwrap_or_default();
            self.block(state, newest, key, row.as_ref().map(redb::AccessGuard::value), &later)?;
        }
        Ok(())
    }

    fn objects(&self) -> Result<Vec<Object>, LedgerError> {
        let mut objects = Vec::new();
        for entry in self.table(OBJECTS)?.iter().map_err(|e| self.failed(e))? {
            let (key, row) = entry.map_err(|e| self.failed(e))?;
            let name = String::from_utf8_lossy(key.value().get(1..).unwrap_or_default()).into_owned();
            let object = format::decode_object(key.value(), row.value());
            objects.push(object.map_err(|e| self.bad(format_args!("object `{name}`"), e))?);
        }
        Ok(objects)
    }

    /// The journal from its tail on.
    fn journal(&self, newest: Newest) -> Result<Journal, LedgerError> {
        let mut rows = Vec::new();
        let table = self.table(JOURNAL)?;
        for (wanted, entry) in (newest.tail..=newest.sequence)
            .zip(table.range(format::journal_key(newest.tail).as_slice()..).map_err(|e| self.failed(e))?)
        {
            let (key, row) = entry.map_err(|e| self.failed(e))?;
            if key.value() != format::journal_key(wanted) {
                return Err(self.damaged(format!("journal row {wanted} is missing")));
            }
            rows.push((wanted, row.value().to_vec()));
        }
        let read = rows.len() as u64;
        if newest.tail + read != newest.sequence + 1 {
            return Err(self.damaged(format!("journal row {} is missing", newest.tail + read)));
        }
        Ok(Journal(rows))
    }

    /// Sorts the journal's records by block.
    fn by_block<'j>(
        &self,
        journal: &'j Journal,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<LaterByBlock<'j>, LedgerError> {
        let mut blocks = LaterByBlock::new();
        for (sequence, row) in &journal.0 {
            let bad = |e| self.bad(format_args!("journal row {sequence}"), e);
            let (head, changes) = format::open_journal(&format::journal_key(*sequence), row).map_err(bad)?;
            for change in changes {
                let (vrf, address, record) = change.map_err(bad)?;
                let key = format::block_key(vrf, format::at_offset(address, 0));
                if !wanted(&key) {
                    continue;
                }
                let later = blocks.entry(key).or_default();
                if later.rows.last().is_none_or(|last| last.0 != *sequence) {
                    later.rows.push((*sequence, head.before));
                }
                later.records.insert(format::offset_of(address), (*sequence, record));
            }
        }
        Ok(blocks)
    }

    /// Loads one block: what its row has, except where the journal is newer.
    fn block(
        &self,
        state: &mut State,
        newest: Newest,
        key: &[u8],
        row: Option<&[u8]>,
        later: &Later<'_>,
    ) -> Result<Option<DirtyBlock>, LedgerError> {
        let (vrf, base) = format::block_of(key).map_err(|e| self.bad("a block", e))?;
        let bad = |e| self.bad(format_args!("block {base} in VRF `{vrf}`"), e);
        let mut load = |offset, record| {
            let address = format::at_offset(base, offset);
            state.load(vrf, address, record).map_err(|error| self.damaged(error.to_string()))
        };
        let mut folded_at = 0;
        if let Some(row) = row {
            let (at, records) = format::open_block(key, row).map_err(bad)?;
            if at > newest.sequence {
                return Err(bad(Malformed("it is newer than the journal").into()));
            }
            folded_at = at;
            for record in records {
                let (offset, record) = record.map_err(bad)?;
                if later.records.get(&offset).is_none_or(|newer| newer.0 <= folded_at) {
                    load(offset, record)?;
                }
            }
        }
        for (&offset, &(sequence, record)) in &later.records {
            if sequence > folded_at {
                load(offset, record)?;
            }
        }
        let oldest = later.rows.iter().find(|row| row.0 > folded_at);
        Ok(oldest.map(|&(sequence, before)| DirtyBlock { vrf: vrf.to_owned(), base, sequence, before }))
    }

    pub(super) fn table(
        &self,
        table: redb::TableDefinition<'static, &'static [u8], &'static [u8]>,
    ) -> Result<redb::ReadOnlyTable<&'static [u8], &'static [u8]>, LedgerError> {
        self.txn.open_table(table).map_err(|error| self.failed(error))
    }

    pub(super) fn bad(&self, what: impl std::fmt::Display, error: RowError) -> LedgerError {
        self.damaged(format!("{what}: {error}"))
    }

    fn damaged(&self, why: String) -> LedgerError {
        LedgerError::Damaged { place: self.place.to_owned(), why }
    }

    pub(super) fn failed(&self, error: impl Into<redb::Error>) -> LedgerError {
        read_error(self.place, error)
    }
}

/// What redb says when reading fails: the disk, or the file.
pub(super) fn read_error(place: &str, error: impl Into<redb::Error>) -> LedgerError {
    let place = place.to_owned();
    match error.into() {
        redb::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            LedgerError::Foreign { place, why: "it is no redb database".to_owned() }
        }
        redb::Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            LedgerError::Damaged { place, why: "it ends too early".to_owned() }
        }
        redb::Error::Io(error) => LedgerError::Unavailable { place, why: error.to_string() },
        redb::Error::UpgradeRequired(version) => {
            LedgerError::Foreign { place, why: format!("it is a redb database of file format {version}") }
        }
        error => LedgerError::Damaged { place, why: error.to_string() },
    }
}
