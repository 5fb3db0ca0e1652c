//! Figures that were measured: beside a peer's, against a bar, for people and for programs.

mod empty;
mod machine;
mod row;
mod times;

pub use empty::empty_program;
pub use machine::Machine;
pub use row::{Bar, Peer, Row, digits, table};
pub use times::Times;
