//! Kubernetes in, Kubernetes out: pods become requests, grants become patches; the ledger on `AddressBlock` objects.
//!
//! ```text
//!   API server ──feed──▶ world ──actions──▶ execute ──▶ engine ─▶ ledger (AddressBlocks)
//!                          ▲                   │  └────▶ patches, status, events
//!                          └──── outcomes ─────┘
//! ```
//!
//! * [`run`](fn@run): the loop that owns the world; `leader`: whose turn it is.
//! * `world`: what is known, in pure structs: `pods` from binding to grant, `waiting` those refused, `objects` what is in
//!   force, `surroundings` what pods are read against.
//! * [`request`]: what a pod wants, and what it is told. `patch`: how it is shown.
//! * [`ledger`]: what remembers.
//! * [`webhook`](fn@webhook): refuses at once what an object's condition would say later.
//!
//! What is absent and must stay so: a decision in `execute` or `feed`, and I/O anywhere in `world`.

mod asks;
mod audit;
mod events;
mod execute;
mod feed;
mod health;
mod kubernetes;
mod leader;
pub mod ledger;
mod metrics;
mod objects;
mod owners;
mod patch;
mod pods;
mod release;
pub mod request;
mod run;
mod surroundings;
mod waiting;
mod webhook;
mod world;

pub use events::{EVENTS, EventDoc};
pub use health::Health;
pub use release::Keeping;
pub use request::Settings;
pub use run::run;
pub use webhook::{Certificate, CertificateError, LEADS, Lifetime, OwnCertificate, webhook};
