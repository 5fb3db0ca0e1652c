//! `why` in a cluster: what the ledger says, and of pods that have no addresses where they wait for them.

use std::collections::BTreeMap;
use std::time::Duration;

use allotment_api::annotation::{GRANT, PodGrant, PodRefusal, REFUSAL};
use allotment_api::v1alpha1::NodeAttachments;
use allotment_cluster::{Namespace, NetworkAttachmentDefinition, Node, Pod};
use allotment_controller::request::{self, Nad, Nads, NamespaceView, PodView, Reading, Settings, World};
use allotment_core::Owner;
use allotment_wire::{CountRow, OwnerRow, WhyRow};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::core::ResourceExt;
use serde::de::DeserializeOwned;

use super::gather;
use crate::serve::owners::OwnerPattern;
use crate::serve::{Daemon, Trouble, rows, why};

/// The code of a pod that wants addresses and was neither granted nor refused any yet.
const PENDING: &str = "pending";

/// The lease that the controller's leader holds.
const LEASE: &str = "allotment-controller";

pub(super) async fn why(
    client: &Client,
    daemon: &Daemon,
    owner: OwnerPattern,
) -> Result<Vec<WhyRow>, Trouble> {
    let mut answer = why::addresses(&daemon.handle, owner.clone()).await?;
    let pods: Vec<Pod> = gather::all(client).await?;
    let settings = Settings::default();
    let meant = |pod: &&Pod| {
        let view = PodView::new(&pod.metadata, &pod.spec.node_name);
        let itself = Owner {
            kind: "Pod".to_owned(),
            namespace: view.namespace.clone(),
            name: view.name.clone(),
            uid: view.uid.clone(),
        };
        [itself, request::owner(&view, &settings)].iter().any(|known| owner.matches_owner(known, &[]))
    };
    let meant: Vec<&Pod> = pods.iter().filter(meant).collect();
    // What the ledger says needs no more words.
    let open: Vec<&Pod> = meant.into_iter().filter(|pod| !has_record(&answer, pod)).collect();
    if open.is_empty() {
        return Ok(answer);
    }
    let around = Around::look(client, &pods).await?;
    answer.extend(open.into_iter().map(|pod| around.explain(pod, &settings)));
    Ok(answer)
}

/// Whether a record of the ledger is this pod's.
fn has_record(answer: &[WhyRow], pod: &Pod) -> bool {
    let shown: Option<PodGrant> = annotation(pod, GRANT);
    let addresses: Vec<String> = shown
        .into_iter()
        .flat_map(|grant| grant.attachments)
        .flat_map(|at| at.ips)
        .map(|ip| ip.address.to_string())
        .collect();
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let address = |row: &WhyRow| row.address.as_ref().map(|at| at.address.clone());
    answer.iter().any(|row| {
        row.owner.uid.as_deref() == Some(uid)
            || address(row).is_some_and(|address| addresses.contains(&address))
    })
}

fn annotation<T: DeserializeOwned>(pod: &Pod, key: &str) -> Option<T> {
    serde_json::from_str(pod.annotations().get(key)?).ok()
}

/// What a pod is explained with.
struct Around {
    nads: Nads,
    namespaces: BTreeMap<String, NamespaceView>,
    /// Nodes by name, with their UIDs.
    nodes: BTreeMap<String, String>,
    /// UIDs that the nodes' agents have published for.
    published: BTreeMap<String, String>,
    /// UIDs of the pods that were refused, in the order in which they are asked again.
    waiting: Vec<String>,
    controller: Result<(), String>,
}

impl Around {
    async fn look(client: &Client, pods: &[Pod]) -> Result<Around, Trouble> {
        let (networks, namespaces, nodes, published, leases) = tokio::try_join!(
            gather::all::<NetworkAttachmentDefinition>(client),
            gather::all::<Namespace>(client),
            gather::all::<Node>(client),
            gather::all::<NodeAttachments>(client),
            gather::all::<Lease>(client),
        )?;
        let nad = |network: NetworkAttachmentDefinition| {
            let name = network.name_any();
            let key = format!("{}/{name}", network.namespace().unwrap_or_default());
            (key, Nad::parse(&name, Some(&network.spec.config)))
        };
        let uid = |object: NodeAttachments| (object.name_any(), object.status.unwrap_or_default().node_uid);
        Ok(Around {
            nads: networks.into_iter().map(nad).collect(),
            namespaces: namespaces
                .iter()
                .map(|it| (it.name_any(), NamespaceView::new(&it.metadata)))
                .collect(),
            nodes: nodes.into_iter().map(|node| (node.name_any(), node.uid().unwrap_or_default())).collect(),
            published: published.into_iter().map(uid).collect(),
            waiting: waiting(pods),
            controller: controller(&leases, Timestamp::now()),
        })
    }

    /// Where a pod without addresses is on its way to them.
    fn explain(&self, pod: &Pod, settings: &Settings) -> WhyRow {
        let view = PodView::new(&pod.metadata, &pod.spec.node_name);
        let refusal: Option<PodRefusal> = annotation(pod, REFUSAL);
        let said = match refusal.filter(|refusal| refusal.pod == view.uid) {
            Some(refusal) if !pod.is_finished() => self.refused(&view, refusal),
            _ => self.undecided(pod, &view, settings),
        };
        let owner = request::owner(&view, settings);
        let owner: OwnerRow = rows::owner_row(&owner);
        let Said { why, code, counts, hint } = said;
        WhyRow {
            owner,
            address: None,
            why,
            code,
            counts,
            hint: Some(hint).filter(|hint| !hint.is_empty()),
            since: None,
        }
    }

