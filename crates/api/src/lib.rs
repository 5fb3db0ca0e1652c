//! The objects that people declare, as YAML: `Subnet`, `IPPool` and `Reservation` of `allotment.dev/v1alpha1`.
//!
//! ```text
//!   text ─▶ documents ─▶ Node (with lines) ─▶ v1alpha1 ─▶ core::Object, checked by itself
//!           read::document   read::node       read::reader     Located: and where each field stood
//! ```
//!
//! * [`parse`] one file, [`read_folder`] a folder of them; what is wrong comes back as [`Problem`]s with file, line and
//!   field, beside the objects that are right.
//! * [`to_yaml`] writes an object that `kubectl apply` takes and that reads back as the same object.
//! * With the feature `kube`, [`crds`] has the objects as an API server takes them: `schema` says the rules of core in
//!   CEL, as far as CEL can. [`policies_yaml`] has who may write what there, [`webhook_yaml`] who is asked before.
//! * [`v1alpha1`] is the form of the objects; their meaning is core's. [`reference()`] and its neighbours describe it to
//!   people.
//!
//! What is absent and must stay so: no judgement of one object against another (that is `State`'s, in core), and no
//! following of changes (that is the daemon's).

pub mod annotation;
#[cfg(feature = "kube")]
mod crd;
mod folder;
mod policies;
mod problem;
mod read;
mod reference;
mod scalar;
#[cfg(feature = "kube")]
mod schema;
pub mod v1alpha1;
mod webhook;
mod write;

#[cfg(feature = "kube")]
pub use crd::{crds, crds_yaml};
pub use folder::{files, read_folder};
pub use policies::{AGENTS, CONTROLLER, ParsePrincipalError, Principal, policies_yaml};
pub use problem::{Located, Parsed, Problem};
pub use read::{MAX_FILE_BYTES, parse};
pub use reference::{annotation_reference, internal_reference, reference};
pub use scalar::{Address, Duration};
pub use webhook::{ParseWebhookAddressError, WebhookAddress, webhook_yaml};
pub use write::to_yaml;

/// The `apiVersion` of every object here.
pub const API_VERSION: &str = "allotment.dev/v1alpha1";
