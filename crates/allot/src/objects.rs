//! Keeps what is in force in step with the folder of YAML objects (O6).
//!
//! ```text
//!   folder ──watch──▶ read ──▶ Wanted ──┐
//!                                       ├─ steps ──▶ settle ──▶ engine
//!   in force (State), remembered ───────┘               └─────▶ problems: what is not in force, and why
//! ```
//!
//! The ledger keeps each object's last accepted form. A bad or shrinking file, or a deleted one whose addresses are held,
//! leaves it in force; what was wanted is tried again until nothing stands in its way.

mod follow;
mod remember;
mod settle;
mod steps;
mod wanted;
mod watch;

pub(crate) use follow::{Follower, Problems};
pub(crate) use remember::{FromFiles, Sources};
pub(crate) use settle::{Scratch, settle};
pub(crate) use steps::steps;
pub(crate) use wanted::{Wanted, row};
