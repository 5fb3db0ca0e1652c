//! Who leads: a Lease that the leader renews and the others watch.
//!
//! It keeps two controllers from doing everything twice, and no more: two that both believe to lead are kept from handing
//! out an address twice by the ledger's own conditions (L4).

mod lease;

use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::time::Duration;

use allotment_cluster::{Backoff, Event, Selectors, watch};
use futures_util::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::lease::{Seen, Step, decide};
use crate::kubernetes::{FIELD_MANAGER, is_conflict, is_missing};

const NAME: &str = "allotment-controller";

/// How long a lease lasts that nobody renews: the longest that nobody may lead after a crash.
const DURATION: Duration = Duration::from_secs(4);

/// How often it is renewed: three renewals may fail.
const RENEW: Duration = Duration::from_secs(1);

/// The longest that one try may take. It is longer than the lease: an answer that comes late says more than none.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Elector {
    api: Api<Lease>,
    /// Unique to this process: a restarted one waits for its own lease like any other.
    me: String,
    seen: Option<Seen>,
    /// As it was read last; to be written back with its version.
    lease: Option<Lease>,
    leading: bool,
}

impl Elector {
    pub(crate) fn new(client: Client) -> Elector {
        let api = Api::default_namespaced(client);
        let chance = RandomState::new().hash_one(0);
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "allot".to_owned());
        Elector { api, me: format!("{host}_{chance:016x}"), seen: None, lease: None, leading: false }
    }

    /// What others read as the leader's name.
    pub(crate) fn identity(&self) -> &str {
        &self.me
    }

    /// Returns once this process leads.
    pub(crate) async fn acquire(&mut self) {
        let mut backoff = Backoff::default();
        let fields = Selectors::fields(format!("metadata.name={NAME}"));
        let mut events = pin!(watch(self.api.clone(), fields));
        // Nothing is known before the first list.
        let mut known = false;
        loop {
            let until = match decide(self.seen.as_ref(), &self.me, false, now()) {
                _ if !known => None,
                Step::Wait(until) => Some(Instant::from_std(until)),
                Step::Acquire | Step::Renew | Step::Yield => match self.write(&self.me.clone()).await {
                    Ok(()) => {
                        self.leading = true;
                        return;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the lease cannot be taken; trying again");
                        Some(Instant::now() + backoff.failed())
                    }
                },
            };
            tokio::select! {
                event = events.next() => {
                    known = true;
                    self.heard(event);
                }
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
            }
        }
    }

    fn heard(&mut self, event: Option<Event<Lease>>) {
        match event {
            Some(Event::Listed { objects, .. }) => self.read(objects.into_iter().next()),
            Some(Event::Applied(lease)) => self.read(Some(lease)),
            Some(Event::Deleted(_)) => self.read(None),
            Some(Event::Reached(_)) | None => {}
        }
    }

    /// Renews; returns only when another leads.
    pub(crate) async fn keep(&mut self) {
        let mut complained = false;
        loop {
            sleep(RENEW).await;
            match decide(self.seen.as_ref(), &self.me, true, now()) {
                Step::Yield => {
                    let holder = self.seen.as_ref().map_or("", |seen| &seen.holder);
                    tracing::warn!(holder, "another controller leads");
                    self.leading = false;
                    return;
                }
                Step::Acquire | Step::Renew | Step::Wait(_) => {}
            }
            match self.write(&self.me.clone()).await {
                Ok(()) => complained = false,
                Err(error) if !complained => {
                    tracing::warn!(%error, "the lease cannot be renewed; leading goes on until another has it");
                    complained = true;
                }
                Err(_) => {}
            }
        }
    }

    /// Gives the lease up, so that a standby need not wait until it runs out.
    pub(crate) async fn release(&mut self) {
        if !std::mem::take(&mut self.leading) {
            return;
        }
        if let Err(error) = self.write("").await {
            tracing::warn!(%error, "the lease was not released; it runs out by itself");
        }
    }

    fn read(&mut self, lease: Option<Lease>) {
        self.lease = lease;
        let Some(lease) = &self.lease else {
            self.seen = None;
            return;
        };
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        if self.seen.as_ref().is_some_and(|seen| seen.version == version) {
            return;
        }
        let spec = lease.spec.clone().unwrap_or_default();
        let duration = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        self.seen = Some(Seen {
            holder: spec.holder_identity.unwrap_or_default(),
            duration: duration.map_or(DURATION, Duration::from_secs),
            version,
            at: now(),
        });
    }

    /// Writes the lease with this holder, if it is still as it was read; else reads it.
    async fn write(&mut self, holder: &str) -> Result<(), LeaseError> {
        let wanted = self.wanted(holder);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let written = async {
            if self.lease.is_some() {
                self.api.replace(NAME, &params, &wanted).await
            } else {
                self.api.create(&params, &wanted).await
            }
        };
        let written = timeout(PATIENCE, written).await.map_err(|_| LeaseError::Slow)?;
        match written {
            Ok(lease) => {
                self.read(Some(lease));
                Ok(())
            }
            Err(error) if is_conflict(&error) || is_missing(&error) => {
                let read = timeout(PATIENCE, self.api.get_opt(NAME)).await.map_err(|_| LeaseError::Slow)?;
                self.read(read?);
                Err(LeaseError::Changed)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn wanted(&self, holder: &str) -> Lease {
        let mut lease = self.lease.clone().unwrap_or_default();
        lease.metadata.name = Some(NAME.to_owned());
        lease.metadata.managed_fields = None;
        let old = lease.spec.take().unwrap_or_default();
        let now = MicroTime(Timestamp::now());
        let passes = old.holder_identity.as_deref() != Some(&*self.me) && !holder.is_empty();
        let transitions = old.lease_transitions.unwrap_or(0).saturating_add(i32::from(passes));
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: if passes { Some(now.clone()) } else { old.acquire_time },
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        });
        lease
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error("somebody else has written it")]
    Changed,
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Slow,
    #[error(transparent)]
    Api(#[from] kube::Error),
}
