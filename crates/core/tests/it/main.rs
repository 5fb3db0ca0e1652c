//! The rules from outside: what people declare, what consumers ask, what they get.

mod choice;
mod idempotent;
mod model;
mod objects;
mod reuse;
mod world;
