//! The engine and the embedded ledger, from outside.

mod conforms;
mod engine;
mod failing;
mod faults;
mod gate;
mod opening;
mod sim_disk;
mod transfer;
