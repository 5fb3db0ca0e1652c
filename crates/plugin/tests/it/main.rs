//! The built plugin against a daemon that does as it is told.
#![expect(clippy::unwrap_used, reason = "what a test cannot do, it fails on")]

mod away;
mod calls;
mod fake;
mod input;
mod plugin;
mod version;