    fn refused(&self, view: &PodView, refusal: PodRefusal) -> Said {
        let PodRefusal { code, text, counts, hint, .. } = refusal;
        let numbers = counts
            .iter()
            .map(|count| format!("{} {}", count.value, count.what))
            .collect::<Vec<_>>()
            .join(", ");
        let numbers = if numbers.is_empty() { numbers } else { format!(": {numbers}") };
        let place = self.waiting.iter().position(|uid| *uid == view.uid).map_or(0, |place| place + 1);
        let why = format!(
            "waits on node `{}`, number {place} of {} that wait: {text}{numbers} ({code})",
            view.node,
            self.waiting.len()
        );
        let counts = counts.into_iter().map(|count| CountRow { what: count.what, value: count.value });
        Said { why, code: Some(code), counts: counts.collect(), hint }
    }

    /// Of a pod that the controller has said nothing about.
    fn undecided(&self, pod: &Pod, view: &PodView, settings: &Settings) -> Said {
        let nothing = |why: &str| Said { why: why.to_owned(), ..Said::default() };
        if pod.spec.host_network {
            return nothing("has its node's own network, and so no address of its own");
        }
        if pod.is_finished() {
            return nothing("has finished, and gives back what it had");
        }
        let (namespace, node_labels) =
            (self.namespaces.get(&view.namespace).cloned().unwrap_or_default(), BTreeMap::new());
        let world = World { namespace: &namespace, node_labels: &node_labels, nads: &self.nads, settings };
        let refusal = match request::read(view, world) {
            Reading::Nothing => {
                return nothing(
                    "asks for nothing here: it has none of our annotations, and none of its networks has `ipam.type` `allotment`; \
                     if its node's default network has, it is asked for as CNI is called",
                );
            }
            Reading::Waits { networks, .. } => {
                let why = format!(
                    "waits for NetworkAttachmentDefinition `{}`, which does not exist",
                    networks.join("`, `")
                );
                return pending(why, "create it, or correct the pod's annotation".to_owned());
            }
            Reading::Refused(refusal) => Some(refusal),
            Reading::Wanted(_) => None,
        };
        if view.node.is_empty() {
            return pending(
                "is not bound to a node yet; it gets its addresses then".to_owned(),
                "see `kubectl describe pod`".to_owned(),
            );
        }
        if let Some(refusal) = refusal {
            return Said {
                why: format!("cannot be followed as it is written: {refusal} ({})", refusal.code.as_str()),
                code: Some(refusal.code.as_str().to_owned()),
                counts: Vec::new(),
                hint: refusal.hint,
            };
        }
        let node = &view.node;
        if self.published.get(node).is_none_or(|uid| Some(uid) != self.nodes.get(node)) {
            let why = format!(
                "waits for the agent of node `{node}`, which has not published for this Node yet (R3)"
            );
            return pending(
                why,
                format!("see that the agent runs there, and `kubectl get nodeattachments {node} -o yaml`"),
            );
        }
        match &self.controller {
            Ok(()) => {
                pending("is not decided yet".to_owned(), "see the controller's log if it stays so".to_owned())
            }
            Err(why) => {
                pending(format!("is not decided yet, and {why}"), "see that a controller runs".to_owned())
            }
        }
    }
}

/// What is to be said of a pod.
#[derive(Default)]
struct Said {
    why: String,
    code: Option<String>,
    counts: Vec<CountRow>,
    hint: String,
}

fn pending(why: String, hint: String) -> Said {
    Said { why, code: Some(PENDING.to_owned()), counts: Vec::new(), hint }
}

/// UIDs of the pods that were refused, the oldest first, as the controller asks them again.
fn waiting(pods: &[Pod]) -> Vec<String> {
    let refused = |pod: &&Pod| {
        let said: Option<PodRefusal> = annotation(pod, REFUSAL);
        !pod.is_finished() && said.is_some_and(|refusal| Some(refusal.pod) == pod.metadata.uid)
    };
    let mut waiting: Vec<_> = (pods.iter().filter(refused))
        .map(|pod| (pod.metadata.creation_timestamp.as_ref().map(|at| at.0), pod.uid().unwrap_or_default()))
        .collect();
    waiting.sort();
    waiting.into_iter().map(|(_, uid)| uid).collect()
}

/// Whether somebody leads; `Err` says who did last.
fn controller(leases: &[Lease], now: Timestamp) -> Result<(), String> {
    let spec = leases.iter().filter(|lease| lease.name_any() == LEASE).find_map(|lease| lease.spec.as_ref());
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).filter(|holder| !holder.is_empty());
    let (Some(spec), Some(holder)) = (spec, holder) else { return Err("no controller leads".to_owned()) };
    let lasts = Duration::from_secs(
        spec.lease_duration_seconds.and_then(|lasts| u64::try_from(lasts).ok()).unwrap_or(0),
    );
    let Some(renewed) = &spec.renew_time else { return Err("no controller leads".to_owned()) };
    let age = Duration::try_from(now.duration_since(renewed.0)).unwrap_or_default();
    if age <= lasts {
        Ok(())
    } else {
        Err(format!("controller `{holder}` was heard of {} s ago", age.as_secs()))
    }
}

#[cfg(test)]
mod tests;
