//! The node's own object: what the controller says in it, and what is published there.

use allotment_api::v1alpha1::{NodeAttachments, NodeAttachmentsStatus, Still};
use allotment_cluster::{Event, ResourceVersion};
use allotment_proof::{Report, Use, Version};

use super::Desk;
use crate::journal::Durable;

/// What is known of the object on the API server.
#[derive(Debug, Default)]
pub(super) struct Object {
    state: Stored,
    /// What it was after our last write.
    written: Option<(ResourceVersion, NodeAttachmentsStatus)>,
    /// What is being written: the watch may show it before the write is answered.
    writing: Option<NodeAttachmentsStatus>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Stored {
    #[default]
    Unknown,
    Missing,
    At(String),
}

impl Object {
    pub(super) fn is_seen(&self) -> bool {
        self.state != Stored::Unknown
    }
}

/// What is to be published.
pub(crate) struct Publication {
    /// Published only after this.
    pub(crate) durable: Durable,
    pub(crate) status: NodeAttachmentsStatus,
    pub(crate) report: Report,
    /// The object's version that it replaces; nothing: the object has to be made.
    pub(crate) replaces: Option<String>,
}

impl Desk {
    /// What the watch of the node's own object shows.
    pub(crate) fn object_event(&mut self, event: Event<NodeAttachments>) {
        match event {
            Event::Listed { objects, version } => {
                // A list that is older than what was written: the API server was set back.
                if self.object.written.as_ref().is_some_and(|(written, _)| version < *written) {
                    self.object.written = None;
                    self.book.not_published();
                }
                match objects.into_iter().find(|object| object.metadata.name.as_deref() == Some(&self.node)) {
                    Some(object) => self.object_seen(object),
                    None => self.object_missing(),
                }
            }
            Event::Applied(object) => self.object_seen(object),
            Event::Deleted(_) => self.object_missing(),
            Event::Reached(_) => {}
        }
    }

    /// It is not there: it has to be made.
    pub(crate) fn object_missing(&mut self) {
        if self.object.written.take().is_some() {
            tracing::warn!(node = self.node, "the node's object was deleted; it is made again");
            self.book.not_published();
        }
        self.object.state = Stored::Missing;
        self.answers.clear();
    }

    /// As it is read.
    pub(crate) fn object_seen(&mut self, object: NodeAttachments) {
        let Ok(version) = ResourceVersion::of(&object) else { return };
        if let Some((written, status)) = &self.object.written {
            if version < *written {
                return;
            }
            // Somebody else wrote it, or it came from a backup.
            let is_ours = [Some(status), self.object.writing.as_ref()].contains(&object.status.as_ref());
            if version > *written && !is_ours {
                self.book.not_published();
            }
        }
        self.object.state = Stored::At(version.to_string());
        let spec = object.spec;
        let records = self.book.raise(spec.epoch);
        self.book.recovered(spec.recovered);
        if !records.is_empty() {
            tracing::warn!(epoch = spec.epoch, "a new epoch: everything that is in use is published");
            self.is_stale = true;
            self.write(records, None);
        }
        if let Ok(version) = spec.reach.parse::<ResourceVersion>() {
            self.book.reach(Version(version.number()));
        }
        self.answers = spec.answers.into_iter().map(|answer| (answer.id.clone(), answer)).collect();
    }

    /// What is to be published now.
    pub(crate) fn publication(&mut self) -> Option<Publication> {
        let replaces = match &self.object.state {
            Stored::Unknown => return None,
            Stored::Missing => None,
            Stored::At(version) => Some(version.clone()),
        };
        let (pods, given) = (&self.pods, &self.given);
        let publication = self.book.publish(|key, used| {
            let is_announced = given.get(key).is_none_or(|given| given.entry.network.contains('/'));
            !is_announced || pods.grants(used)
        })?;
        let durable = self.write(publication.records, None);
        let report = publication.report;
        let status = self.status(&report);
        self.object.writing = Some(status.clone());
        Some(Publication { durable, status, report, replaces })
    }

    /// It is stored; as the API server has it now.
    pub(crate) fn published(&mut self, report: &Report, stored: NodeAttachments) {
        self.book.published(report);
        if let Ok(version) = ResourceVersion::of(&stored) {
            // As it is stored: an older definition of the kind may not have every field.
            self.object.written = Some((version, stored.status.clone().unwrap_or_default()));
        }
        self.object_seen(stored);
    }

    /// It is not stored, as far as is known.
    pub(crate) fn not_published(&mut self) {
        self.book.not_published();
    }

    /// Whether anything was published since the start: before that the controller grants nothing for the node.
    pub(crate) fn has_published(&self) -> bool {
        self.object.written.is_some()
    }

    fn status(&self, report: &Report) -> NodeAttachmentsStatus {
        let still = |used: &Use| Still {
            pod: used.pod.clone(),
            vrf: used.address.vrf.clone(),
            address: used.address.address,
        };
        NodeAttachmentsStatus {
            node_uid: report.node_uid.clone(),
            earlier_uids: report.earlier.iter().cloned().collect(),
            boot_id: report.boot_id.clone(),
            epoch: report.epoch,
            as_of: report.as_of.to_string(),
            still: report.still.iter().map(still).collect(),
            unplugs: report.unplugs,
            inventory: report.inventory.iter().map(still).collect(),
            asks: report.asks.keys().filter_map(|id| self.asks.get(id).cloned()).collect(),
        }
    }
}
