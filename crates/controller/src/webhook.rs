//! The admission webhook: says at once what an object's condition would say a moment later.
//!
//! ```text
//!   API server ──AdmissionReview──▶ serve ─▶ review ─▶ judge, on what the engine has in force
//! ```
//!
//! It is an aid, and not what keeps addresses unique: of two objects that are written at one moment both may pass, and where
//! it is away, stands by or is not loaded yet, everything does. What the controller finds when it brings the object into
//! force, and the condition that it writes, has the last word. So it refuses only what it knows to be wrong.

mod judge;
mod review;
mod serve;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;

use self::review::Reviewer;
pub use self::serve::CertificateError;
use crate::Health;

/// Where the certificate and its key are, as PEM. They are read anew for each connection, since they are replaced before
/// they expire.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub chain: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    /// Whether a server could be it now.
    pub fn check(&self) -> Result<(), CertificateError> {
        serve::acceptor(self).map(drop)
    }
}

/// Answers `AdmissionReview`s of `admission.k8s.io/v1`, whatever the path. It never ends.
pub async fn webhook(listener: TcpListener, certificate: Certificate, health: Arc<Health>) {
    serve::serve(listener, certificate, Arc::new(Reviewer { health })).await;
}
