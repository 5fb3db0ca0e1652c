//! The real `allot standalone` as a process of its own, asked through its socket and through the tool.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod asks;
mod audit;
mod check;
mod cluster;
mod daemon;
mod guide;
mod install_cni;
mod list;
mod metrics;
mod objects;
mod questions;
mod releases;
mod reserve;
mod start;
mod transfer;
