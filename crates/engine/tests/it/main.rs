//! The engine and the embedded ledger, from outside.

mod conforms;
mod faults;
mod opening;
mod sim_disk;
