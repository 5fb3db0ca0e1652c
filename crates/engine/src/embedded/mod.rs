//! The ledger in one file, on redb.
//!
//! ```text
//!   commit ──▶ one journal row (sequential)        load ──▶ hold: nothing is written to the file
//!          ├─▶ a few of the oldest dirty blocks,            ├─▶ redb's own check of every page
//!          │   folded into their rows                       ├─▶ objects, blocks, then the journal's newer records
//!          └─▶ objects                                      └─▶ all well: what was held is written
//! ```
//!
//! * [`EmbeddedLedger`]: the [`Ledger`](crate::Ledger) of a data folder (`store`); how it is read (`load`) and
//!   committed (`write`).
//! * `row`, `format`: the bytes; drawn in `docs/internals/ledger-format.md`.
//! * `past`: the journal's older rows, which say what happened.
//! * `dirty`: which blocks have changes that only the journal has, and when they are folded.
//! * `room`: whether the disk has any left.
//! * `folder`: the lock on the data folder, and how a new ledger comes into being.
//! * `open`: every page checked before anything is believed, and nothing written before that.
//! * [`Disk`]: where the file's bytes are; a simulator brings its own. `hold`: between redb and the disk.

mod dirty;
mod disk;
mod folder;
mod format;
mod hold;
mod load;
mod open;
mod past;
mod room;
mod row;
mod store;
mod write;

pub use disk::{Disk, FileDisk};
pub use room::check_room;
pub use store::EmbeddedLedger;
