//! The admission webhook: says at once what an object's condition would say a moment later.
//!
//! ```text
//!   API server ──AdmissionReview──▶ serve ─▶ review ─▶ judge, on what the engine has in force
//!        ▲
//!        ├── mark   the leader's pod alone is behind the webhook's service
//!        └── vouch  whoever signed the certificate that the leader makes for itself
//! ```
//!
//! Standbys have no ledger to judge by, so the service leads to the leader. For as long as nobody leads, some seconds at most,
//! objects are taken without being asked about.
//!
//! It is an aid, and not what keeps addresses unique: of two objects that are written at one moment both may pass, and where
//! it is away, stands by or is not loaded yet, everything does. What the controller finds when it brings the object into
//! force, and the condition that it writes, has the last word. So it refuses only what it knows to be wrong.

mod certificate;
mod judge;
mod mark;
mod own;
mod review;
mod serve;
mod vouch;

use std::sync::Arc;

use kube::Client;
use tokio::net::TcpListener;

pub use self::certificate::{Certificate, CertificateError};
pub use self::mark::LEADS;
pub use self::own::{Lifetime, OwnCertificate};
use self::review::Reviewer;
use crate::Health;

/// Answers `AdmissionReview`s of `admission.k8s.io/v1`, whatever the path, and tells the API server where. It never ends.
pub async fn webhook(listener: TcpListener, certificate: Certificate, health: Arc<Health>, client: Client) {
    let marking = mark::mark(client.clone(), health.leading());
    let vouching = async {
        if let Certificate::Own(own) = &certificate {
            vouch::vouch(client, own, health.leading()).await;
        }
    };
    let reviewer = Arc::new(Reviewer { health: Arc::clone(&health) });
    tokio::join!(serve::serve(listener, certificate.clone(), reviewer), marking, vouching);
}
