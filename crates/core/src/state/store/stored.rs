//! A record as the ledger has it.

use super::{Entry, Second, Store};
use crate::state::Place;
use crate::state::codec::{self, TextParts};
use crate::state::text::{self, Reader};
use crate::{Attachment, Owner};

impl Store {
    /// Appends the record's bytes for the ledger.
    pub(in crate::state) fn write_record(&self, index: u32, out: &mut Vec<u8>) {
        let record = self.records.get(index);
        let mut flags = 0;
        if record.has_attachment() {
            flags |= codec::FLAG_ATTACHMENT;
        }
        if record.has_second() {
            flags |= codec::FLAG_SECOND;
        }
        if record.outlives_owner {
            flags |= codec::FLAG_OUTLIVES;
        }
        let head = codec::Head {
            state: record.state,
            rule: record.rule,
            flags,
            others: record.others(),
            since: record.since,
            mac: record.mac(),
        };
        head.write(out);
        text::push(out, self.kinds.get(u32::from(record.kind)));
        text::push(out, self.namespaces.get(record.namespace));
        text::push(out, self.networks.get(record.network));
        text::push(out, self.interfaces.get(record.interface));
        text::push(out, self.nodes.get(record.node));
        out.extend_from_slice(
            codec::skip_text(&mut self.text(record)).expect("a record's text was written by us"),
        );
        if let Some(Second { attachment, others }) = self.seconds.get(&index) {
            codec::push_second(out, attachment, *others);
        }
    }

    /// Enters a record from the ledger. `None`: the bytes are no record. The address must not have one.
    pub(in crate::state) fn read_record(&mut self, place: Place, bytes: &[u8]) -> Option<u32> {
        let mut reader = Reader::new(bytes);
        let head = codec::Head::read(&mut reader)?;
        let mut word = || reader.string()?.to_text();
        let (kind, namespace) = (word()?, word()?);
        let (network, interface, node) = (word()?, word()?, word()?);
        let parts = TextParts::read(&mut reader)?;
        let owner = Owner { kind, namespace, name: parts.name, uid: parts.uid };
        let attachment = (head.flags & codec::FLAG_ATTACHMENT != 0).then_some(Attachment {
            holder: parts.holder,
            container_id: parts.container_id,
            network,
            interface,
            node,
            netns: parts.netns,
        });
        let second =
            if head.flags & codec::FLAG_SECOND == 0 { None } else { Some(codec::read_second(&mut reader)?) };
        if !reader.rest().is_empty() || !self.has_room_for_kind(&owner.kind) {
            return None;
        }
        let entry = Entry {
            owner_tag: self.seed.owner(owner.key()),
            owner: &owner,
            attachment: attachment.as_ref(),
            mac: head.mac,
            state: head.state,
            rule: head.rule,
            others: head.others,
            since: head.since,
            outlives_owner: head.flags & codec::FLAG_OUTLIVES != 0,
        };
        let index = self.enter(place, &entry);
        if let Some((second, others)) = second {
            self.set_second(index, second, others);
        }
        Some(index)
    }
}
