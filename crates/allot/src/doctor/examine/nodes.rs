//! Nodes, their agents, and what those say.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::core::ResourceExt;

use super::super::look::{AGENTS, Seen};
use super::super::{Ailment, code};

/// Agents that are not ready, by what their pods say.
pub(super) fn agents(seen: &Seen) -> Vec<Ailment> {
    if seen.agents.is_none() {
        let object = format!("DaemonSet {}/{AGENTS}", seen.namespace);
        return vec![Ailment::new(&code::AGENTS_MISSING, object, "it is not there")];
    }
    let judge = |pod: &Pod| {
        let status = pod.status.as_ref()?;
        let init = status.init_container_statuses.iter().flatten();
        let why = init.chain(status.container_statuses.iter().flatten()).find_map(stuck)?;
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("no node yet");
        let object = format!("Pod {}/{}", seen.namespace, pod.name_any());
        Some(Ailment::new(&code::AGENT_UNREADY, object, format!("on {node}: {why}")))
    };
    seen.agent_pods.iter().filter_map(judge).collect()
}

/// What a container says that has not done its work, or does not do it.
fn stuck(container: &ContainerStatus) -> Option<String> {
    if container.ready {
        return None;
    }
    let state = container.state.as_ref();
    let waiting = state.and_then(|state| state.waiting.as_ref());
    let ended = [container.state.as_ref(), container.last_state.as_ref()];
    let ended = ended.into_iter().flatten().find_map(|state| state.terminated.as_ref());
    let mut words = vec![format!("container {} is not ready", container.name)];
    words.extend(waiting.and_then(|waiting| waiting.reason.clone()));
    if let Some(ended) = ended {
        words.push(format!("it ended with exit code {}", ended.exit_code));
        words.extend(ended.message.clone());
    }
    Some(words.join(", "))
}

/// Nodes for which nothing was published: nothing is granted there (R3).
pub(super) fn silent(seen: &Seen) -> Vec<Ailment> {
    let judge = |node: &k8s_openapi::api::core::v1::Node| {
        let name = node.name_any();
        let status = seen.reports.iter().find(|report| report.name_any() == name)?.status.as_ref();
        match status {
            None => Some("its agent has not said anything yet"),
            Some(status) if Some(&status.node_uid) != node.metadata.uid.as_ref() => {
                Some("what is said there is of an earlier node of this name")
            }
            Some(_) => None,
        }
    };
    let silent = seen.nodes.iter().filter_map(|node| {
        let name = node.name_any();
        let is_known = seen.reports.iter().any(|report| report.name_any() == name);
        let why = if is_known { judge(node)? } else { "no agent has ever run there" };
        Some(Ailment::new(&code::NODE_SILENT, format!("Node {name}"), why))
    });
    silent.collect()
}

/// Nodes that are gone and keep addresses (R4).
pub(super) fn gone(seen: &Seen) -> Vec<Ailment> {
    let judge = |report: &allotment_api::v1alpha1::NodeAttachments| {
        let name = report.name_any();
        if seen.nodes.iter().any(|node| node.name_any() == name) {
            return None;
        }
        let text =
            "there is no Node of this name, and its object stays as long as something may be in use there";
        Some(Ailment::new(&code::NODE_GONE, format!("NodeAttachments {name}"), text))
    };
    seen.reports.iter().filter_map(judge).collect()
}
