//! From what stands in Kubernetes objects to core's request, and from core's grant to what stands on a pod.
//!
//! ```text
//!   PodView, NamespaceView, Nads, node labels, Settings ──▶ read ──▶ Reading: nothing | wanted | refused | waits
//!                                        Ask, PodView … ──▶ read_ask
//!   core::Grant   ──▶ pod_grant   ──▶ PodGrant   (annotation `allotment.dev/grant`)
//!   core::Refusal ──▶ pod_refusal ──▶ PodRefusal (annotation `allotment.dev/refusal`)
//! ```
//!
//! All of it is pure: the same objects give the same request, and no input panics.

mod ask;
mod entry;
mod fixed;
mod grant;
mod nad;
mod owner;
mod pod;
mod selection;
mod settings;
mod surge;
mod view;
mod want;

pub use ask::read_ask;
pub use entry::{Fate, Keep};
pub(crate) use grant::shortened;
pub use grant::{granted_attachment, pod_grant, pod_refusal};
pub use nad::{Nad, Nads};
pub use owner::{deployment, owner};
pub use pod::{Interface, Reading, Wanted, interfaces, keep_of, read, unannounced};
pub use settings::{Identity, MULTUS_NAMESPACE, OwnerKind, SettingError, Settings};
pub use surge::{Rollout, Surge};
pub use view::{Controller, NamespaceView, PodView, World};

#[cfg(test)]
mod tests;
