//! When each pod's grant was there: seen by a watch of our own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use allotment_fleet::Pod;
use anyhow::{Context, Result, bail};
use futures_util::TryStreamExt;
use k8s_openapi::api::core::v1 as core;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) const GRANT: &str = "allotment.dev/grant";

/// By pod UID.
type Seen = Arc<Mutex<HashMap<String, Instant>>>;

/// A watch of all pods that runs until this is dropped.
pub(crate) struct Grants {
    seen: Seen,
    changed: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Grants {
    pub(crate) async fn watch(client: Client) -> Result<Grants> {
        let api: Api<core::Pod> = Api::all(client);
        let from = api.list(&ListParams::default().limit(1)).await?.metadata.resource_version;
        let from = from.context("a list has a version")?;
        let events = api.watch(&WatchParams::default(), &from).await?;
        let seen = Seen::default();
        let (sender, changed) = watch::channel(0);
        let map = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut events = std::pin::pin!(events);
            while let Ok(Some(event)) = events.try_next().await {
                let (WatchEvent::Added(pod) | WatchEvent::Modified(pod)) = event else { continue };
                let granted = pod.metadata.annotations.is_some_and(|all| all.contains_key(GRANT));
                if let Some(uid) = pod.metadata.uid.filter(|_| granted) {
                    lock(&map).entry(uid).or_insert_with(Instant::now);
                    sender.send_modify(|count| *count += 1);
                }
            }
        });
        Ok(Grants { seen, changed, task })
    }

    /// Waits until all of them have a grant: when the last one came.
    pub(crate) async fn wait(&self, pods: &[Pod], limit: Duration) -> Result<Instant> {
        let mut changed = self.changed.clone();
        let all = async {
            loop {
                changed.borrow_and_update();
                if let Some(last) = self.last(pods) {
                    return anyhow::Ok(last);
                }
                changed.changed().await.context("the watch of the grants ended")?;
            }
        };
        let Ok(last) = timeout(limit, all).await else {
            let seen = lock(&self.seen);
            let granted = pods.iter().filter(|pod| seen.contains_key(&pod.uid)).count();
            bail!("{granted} of {} pods had a grant after {} s", pods.len(), limit.as_secs());
        };
        last
    }

    /// When the last of them got its grant, if all have one.
    pub(crate) fn last(&self, pods: &[Pod]) -> Option<Instant> {
        let seen = lock(&self.seen);
        pods.iter().map(|pod| seen.get(&pod.uid).copied()).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    pub(crate) fn seen(&self) -> HashMap<String, Instant> {
        lock(&self.seen).clone()
    }
}

impl Drop for Grants {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(seen: &Seen) -> MutexGuard<'_, HashMap<String, Instant>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
