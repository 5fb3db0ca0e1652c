//! Agents on a real API server. The tests are the scheduler, the controller and the container runtime.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod add;
mod away;
mod release;
mod restart;
mod world;
