//! Which pod the webhook's service leads to: the leader's, by a label that it alone has.

use std::collections::BTreeSet;
use std::pin::pin;

use allotment_cluster::{Backoff, Event, Selectors, watch_metadata};
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::kubernetes::{FIELD_MANAGER, is_missing};

/// The label of the pod whose controller leads; its value is `true`.
pub const LEADS: &str = "allotment.dev/leads";

/// A label to be set or taken off.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    pod: String,
    leads: bool,
}

/// What is to be done about the labels: a leader's pod has it alone; who does not lead sees to his own, since a container may
/// start again in a pod that had it.
fn steps(marked: &BTreeSet<String>, me: &str, leads: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    if leads && !marked.contains(me) {
        steps.push(Step { pod: me.to_owned(), leads: true });
    }
    let wrong = marked.iter().filter(|pod| (*pod == me) != leads);
    steps.extend(wrong.map(|pod| Step { pod: pod.clone(), leads: false }));
    steps
}

/// Keeps the labels right. It never ends; a controller that is no pod has nothing to do here.
pub(super) async fn mark(client: Client, mut leading: watch::Receiver<bool>) {
    let Ok(me) = std::env::var("HOSTNAME") else { return };
    let api = Api::<Pod>::default_namespaced(client);
    let labels = Selectors { labels: LEADS.to_owned(), ..Selectors::default() };
    let mut events = pin!(watch_metadata(api.clone(), labels));
    let mut marked = None;
    let mut backoff = Backoff::default();
    let mut again = None;
    loop {
        tokio::select! {
            event = events.next() => if let Some(event) = event { hear(&mut marked, event) },
            changed = leading.changed() => if changed.is_err() { return },
            () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {}
        }
        // Nothing is known before the first list.
        let Some(marked) = &mut marked else { continue };
        let leads = *leading.borrow_and_update();
        again = None;
        for step in steps(marked, &me, leads) {
            match write(&api, &step).await {
                Ok(()) if step.leads => drop(marked.insert(step.pod)),
                Ok(()) => drop(marked.remove(&step.pod)),
                Err(error) => {
                    tracing::warn!(%error, pod = step.pod, "the webhook's service may lead to a standby");
                    again = Some(Instant::now() + backoff.failed());
                }
            }
        }
        if again.is_none() {
            backoff.reset();
        }
    }
}

fn hear(marked: &mut Option<BTreeSet<String>>, event: Event<kube::core::PartialObjectMeta<Pod>>) {
    match event {
        Event::Listed { objects, .. } => *marked = Some(objects.iter().map(ResourceExt::name_any).collect()),
        Event::Applied(pod) => drop(marked.get_or_insert_default().insert(pod.name_any())),
        Event::Deleted(pod) => drop(marked.get_or_insert_default().remove(&pod.name_any())),
        Event::Reached(_) => {}
    }
}

async fn write(api: &Api<Pod>, step: &Step) -> Result<(), kube::Error> {
    let value = step.leads.then_some("true");
    let patch = Patch::Merge(json!({"metadata": {"labels": {LEADS: value}}}));
    match api.patch_metadata(&step.pod, &PatchParams::apply(FIELD_MANAGER), &patch).await {
        // A pod that is gone is behind no service, and a controller need not be a pod.
        Err(error) if !is_missing(&error) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pods: &[&str]) -> BTreeSet<String> {
        pods.iter().map(|&pod| pod.to_owned()).collect()
    }

    fn step(pod: &str, leads: bool) -> Step {
        Step { pod: pod.to_owned(), leads }
    }

    #[test]
    fn a_leader_has_it_alone() {
        assert_eq!(steps(&set(&[]), "me", true), [step("me", true)]);
        assert_eq!(steps(&set(&["me"]), "me", true), []);
        let wanted = [step("me", true), step("a", false), step("b", false)];
        assert_eq!(steps(&set(&["a", "b"]), "me", true), wanted);
    }

    #[test]
    fn a_standby_sees_to_its_own_alone() {
        assert_eq!(steps(&set(&["me", "other"]), "me", false), [step("me", false)]);
        assert_eq!(steps(&set(&["other"]), "me", false), []);
    }
}
