//! The release protocol in every interleaving of small worlds (R7).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]
#![expect(clippy::print_stdout, reason = "how large a world is, and how it fails, is worth a line")]

mod book;
mod ends;
mod rules;
mod search;
mod steps;
mod world;
