//! Network namespaces: which one it is, what is in it, whether it is gone.
//!
//! * [`observe`]: at ADD, the evidence that is recorded, and the interface's MAC.
//! * [`gone`]: whether anything on this machine still leads to a recorded namespace.
//! * [`contents`]: what is on the interfaces of every namespace, for the audit.

mod census;
mod identity;
mod interfaces;
mod visit;

pub use census::{contents, gone};
pub use identity::{Seen, observe};
pub use interfaces::Interface;

/// Whether a namespace was recorded since the machine was booted: those of earlier boots are gone.
pub(crate) fn of_this_boot(netns: &allotment_core::Netns) -> bool {
    netns.boot == identity::boot_id()
}
