//! The engine and the embedded ledger, from outside.

mod conforms;
mod costs;
mod engine;
mod failing;
mod faults;
mod gate;
mod opening;
mod sim_disk;
mod transfer;
