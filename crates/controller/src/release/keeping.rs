//! What keeps the addresses of pods that have ended, for whoever is no controller: from one look at everything.

use allotment_api::v1alpha1::NodeAttachments;
use allotment_cluster::{Event, Node, Pod, ResourceVersion};
use allotment_core::{Allocation, Attachment};
use allotment_proof::{Address, Ends, Kept};

use super::nodes::Nodes;
use super::read;
use super::recover::Recovery;

/// What the lists of a cluster prove of ends.
pub struct Keeping(Ends);

impl Keeping {
    /// `version` is the list of pods' own; `allocations` were read after it.
    pub fn new<'a>(
        pods: &[Pod],
        version: ResourceVersion,
        nodes: Vec<Node>,
        attachments: Vec<NodeAttachments>,
        allocations: impl IntoIterator<Item = &'a Allocation>,
    ) -> Keeping {
        let (mut ends, mut known) = (Ends::default(), Nodes::default());
        let at = read::version(version);
        let seen = pods.iter().filter_map(read::pod).map(|(uid, _, seen)| (uid.to_owned(), seen));
        // Nothing was seen before that could be newer.
        let _ = ends.listed(at, seen);
        known.node(&Event::Listed { objects: nodes, version }, &mut ends);
        // The epoch is the leader's to raise; here nothing is recovered.
        known.attachments(
            &Event::Listed { objects: attachments, version },
            &mut ends,
            &mut Recovery::default(),
        );
        for allocation in allocations {
            for holder in &allocation.attachments {
                ends.allocated(read::held(holder, &allocation.vrf, allocation.address), at);
            }
        }
        Keeping(ends)
    }

    /// What keeps an address for a holder that has ended; nothing while the holder is there.
    pub fn why(&self, allocation: &Allocation, holder: &Attachment) -> Option<String> {
        let address = Address { vrf: allocation.vrf.clone(), address: allocation.address };
        match self.0.why(&holder.holder, &address)? {
            Kept::InUse => None,
            Kept::Taken => Some("its end is proved, and the controller releases it".to_owned()),
            kept => Some(kept.to_string()),
        }
    }
}
