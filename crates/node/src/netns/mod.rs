//! Network namespaces: which one it is, what is in it, whether it is gone.
//!
//! * [`identify`]: which one is at a path. [`observe`]: at ADD, the evidence that is recorded, and the interface's MAC.
//! * [`gone`]: whether anything on this machine still leads to a recorded namespace.
//! * [`look`]: what recorded namespaces have on their interfaces now, if they are there.
//! * [`contents`]: what is on the interfaces of every namespace, for the audit.

mod census;
mod identity;
mod interfaces;
mod look;
mod visit;

pub use allotment_core::Netns;
pub use census::{contents, gone};
pub use identity::{Seen, boot_id, identify, observe};
pub use interfaces::Interface;
pub use look::{Look, look};

/// Whether a namespace was recorded since the machine was booted: those of earlier boots are gone.
pub(crate) fn of_this_boot(netns: &allotment_core::Netns) -> bool {
    netns.boot == identity::boot_id()
}
