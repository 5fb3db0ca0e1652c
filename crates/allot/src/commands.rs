//! The commands that ask the daemon.

mod check;
mod install;
mod install_cni;
mod list;
mod questions;
mod ready;
mod reserve;
mod transfer;

pub(crate) use check::check;
pub(crate) use install::{crds, policies};
pub(crate) use install_cni::{install_cni, remove};
pub(crate) use list::{ips, named};
pub(crate) use questions::{audit, history, who_has, why};
pub(crate) use ready::ready;
pub(crate) use reserve::{reserve, unreserve};
pub(crate) use transfer::{export, exported, import, imported};
