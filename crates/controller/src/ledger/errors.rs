//! What the engine is told when something does not work.

use allotment_engine::LedgerError;

use super::api::Failure;
use super::name::Of;
use super::pack::{NEWEST, Unreadable};

/// Where it is.
const PLACE: &str = "the ledger on the API server";

pub(super) fn unavailable(failure: &Failure) -> LedgerError {
    LedgerError::Unavailable { place: PLACE.to_owned(), why: failure.why.clone() }
}

pub(super) fn unwritten(of: &Of, failure: &Failure) -> LedgerError {
    LedgerError::Write { place: place(of), why: failure.why.clone() }
}

pub(super) fn unreadable(of: &Of, why: Unreadable) -> LedgerError {
    match why {
        Unreadable::Newer(found) => {
            LedgerError::Newer { place: place(of), found: found.into(), known: NEWEST.into() }
        }
        Unreadable::Damaged(why) => LedgerError::Damaged { place: place(of), why: why.to_owned() },
    }
}

fn place(of: &Of) -> String {
    match of {
        Of::Ledger => PLACE.to_owned(),
        of => format!("{PLACE} ({of})"),
    }
}
