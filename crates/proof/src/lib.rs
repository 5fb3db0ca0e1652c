//! What proves that an address is no longer used: the release protocol as pure rules for both of its ends (R2–R4, L5, L6).
//!
//! ```text
//!   node                                              API server                     controller
//!   CNI ADD, DEL ─▶ ┌──────┐ records ─▶ journal                                      ┌──────┐ ◀─ pods bound, finished, gone
//!   pods bound   ─▶ │ Book │ ─ Report ─▶ NodeAttachments.status ──────────── Report ▶ │ Ends │ ◀─ allocations in the ledger
//!   namespaces   ─▶ └──────┘ ◀─ reach, ─ NodeAttachments.spec ◀─ reach, epoch, ────── └──────┘ ─▶ Freed: proved, to be released
//!                               epoch                            admission
//! ```
//!
//! A deleted pod proves nothing: its interface may live on. A DEL proves nothing: most plugins call it while the link is up. An
//! entry missing in a list proves nothing: whoever wrote the list may not have known of it. What proves an end is a [`Report`]
//! of the right machine, as of a version at which the pod had ended, that does not list the address, from an agent that has
//! written down before that it will never again serve a pod that had ended by then.
//!
//! * [`Book`]: the node's end. Owns no file: it returns [`Record`]s, and what they allow may be done once they are durable.
//! * [`Ends`]: the controller's end. Owns no watch: it is told what was seen, and says what is proved, whom to ask, and what
//!   keeps an address.
//! * [`Report`], [`Version`], [`Use`]: what passes between them.
//!
//! # Using a `Book` (agent)
//!
//! ```
//! # use allotment_proof::*;
//! # let journal: Vec<Record> = Vec::new();
//! let me = Identity { node_uid: "n-1".into(), boot_id: "b-1".into() };
//! let (mut book, records) = Book::open(&journal, me);
//! // append `records`; with an empty journal also `book.rebuilt(…)`, once no CNI call from before can be under way
//! # book.rebuilt(Vec::new());
//! book.listed(Version(7), [("pod-1".to_owned(), Seen::bound())]);
//! let ticket = book.arrived("sandbox-1", "eth0");                       // an ADD came in; now wait for its grant
//! let attachment = Attachment {
//!     sandbox: "sandbox-1".into(), interface: "eth0".into(), pod: "pod-1".into(), netns: "/run/netns/x".into(),
//!     addresses: [Address { vrf: "default".into(), address: "10.0.0.1".parse().unwrap() }].into(),
//! };
//! let records = book.answer(&ticket, attachment, &Source::Grant { node_uid: "n-1".into() }).unwrap();
//! // append `records` durably, then answer the ADD
//! let deletion = book.delete("sandbox-1", "eth0");
//! // append `deletion.records` durably, answer the DEL; with `is_cancelling`, ADDs that wait are refused now
//! for check in book.checks() { /* look into check.netns; then book.absent(&check) or book.namespace_gone(&check) */ }
//! book.gone("pod-1", Version(9));
//! if book.due() != Due::Nothing {
//!     let publication = book.publish(|_, _| true).unwrap();
//!     // append `publication.records` durably, replace the status (with its resourceVersion!), then:
//!     book.published(&publication.report);
//! }
//! ```
//!
//! What the agent owes: pods are listed consistently (no `resourceVersion=0`); the status is replaced with the object's
//! resourceVersion, so that no delayed write of an older report lands on a newer one; a check looks at the namespace after
//! [`Book::checks`] was called.
//!
//! # What is absent and must stay so
//!
//! A clock, I/O, and a way to free by time or by absence. `tests/it` drives both ends through every interleaving of a small
//! world, and shows for each part of the rules what happens without it (R7).

mod book;
mod ends;
mod journal;
mod report;

pub use book::{Book, Check, Deletion, Due, Publication, Refused, Seen, Source, Ticket};
pub use ends::{Admission, Ends, Freed, Held, Kept, Lost, PodSeen, Waiting};
pub use journal::{Attachment, Identity, Key, Record};
pub use report::{Address, Report, Use, Version};
