//! Opening the database: on hold, checked to the last page, and known to be ours.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use redb::{Builder, Database};

use crate::LedgerError;
use crate::panics::panic_text;

use super::disk::Disk;
use super::format::{BLOCKS, FORMAT, HEADER_KEY, Header, JOURNAL, META, OBJECTS};
use super::hold::{Backend, Hold};
use super::load::{Snapshot, read_error};

/// Bytes that redb may keep of the file, a tenth of it for what a commit writes. The engine never reads what it has in its
/// state; this is for the inner pages that each commit walks through, some hundred with a million allocations. What is
/// beyond them would be a second copy of the ledger in memory.
const CACHE: usize = 8 << 20;

/// An open database. Nothing is written to its disk before the hold is released.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) database: Database,
    pub(super) hold: Arc<Hold>,
}

impl Open {
    pub(super) fn new(disk: &Arc<dyn Disk>, place: &str) -> Result<Open, LedgerError> {
        let io = |error| read_error(place, redb::Error::Io(error));
        if disk.is_empty().map_err(io)? {
            // redb would take it for a new database.
            return Err(LedgerError::Foreign { place: place.to_owned(), why: "it is empty".to_owned() });
        }
        let hold = Arc::new(Hold::new(Arc::clone(disk)).map_err(io)?);
        // The check reads every page, and makes redb report damage that it would otherwise trust or panic about. It
        // also repairs what an unclean stop has left.
        let open = || {
            Builder::new()
                .set_cache_size(CACHE)
                .set_check_integrity_on_open(true)
                .create_with_backend(Backend(Arc::clone(&hold)))
                .map_err(|error| read_error(place, error))
        };
        let database = guarded(place, open)?;
        let open = Open { database, hold };
        guarded(place, || check_header(&open, place))?;
        Ok(open)
    }

    /// Lets go of a database that failed: redb refuses everything until it is opened anew, and leaves the file as the
    /// failure left it.
    pub(super) fn give_up(self) {
        // A panic in here would be about a state that redb has given up already.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(self.database)));
    }
}

fn check_header(open: &Open, place: &str) -> Result<(), LedgerError> {
    let place = || place.to_owned();
    let Some(row) = Snapshot::new(&open.database, &place())?.header()? else {
        return Err(LedgerError::Foreign {
            place: place(),
            why: "it is a redb database of something else".to_owned(),
        });
    };
    let header = Header::decode(&row)
        .map_err(|error| LedgerError::Damaged { place: place(), why: format!("its header: {error}") })?;
    if header.format > FORMAT {
        return Err(LedgerError::Newer { place: place(), found: header.format, known: FORMAT });
    }
    tracing::debug!(ledger = place(), id = format_args!("{:032x}", header.id), "opened");
    Ok(())
}

/// Makes a ledger on an empty disk.
pub(super) fn create(disk: Arc<dyn Disk>, place: &str, id: u128) -> Result<(), LedgerError> {
    let make = || -> Result<(), redb::Error> {
        let hold = Arc::new(Hold::new(disk)?);
        hold.release()?;
        let database = Builder::new().create_with_backend(Backend(hold))?;
        let txn = database.begin_write()?;
        txn.open_table(META)?.insert(HEADER_KEY, Header { format: FORMAT, id }.encode().as_slice())?;
        for table in [JOURNAL, BLOCKS, OBJECTS] {
            txn.open_table(table)?;
        }
        txn.commit()?;
        database.close()?;
        Ok(())
    };
    make().map_err(|error| LedgerError::Write { place: place.to_owned(), why: error.to_string() })
}

/// Runs what reads a file that may be damaged: a panic in redb is an error of the file.
pub(super) fn guarded<T>(
    place: &str,
    read: impl FnOnce() -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        Err(LedgerError::Damaged {
            place: place.to_owned(),
            why: format!("redb gave up on it: {}", panic_text(&*panic)),
        })
    })
}
