//! What remembers: the trait that every ledger implements, and whose conformance suite it passes.

use std::net::IpAddr;

use allotment_core::{BlockId, Object, ObjectKey, Place, State, Timestamp};

/// What one commit changes; the new content is in the state.
#[derive(Default)]
pub struct Batch {
    /// The time that the rules were given for this batch.
    pub at: Timestamp,
    /// Addresses whose records changed, in the order of the changes; may repeat.
    pub places: Vec<Place>,
    /// Objects put or removed, in this order.
    pub objects: Vec<(ObjectKey, Option<Object>)>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.places.is_empty() && self.objects.is_empty()
    }

    /// The blocks it touches, each once, ascending.
    pub fn blocks(&self) -> Vec<BlockId> {
        let mut blocks: Vec<BlockId> = self.places.iter().map(|place| place.block()).collect();
        blocks.sort_unstable();
        blocks.dedup();
        blocks
    }
}

/// The ledger of record.
pub trait Ledger: Send {
    /// Reads everything into an empty state: objects first, then records. Checks each block's and record's sum; a
    /// damaged ledger is an error and is not changed. Whoever called has told the state to begin loading, and settles
    /// it.
    fn load(&mut self, state: &mut State) -> Result<(), LedgerError>;

    /// Makes a batch durable. Records are read from `state`, which has the batch applied.
    ///
    /// After an error the batch may be in the ledger in whole, in part (block by block, in a ledger that has no
    /// transaction over several) or not at all: whoever called reloads every block the batch touched, and may then
    /// plan again, since requests are idempotent.
    fn commit(&mut self, state: &State, batch: &Batch) -> Result<(), CommitError>;

    /// Reads blocks again after a failed commit, into a state that is loading and has forgotten them.
    fn reload(&mut self, state: &mut State, blocks: &[(String, IpAddr)]) -> Result<(), LedgerError>;

    /// Finds out what somebody else has written since it was read, and what of it the state does not have. Only a ledger
    /// that has been told of such a thing looks; one that nobody else can write to never is.
    fn refresh(&mut self) -> Result<Stale, LedgerError> {
        Ok(Stale::Blocks(Vec::new()))
    }
}

/// What of a state is no longer what its ledger has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stale {
    /// These blocks: VRF and base. They are to be reloaded.
    Blocks(Vec<(String, IpAddr)>),
    /// Anything, since an object has changed: all of it is to be loaded again.
    Everything,
}

/// Why a ledger could not be opened, read or written. `place` is where it is: a path, or an object's name.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("{place} is in use by {holder}")]
    InUse { place: String, holder: String },
    /// It cannot be read, or may not be: nothing is known of its content.
    #[error("{place} cannot be opened: {why}")]
    Unavailable { place: String, why: String },
    /// It is something else, or nothing at all.
    #[error("{place} is no ledger of Allotment: {why}")]
    Foreign { place: String, why: String },
    #[error("{place} is in format {found}; this program knows formats up to {known}")]
    Newer { place: String, found: u32, known: u32 },
    #[error("{place} is damaged: {why}")]
    Damaged { place: String, why: String },
    /// It was read well, and cannot be written now.
    #[error("{place} cannot be written: {why}")]
    Write { place: String, why: String },
}

impl LedgerError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            LedgerError::InUse { .. } => "stop the other one, or give this one a data folder of its own",
            LedgerError::Unavailable { .. } => {
                "see that it is there and can be reached, and that this user may read and write it"
            }
            LedgerError::Foreign { .. } => {
                "nothing was changed; move the file away to begin with an empty ledger, or restore a backup in its place"
            }
            LedgerError::Newer { .. } => {
                "nothing was changed; run the version of Allotment that wrote it, or a newer one"
            }
            LedgerError::Damaged { .. } => {
                "nothing was changed; keep a copy of the file, then restore a backup of it, or move it away and import an export"
            }
            LedgerError::Write { .. } => {
                "mend what it names, such as a full disk or an API server that does not answer; the engine goes on by itself"
            }
        }
    }
}

/// Why a commit did not happen.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Somebody else wrote these blocks.
    #[error("{} blocks were changed by somebody else", .0.len())]
    Conflict(Vec<BlockId>),
    /// Somebody else wrote an object: everything has to be loaded again, since an object says what holds for many blocks.
    #[error("objects were changed by somebody else")]
    Objects,
    #[error(transparent)]
    Failed(#[from] LedgerError),
}
