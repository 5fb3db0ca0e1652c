//! The journal's older rows: what happened (O10). They are read by nobody else, and kept for as long as they are young enough and
//! the journal not too long.

use std::net::IpAddr;

use allotment_core::Timestamp;

use crate::{Change, History, LedgerError};

use super::format::{self, Head, JOURNAL};
use super::load::Snapshot;

/// Bytes of journal beyond which even young rows go: some two hundred thousand changes. Opening the file reads all of it.
const BUDGET: u64 = 64 << 20;

/// Rows and bytes of one page: some milliseconds, which allocations wait for.
const ROWS: usize = 256;
const BYTES: usize = 256 << 10;

/// Which rows are kept although no load needs them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// Not older than this.
    since: Timestamp,
    /// Nor written before so many bytes of journal.
    before: u64,
}

impl Kept {
    /// After a commit at `now`, with so many bytes of journal ever written.
    pub(super) fn at(now: Timestamp, keep_ms: u64, written: u64) -> Option<Kept> {
        let kept =
            Kept { since: Timestamp(now.0.saturating_sub(keep_ms)), before: written.saturating_sub(BUDGET) };
        (keep_ms > 0).then_some(kept)
    }

    pub(super) fn keeps(self, head: Head) -> bool {
        head.at >= self.since && head.before >= self.before
    }
}

impl Snapshot<'_> {
    /// A page of what the journal has from the row `from` on.
    pub(super) fn history(&self, from: u64, only: Option<IpAddr>) -> Result<History, LedgerError> {
        let mut history = History::default();
        let table = self.table(JOURNAL)?;
        let first = format::journal_key(from);
        let (mut rows, mut bytes) = (0, 0);
        for entry in table.range(first.as_slice()..).map_err(|e| self.failed(e))? {
            let (key, row) = entry.map_err(|e| self.failed(e))?;
            let (key, row) = (key.value(), row.value());
            let sequence = format::journal_sequence(key).map_err(|e| self.bad("a row of the journal", e))?;
            if rows == ROWS || bytes > BYTES {
                history.next = Some(sequence);
                break;
            }
            (rows, bytes) = (rows + 1, bytes + row.len());
            let bad = |e| self.bad(format_args!("journal row {sequence}"), e);
            let (head, changes) = format::open_journal(key, row).map_err(bad)?;
            for change in changes {
                let (vrf, address, record) = change.map_err(bad)?;
                if only.is_none_or(|only| only == address) {
                    let (vrf, record) = (vrf.to_owned(), record.to_vec());
                    history.changes.push(Change { at: head.at, vrf, address, record });
                }
            }
        }
        Ok(history)
    }
}
