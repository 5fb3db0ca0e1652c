//! The rules from outside: what people declare, what consumers ask, what they get.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod adopt;
mod blocks;
mod cases;
mod check;
mod choice;
mod codec;
mod columns;
mod idempotent;
mod model;
mod objects;
mod reuse;
mod several;
mod withheld;
mod world;
