//! The certificate that a leader makes for itself, and for nobody else: its key never leaves the process.
//!
//! ```text
//!   made ── known to the API server ── served ──────────── renewed: the next is made ── known ── served, the first forgotten
//! ```
//!
//! The next one is known to API servers for a while before it is served, so that none of them meets one that it does not know.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::certificate::identity;

/// API servers' clocks may be that much behind ours.
const SKEW: SignedDuration = SignedDuration::from_hours(1);

/// How long a certificate is good for, and when the next one comes.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    pub valid: SignedDuration,
    /// Its age when the next one is made.
    pub renewed: SignedDuration,
    /// How long API servers know the next one before it is served.
    pub known: SignedDuration,
}

impl Default for Lifetime {
    /// A key that somebody has stolen is of no use for long; renewing costs a key and two patches.
    fn default() -> Lifetime {
        Lifetime {
            valid: SignedDuration::from_hours(30 * 24),
            renewed: SignedDuration::from_hours(20 * 24),
            known: SignedDuration::from_hours(24),
        }
    }
}

/// What the leader serves as, and what it will serve as next.
#[derive(Clone, Debug, Default)]
pub struct OwnCertificate {
    lifetime: Lifetime,
    /// None; the one that is served; or that and the next one.
    made: Arc<Mutex<Vec<Made>>>,
}

#[derive(Clone, Debug)]
struct Made {
    hosts: Vec<String>,
    at: Timestamp,
    pem: String,
    server: Arc<ServerConfig>,
}

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum MakeError {
    #[error(transparent)]
    Certificate(#[from] rcgen::Error),
    #[error(transparent)]
    Server(#[from] rustls::Error),
}

/// What the API server is to believe, and until when.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Vouched {
    /// PEM of all certificates that are served, or will be next.
    pub(super) pem: String,
    pub(super) until: Timestamp,
}

impl OwnCertificate {
    pub fn new(lifetime: Lifetime) -> OwnCertificate {
        OwnCertificate { lifetime, made: Arc::default() }
    }

    pub(super) fn served(&self) -> Option<Arc<ServerConfig>> {
        self.made().first().map(|made| Arc::clone(&made.server))
    }

    /// Makes and changes what is due at this moment, for a server that is called by these names.
    pub(super) fn turn(&self, hosts: &[String], now: Timestamp) -> Result<Vouched, MakeError> {
        let Lifetime { valid, renewed, known } = self.lifetime;
        let mut made = self.made();
        // Also one of a time that has not come: a clock was set back.
        made.retain(|made| made.hosts == hosts && (made.at - SKEW..made.at + valid).contains(&now));
        match made.as_slice() {
            [] => made.push(make(hosts, now, valid)?),
            [served] if now >= served.at + renewed => {
                let next = make(hosts, now, valid)?;
                made.push(next);
            }
            [_, next, ..] if now >= next.at + known => drop(made.remove(0)),
            _ => {}
        }
        let until = match made.as_slice() {
            [_, next, ..] => next.at + known,
            [served] => served.at + renewed,
            [] => now,
        };
        Ok(Vouched { pem: made.iter().map(|made| made.pem.as_str()).collect(), until })
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Vec<Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make(hosts: &[String], now: Timestamp, valid: SignedDuration) -> Result<Made, MakeError> {
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, "allotment webhook");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let moment =
        |at: Timestamp| date_time_ymd(1970, 1, 1) + at.duration_since(Timestamp::UNIX_EPOCH).unsigned_abs();
    params.not_before = moment(now - SKEW);
    params.not_after = moment(now + valid);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let private = PrivatePkcs8KeyDer::from(key.serialize_der());
    let server = identity(vec![certificate.der().clone()], private.into())?;
    Ok(Made { hosts: hosts.to_vec(), at: now, pem: certificate.pem(), server })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOURS: fn(i64) -> SignedDuration = SignedDuration::from_hours;

    fn hosts(name: &str) -> Vec<String> {
        vec![name.to_owned()]
    }

    fn count(vouched: &Vouched) -> usize {
        vouched.pem.matches("BEGIN CERTIFICATE").count()
    }

    #[test]
    fn the_next_one_is_known_before_it_is_served_and_the_first_is_then_forgotten() {
        let (own, hosts) = (OwnCertificate::default(), hosts("a.b.svc"));
        let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        assert!(own.served().is_none());
        let first = own.turn(&hosts, start).unwrap();
        assert_eq!((count(&first), first.until), (1, start + HOURS(480)));
        let served = own.served().unwrap();
        assert_eq!(own.turn(&hosts, start + HOURS(479)).unwrap(), first);

        let both = own.turn(&hosts, first.until).unwrap();
        assert_eq!((count(&both), both.until), (2, first.until + HOURS(24)));
        assert!(both.pem.starts_with(&first.pem) && Arc::ptr_eq(&served, &own.served().unwrap()));
        let second = own.turn(&hosts, both.until).unwrap();
        assert_eq!((count(&second), second.until), (1, first.until + HOURS(480)));
        assert!(both.pem.ends_with(&second.pem) && !Arc::ptr_eq(&served, &own.served().unwrap()));
    }

    #[test]
    fn other_names_and_clocks_that_jump_bring_another_one() {
        let own = OwnCertificate::default();
        let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let first = own.turn(&hosts("a.b.svc"), start).unwrap();
        assert_eq!(own.turn(&hosts("a.b.svc"), start - HOURS(1)).unwrap().pem, first.pem);
        let others = [("10.0.0.1", start), ("10.0.0.1", start - HOURS(48)), ("10.0.0.1", start + HOURS(720))];
        let mut last = first;
        for (name, now) in others {
            let other = own.turn(&hosts(name), now).unwrap();
            assert!(count(&other) == 1 && other.pem != last.pem, "{name} at {now}");
            last = other;
        }
    }
}
