//! Many pods at once: made by twenty connections, started by their nodes as soon as they are there.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use allotment_fleet::{CONNECTIONS, Pod, Pods, Started, Template};
use allotment_lab::figures::Times;
use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};

use super::grants::Grants;
use super::system::System;

/// For pods that get what they want: longer than any of them takes.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Pods that are taken down at once: as many as ten nodes take down, ten at once each.
const ENDING: usize = 100;

/// Pods spread over nodes, each with these annotations.
pub(crate) struct Scene<'a> {
    pub(crate) pods: &'a Pods,
    pub(crate) templates: Vec<Template>,
    /// A namespace that all of them share: they are IPAM calls, and nobody makes interfaces.
    pub(crate) netns: &'a Path,
    /// After that nobody tries to start a pod any more.
    pub(crate) patience: Duration,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Outcome {
    /// From the first request until the last pod was up, of those that came up.
    pub(crate) up: Duration,
    pub(crate) started: Vec<Started>,
    /// Pods that were given up, and why, as far as somebody said so.
    pub(crate) lost: usize,
    pub(crate) errors: Vec<anyhow::Error>,
}

impl Outcome {
    /// How long each ADD took that succeeded.
    pub(crate) fn adds(&self) -> Times {
        let adds = self.started.iter().flat_map(|started| &started.sandbox.adds);
        adds.map(|added| added.answered.took).collect()
    }

    /// The same from the moment that the grant was there, where it came after the ADD's start.
    pub(crate) fn adds_after(&self, grants: &HashMap<String, Instant>) -> Times {
        let adds = self.started.iter().flat_map(|started| {
            let granted = grants.get(&started.sandbox.pod.uid);
            started.sandbox.adds.iter().filter_map(move |added| Some((granted?, &added.answered)))
        });
        adds.map(|(granted, answered)| {
            (answered.began + answered.took).saturating_duration_since(answered.began.max(*granted))
        })
        .collect()
    }

    /// Attempts that failed, of the pods that came up in the end.
    pub(crate) fn retries(&self) -> usize {
        self.started.iter().map(|started| started.failed.len()).sum()
    }
}

impl Scene<'_> {
    /// Makes the pods and nothing else.
    pub(crate) async fn create_only(&self) -> Result<(Duration, Vec<Pod>)> {
        let began = Instant::now();
        let made = self.pods.create_all(&self.templates).await?;
        Ok((began.elapsed(), made))
    }

    /// Makes the pods and waits until each has its grant; no node starts them.
    pub(crate) async fn grants_only(&self, grants: &Grants) -> Result<(Duration, Vec<Pod>)> {
        let began = Instant::now();
        let made = self.pods.create_all(&self.templates).await?;
        let last = grants.wait(&made, self.patience).await?;
        Ok((last - began, made))
    }

    /// Makes the pods, and has their nodes start each as soon as it is there.
    pub(crate) async fn run(&self, system: &Arc<System>) -> Result<Outcome> {
        let began = Instant::now();
        let mut starting = JoinSet::new();
        let mut made = stream::iter(&self.templates)
            .map(|template| self.pods.create(template))
            .buffer_unordered(CONNECTIONS);
        while let Some(pod) = made.try_next().await? {
            let (system, netns, patience) = (Arc::clone(system), self.netns.to_owned(), self.patience);
            starting.spawn(async move {
                let kubelet = system.kubelets.get(&pod.node).context("a pod is on one of the nodes")?;
                let started = kubelet.start(&pod, &netns, patience).await?;
                anyhow::Ok((started, Instant::now()))
            });
        }
        let mut outcome = Outcome::default();
        // A call of a plugin takes up to two minutes before it fails: whoever is not up by then is given up.
        let deadline = tokio::time::Instant::now() + self.patience;
        while let Ok(Some(result)) = timeout_at(deadline, starting.join_next()).await {
            match result.context("a pod's task ended early")? {
                Ok((started, when)) => {
                    outcome.up = outcome.up.max(when - began);
                    outcome.started.push(started);
                }
                Err(error) => outcome.errors.push(error),
            }
        }
        outcome.lost = self.templates.len() - outcome.started.len();
        Ok(outcome)
    }

    /// What happens when somebody deletes them all: marked, their sandboxes taken down, removed. Says how many of them
    /// were done when the patience was at its end, and how long that took.
    pub(crate) async fn end(&self, system: &System, started: &[Started]) -> Result<(usize, Duration)> {
        let done = AtomicUsize::new(0);
        let end = async |started: &Started| {
            let sandbox = &started.sandbox;
            self.pods.delete(&sandbox.pod).await?;
            system.kubelets.get(&sandbox.pod.node).context("its node")?.stop(sandbox).await?;
            self.pods.remove(&sandbox.pod).await?;
            done.fetch_add(1, Ordering::Relaxed);
            anyhow::Ok(())
        };
        let began = Instant::now();
        let all = stream::iter(started).map(Ok).try_for_each_concurrent(ENDING, end);
        if let Ok(result) = timeout(self.patience, all).await {
            result?;
        }
        Ok((done.load(Ordering::Relaxed), began.elapsed()))
    }
}

/// Removes the objects of pods that nobody started.
pub(crate) async fn remove(pods: &Pods, made: &[Pod]) -> Result<()> {
    stream::iter(made).map(Ok).try_for_each_concurrent(CONNECTIONS, |pod| pods.remove(pod)).await
}
