//! As whom the webhook answers.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::own::OwnCertificate;

/// Where the certificate comes from.
#[derive(Clone, Debug)]
pub enum Certificate {
    /// From files, PEM: the chain and the key. They are read anew for each connection, since they are replaced before they
    /// expire.
    Files { chain: PathBuf, key: PathBuf },
    /// The leader makes one, renews it, and tells the API server of it.
    Own(OwnCertificate),
}

/// A certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("{} cannot be read as PEM: {why}", path.display())]
    Unreadable { path: PathBuf, why: pem::Error },
    #[error("{} and {} do not make a server's certificate: {why}", chain.display(), key.display())]
    Unusable { chain: PathBuf, key: PathBuf, why: rustls::Error },
    #[error("none was made yet: no webhook configuration of this name says where the API server asks")]
    None,
}

impl Certificate {
    /// Whether a server could be it now, or once it is made.
    pub fn check(&self) -> Result<(), CertificateError> {
        match self {
            Certificate::Files { .. } => self.now().map(drop),
            Certificate::Own(_) => Ok(()),
        }
    }

    /// What it is now.
    pub(super) fn now(&self) -> Result<Arc<ServerConfig>, CertificateError> {
        match self {
            Certificate::Files { chain, key } => from_files(chain, key),
            Certificate::Own(own) => own.served().ok_or(CertificateError::None),
        }
    }
}

fn from_files(chain: &PathBuf, key: &PathBuf) -> Result<Arc<ServerConfig>, CertificateError> {
    let unreadable = |path: &PathBuf| {
        let path = path.clone();
        move |why| CertificateError::Unreadable { path, why }
    };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(chain))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
    identity(certificates, private).map_err(|why| CertificateError::Unusable {
        chain: chain.clone(),
        key: key.clone(),
        why,
    })
}

/// A server that proves to be this.
pub(super) fn identity(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}
