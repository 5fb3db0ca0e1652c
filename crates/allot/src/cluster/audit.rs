//! `audit` in a cluster: compares the ledger with itself, with what pods show, with what agents say, and on a node with what
//! is live there.

mod examine;

use std::time::Duration;

use allotment_api::v1alpha1::NodeAttachments;
use allotment_cluster::{Node, Pod};
use allotment_controller::Keeping;
use allotment_core::{Allocation, Netns, State};
use allotment_engine::Pages;
use allotment_wire::Finding;
use kube::Client;
use kube::core::ResourceExt;

use super::{gather, ledger};
use crate::serve::atlas::Atlas;
use crate::serve::audit::Seen;
use crate::serve::audit::examine::{Found, examine as examine_ledger};
use crate::serve::audit::live::Live;
use crate::serve::{Trouble, clock};

/// Pods come and go while lists are read: what is found has to be there still after this time.
const SECOND_LOOK: Duration = Duration::from_secs(3);

/// The kernel's name for this boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Everything that one look sees.
struct Look {
    seen: Seen,
    pods: Vec<Pod>,
    nodes: Vec<NodeAttachments>,
    /// The node that we run on.
    here: Option<String>,
    keeping: Keeping,
}

pub(super) async fn audit(client: &Client) -> Result<Vec<Finding>, Trouble> {
    let mut found = find(client).await?;
    if !found.is_empty() {
        tokio::time::sleep(SECOND_LOOK).await;
        let again = find(client).await?;
        found.retain(|finding| again.iter().any(|other| other.about() == finding.about()));
    }
    Ok(found.into_iter().map(|found| found.finding).collect())
}

async fn find(client: &Client) -> Result<Vec<Found>, Trouble> {
    let look = look(client).await?;
    let mut found = examine_ledger(&look.seen);
    let more = examine::examine(&look, &found);
    found.extend(more);
    Ok(found)
}

/// The ledger last: what a pod shows was in it before.
async fn look(client: &Client) -> Result<Look, Trouble> {
    let (pods, version) = gather::listed::<Pod>(client).await?;
    let (nodes, node_objects) =
        tokio::try_join!(gather::all::<NodeAttachments>(client), gather::all::<Node>(client))?;
    let handle = ledger::open(client.clone()).await?;
    let atlas = Atlas::read(&handle).await?;
    let mut allocations = Pages::new(&handle, |_, _| true, State::at).collect().await?;
    handle.stop().await;
    let here = this_node(&nodes);
    let live = match &here {
        Some(node) => live(node, &mut allocations).await,
        None => Live::default(),
    };
    let keeping = Keeping::new(&pods, version, node_objects, nodes.clone(), &allocations);
    let seen = Seen { atlas, allocations, live, clock: clock() };
    Ok(Look { seen, pods, nodes, here, keeping })
}

/// The node that we run on, if it is one: the only one whose agent names this boot.
fn this_node(nodes: &[NodeAttachments]) -> Option<String> {
    let boot = std::fs::read_to_string(BOOT_ID).ok()?;
    let is_here =
        |node: &&NodeAttachments| node.status.as_ref().is_some_and(|status| status.boot_id == boot.trim());
    let mut here = nodes.iter().filter(is_here);
    let node = here.next()?.name_any();
    here.next().is_none().then_some(node)
}

/// What is live on this node. What the ledger has on other nodes is in no namespace of this one, and is marked so.
async fn live(node: &str, allocations: &mut [Allocation]) -> Live {
    let Ok(live) = Live::look(&[]).await else { return Live::default() };
    for attachment in allocations.iter_mut().flat_map(|allocation| &mut allocation.attachments) {
        if attachment.node != node {
            attachment.netns = Some(elsewhere(&attachment.node));
        }
    }
    live
}

fn elsewhere(node: &str) -> Netns {
    Netns { boot: String::new(), device: 0, inode: 0, cookie: None, path: format!("on node `{node}`") }
}
