//! A record as the ledger stores it. The ledger adds format number, checksum, VRF and address around it.
//!
//! ```text
//!   state choice pick flags | since (8, little endian) | mac (6, if flag 1)
//!   kind namespace network interface node                strings of `text`
//!   uid name holder container                            the record's text in memory, byte for byte
//!   netns: 0, or 1 device (8) inode (8) cookie (8; 0: not known) boot path
//!   (flag 4) second holder: holder container network interface node netns others
//! ```
//!
//! Flag 2: somebody uses it, or used it last. Flag 64: it stays its owner's when the owner is gone. Bits 3 to 5 of the flags,
//! and `others`: how many other addresses the holder's want was given with it.

use super::record::OTHERS_MAX;
use super::text::{self, Reader};
use crate::{AllocationState, Attachment, Choice, Mac, Netns, Owner, Pick, Rule, Timestamp};

pub(super) const FLAG_MAC: u8 = 1;
pub(super) const FLAG_ATTACHMENT: u8 = 2;
pub(super) const FLAG_SECOND: u8 = 4;
pub(super) const FLAG_OUTLIVES: u8 = 64;
const OTHERS_SHIFT: u32 = 3;

const STATES: [AllocationState; 3] =
    [AllocationState::Reserved, AllocationState::Active, AllocationState::Cooling];
const CHOICES: [Choice; 6] =
    [Choice::Address, Choice::Request, Choice::Namespace, Choice::Network, Choice::Selector, Choice::Default];
const PICKS: [Pick; 9] = [
    Pick::Asked,
    Pick::Listed,
    Pick::Reservation,
    Pick::Returned,
    Pick::Fresh,
    Pick::Oldest,
    Pick::Lowest,
    Pick::Hashed,
    Pick::Next,
];

/// The fixed part of a stored record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) state: AllocationState,
    pub(super) rule: Rule,
    pub(super) flags: u8,
    pub(super) others: u8,
    pub(super) since: Timestamp,
    pub(super) mac: Option<Mac>,
}

impl Head {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let flags = self.flags & !FLAG_MAC | if self.mac.is_some() { FLAG_MAC } else { 0 };
        let flags = flags | self.others << OTHERS_SHIFT;
        out.extend_from_slice(&[self.state as u8, self.rule.choice as u8, self.rule.pick as u8, flags]);
        out.extend_from_slice(&self.since.0.to_le_bytes());
        out.extend_from_slice(self.mac.as_ref().map_or(&[], |mac| &mac.0));
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Head> {
        let [state, choice, pick, flags] = reader.array()?;
        let others = flags >> OTHERS_SHIFT & OTHERS_MAX;
        let flags = flags & !(OTHERS_MAX << OTHERS_SHIFT);
        let known = FLAG_MAC | FLAG_ATTACHMENT | FLAG_SECOND | FLAG_OUTLIVES;
        if flags & !known != 0 || flags & (FLAG_ATTACHMENT | FLAG_SECOND) == FLAG_SECOND {
            return None;
        }
        let since = Timestamp(u64::from_le_bytes(reader.array()?));
        let mac = if flags & FLAG_MAC == 0 { None } else { Some(Mac(reader.array()?)) };
        Some(Head {
            state: *STATES.get(usize::from(state))?,
            rule: Rule { choice: *CHOICES.get(usize::from(choice))?, pick: *PICKS.get(usize::from(pick))? },
            flags,
            others,
            since,
            mac,
        })
    }
}

/// Appends the part of a record that is kept as text in memory.
pub(super) fn push_text(out: &mut Vec<u8>, owner: &Owner, attachment: Option<&Attachment>) {
    text::push(out, &owner.uid);
    text::push(out, &owner.name);
    let (holder, container_id) = attachment.map_or(("", ""), |a| (&a.holder, &a.container_id));
    text::push_or_same(out, holder, &owner.uid);
    text::push_or_same(out, container_id, &owner.uid);
    push_netns(out, attachment.and_then(|attachment| attachment.netns.as_ref()));
}

fn push_netns(out: &mut Vec<u8>, netns: Option<&Netns>) {
    let Some(netns) = netns else { return out.push(0) };
    out.push(1);
    out.extend_from_slice(&netns.device.to_le_bytes());
    out.extend_from_slice(&netns.inode.to_le_bytes());
    out.extend_from_slice(&netns.cookie.unwrap_or(0).to_le_bytes());
    text::push(out, &netns.boot);
    text::push(out, &netns.path);
}

/// Reads the evidence into `netns`; `None`: the bytes are no record.
fn read_netns(reader: &mut Reader<'_>, netns: &mut Option<Netns>) -> Option<()> {
    match reader.array()? {
        [0] => return Some(()),
        [1] => {}
        _ => return None,
    }
    let mut number = || reader.array().map(u64::from_le_bytes);
    let (device, inode, cookie) = (number()?, number()?, number()?);
    let (boot, path) = (reader.string()?.to_text()?, reader.string()?.to_text()?);
    *netns = Some(Netns { boot, device, inode, cookie: (cookie != 0).then_some(cookie), path });
    Some(())
}

/// The strings of a record's text.
pub(super) struct TextParts {
    pub(super) uid: String,
    pub(super) name: String,
    pub(super) holder: String,
    pub(super) container_id: String,
    pub(super) netns: Option<Netns>,
}

impl TextParts {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<TextParts> {
        let mut parts = TextParts {
            uid: reader.uid()?.to_text()?,
            name: reader.string()?.to_text()?,
            holder: reader.string()?.to_text()?,
            container_id: reader.string()?.to_text()?,
            netns: None,
        };
        read_netns(reader, &mut parts.netns)?;
        Some(parts)
    }
}

/// Passes over a record's text and returns its bytes.
pub(super) fn skip_text<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let before = reader.rest();
    reader.uid()?;
    for _ in 0..3 {
        reader.string()?;
    }
    if reader.array::<1>()? != [0] {
        reader.bytes(24)?;
        reader.string()?;
        reader.string()?;
    }
    Some(&before[..before.len() - reader.rest().len()])
}

pub(super) fn push_second(out: &mut Vec<u8>, second: &Attachment, others: u8) {
    for part in [&second.holder, &second.container_id, &second.network, &second.interface, &second.node] {
        text::push(out, part);
    }
    push_netns(out, second.netns.as_ref());
    out.push(others);
}

/// The second holder, and how many other addresses it was given.
pub(super) fn read_second(reader: &mut Reader<'_>) -> Option<(Attachment, u8)> {
    let mut next = || reader.string()?.to_text();
    let (holder, container_id, network, interface, node) = (next()?, next()?, next()?, next()?, next()?);
    let mut netns = None;
    read_netns(reader, &mut netns)?;
    let [others] = reader.array()?;
    Some((Attachment { holder, container_id, network, interface, node, netns }, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_choices_and_picks_keep_their_numbers() {
        // The ledger has these numbers: adding is fine, moving is not.
        assert!(STATES.iter().enumerate().all(|(at, &state)| state as usize == at));
        assert!(CHOICES.iter().enumerate().all(|(at, &choice)| choice as usize == at));
        assert!(PICKS.iter().enumerate().all(|(at, &pick)| pick as usize == at));
    }
}
