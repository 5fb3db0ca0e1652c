//! What is on the API server against what this process has of it: which of both is right.
//!
//! Two versions of one object are in order if nothing was set back: the one that was written more often came of the
//! other. A copy that is ahead means that the API server lost something; then nothing that either side holds is dropped.

use allotment_core::{Allocation, State};

use super::api::{Item, Stamp};
use super::content::{Body, Content, Records, at};
use super::copies::Copy;
use super::name::Of;
use super::pack::Unreadable;

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Both are the same.
    Same,
    /// The same content in another version of the object.
    Restamp(Stamp),
    /// The API server's is right; nothing: the object was removed.
    Theirs(Option<Copy>),
    /// What this process has is to be written: the object was lost.
    Lost,
    /// This is to be written over that version of the object. `set_back`: what is lost is more than this.
    Write { over: Stamp, content: Content, set_back: bool },
}

/// Judges one object.
pub(super) fn judge(name: &str, copy: Option<&Copy>, found: Option<&Item>) -> Verdict {
    let (copy, found) = match (copy, found) {
        (None, None) => return Verdict::Same,
        (None, Some(found)) => return Verdict::Theirs(read(found)),
        (Some(_), None) => return Verdict::Lost,
        (Some(copy), Some(found)) => (copy, found),
    };
    if copy.stamp == found.stamp {
        return Verdict::Same;
    }
    if *copy.data == *found.data {
        return Verdict::Restamp(found.stamp.clone());
    }
    if found.data.is_empty() && matches!(copy.of, Of::Object(_)) {
        return Verdict::Theirs(None);
    }
    let Ok(ours) = copy.content(name) else { return Verdict::Theirs(read(found)) };
    let over = found.stamp.clone();
    let theirs = match Content::unpack(name, &found.data) {
        Ok(theirs) => theirs,
        Err(Unreadable::Newer(_)) => return Verdict::Theirs(read(found)),
        // Somebody has spoiled it, and here it is whole.
        Err(Unreadable::Damaged(_)) => {
            let content = Content { written: ours.written + 1, ..ours };
            return Verdict::Write { over, content, set_back: false };
        }
    };
    let is_ahead = theirs.written > ours.written;
    if is_ahead && copy.stamp.uid == found.stamp.uid {
        return Verdict::Theirs(read(found));
    }
    // It was deleted and made anew, or set back.
    let content = unite(&ours, &theirs, is_ahead);
    if content.body == theirs.body {
        return Verdict::Theirs(read(found));
    }
    Verdict::Write { over, content, set_back: true }
}

fn read(found: &Item) -> Option<Copy> {
    Copy::read(found.clone()).map(|(_, copy, _)| copy)
}

/// One content of two, neither of which need have come of the other.
fn unite(ours: &Content, theirs: &Content, is_theirs_ahead: bool) -> Content {
    let written = ours.written.max(theirs.written) + 1;
    let body = match (&ours.body, &theirs.body) {
        (Body::Block { vrf, base, .. }, Body::Block { .. }) => {
            let records = unite_records(ours, theirs, is_theirs_ahead);
            Body::Block { vrf: vrf.clone(), base: *base, records }
        }
        (ours, theirs) => if is_theirs_ahead { theirs } else { ours }.clone(),
    };
    Content { written, body }
}

/// Of each address the record that changed last; but what is held here is not given up to another holder there, who was
/// granted it when this was already lost.
fn unite_records(ours: &Content, theirs: &Content, is_theirs_ahead: bool) -> Records {
    let (ours, theirs) = (records(ours), records(theirs));
    let mut united = Records::default();
    for offset in 0..=u8::MAX {
        let place = usize::from(offset);
        let record = match (&ours[place], &theirs[place]) {
            (Some(ours), Some(theirs)) => Some(choose(ours, theirs, is_theirs_ahead)),
            (ours, theirs) => ours.as_ref().or(theirs.as_ref()),
        };
        if let Some((bytes, _)) = record {
            united.push(offset, bytes);
        }
    }
    united
}

/// A record's bytes, and what they say.
type Known<'a> = (&'a [u8], Allocation);

fn choose<'k, 'a>(ours: &'k Known<'a>, theirs: &'k Known<'a>, is_theirs_ahead: bool) -> &'k Known<'a> {
    let (here, there) = (&ours.1, &theirs.1);
    let is_doubled = here.state.is_held() && there.state.is_held() && here.owner.key() != there.owner.key();
    match there.since.cmp(&here.since) {
        std::cmp::Ordering::Greater if is_doubled => {
            tracing::error!(
                vrf = %here.vrf, address = %here.address, kept = %here.owner, dropped = %there.owner,
                "an address was given twice while the ledger was lost; see that the other one ends"
            );
            ours
        }
        std::cmp::Ordering::Greater => theirs,
        std::cmp::Ordering::Equal if is_theirs_ahead => theirs,
        std::cmp::Ordering::Equal | std::cmp::Ordering::Less => ours,
    }
}

/// The records of a block by offset, as core understands them; what it does not is left out.
fn records(content: &Content) -> Vec<Option<Known<'_>>> {
    let mut known = vec![None; 256];
    let Body::Block { vrf, base, records } = &content.body else { return known };
    let mut state = State::new();
    state.begin_loading();
    for (offset, bytes) in records.iter() {
        let address = at(*base, offset);
        if state.load(vrf, address, bytes).is_ok() {
            known[usize::from(offset)] = state.allocation(vrf, address).map(|allocation| (bytes, allocation));
        }
    }
    known
}

#[cfg(test)]
mod tests;
