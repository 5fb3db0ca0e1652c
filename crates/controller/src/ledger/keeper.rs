//! Watches the ledger's objects, and has the engine look at what somebody else did to them.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use allotment_api::v1alpha1::AddressBlock;
use allotment_cluster::{Backoff, Selectors, watch_metadata};
use allotment_engine::{EngineError, Handle};
use futures_util::StreamExt;
use kube::{Api, Client};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::counts::Counts;
use super::heard::Heard;

/// How long news wait: the watch often tells of a write of our own before its answer is there, and then it is none.
const SETTLE: Duration = Duration::from_millis(100);

/// What the ledger and its keeper know together.
#[derive(Debug, Default)]
pub(super) struct Shared {
    heard: Mutex<Heard>,
    /// Wakes the keeper where it is not the watch that tells.
    alarm: Notify,
    /// Told whenever the state gets something that this process has not written.
    pub(super) news: Notify,
    pub(super) counts: Counts,
}

impl Shared {
    pub(super) fn heard(&self) -> MutexGuard<'_, Heard> {
        // Nothing in there panics half-way.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The API server is at an older version than it was.
    pub(super) fn suspect(&self) {
        self.heard().suspect();
        self.alarm.notify_one();
    }
}

/// Sees to it that the ledger stays what this process believes it to be: what others have written is read, what was lost
/// is written again (L6).
#[derive(Clone)]
pub struct Keeper {
    pub(super) client: Client,
    pub(super) shared: Arc<Shared>,
}

impl Keeper {
    /// Watches until the engine has ended. To be started once it is open.
    pub async fn run(&self, engine: &Handle) {
        let mut events =
            pin!(watch_metadata::<AddressBlock>(Api::all(self.client.clone()), Selectors::default()));
        let mut ended = pin!(engine.ended());
        let mut backoff = Backoff::default();
        let mut due: Option<Instant> = None;
        loop {
            let look = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = &mut ended => return,
                event = events.next() => {
                    let Some(event) = event else { return };
                    let mut heard = self.shared.heard();
                    heard.hear(&event);
                    if heard.is_any() {
                        due = due.or_else(|| Some(Instant::now() + SETTLE));
                    }
                }
                () = self.shared.alarm.notified() => due = Some(Instant::now()),
                () = look => due = self.look(engine, &mut backoff).await,
            }
        }
    }

    /// Waits until the state has got something that somebody else wrote: a deposed leader's last grants, or what a person
    /// has set right. Nothing is missed between two calls.
    pub async fn news(&self) {
        self.shared.news.notified().await;
    }

    /// Has the engine look, if there is still anything to look at; returns when to do so again.
    async fn look(&self, engine: &Handle, backoff: &mut Backoff) -> Option<Instant> {
        if !self.shared.heard().is_any() {
            return None;
        }
        match engine.refresh().await {
            Ok(()) => {
                backoff.reset();
                // What was told meanwhile.
                self.shared.heard().is_any().then(|| Instant::now() + SETTLE)
            }
            Err(EngineError::Stopped) => None,
            Err(error) => {
                let wait = backoff.failed();
                tracing::warn!(%error, ?wait, "what others did to the ledger could not be looked at");
                Some(Instant::now() + wait)
            }
        }
    }

    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }
}
