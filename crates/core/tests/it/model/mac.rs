//! The MAC of a want whose addresses are picked.

use allotment_core::{Allocation, Code, Mac, MacWant, Want};

use super::answer::{Asking, Entry, How, Picked};

impl Asking<'_> {
    pub(super) fn mac(&self, want: &Want, picks: &[Picked], before: &[Entry]) -> Result<Option<Mac>, Code> {
        let record = |picked: &Picked| self.model.records.get(&picked.place);
        let shared = picks.iter().filter_map(|p| Some((p.how, record(p)?))).find(|(how, record)| {
            *how == How::Join || *how == How::Keep && record.attachments[0].holder != want.attachment.holder
        });
        if let Some((_, shared)) = shared {
            let fits = match &want.mac {
                Some(MacWant::Asked(mac)) => shared.mac == Some(*mac),
                Some(MacWant::OneOf(list)) => shared.mac.is_some_and(|mac| list.contains(&mac)),
                Some(MacWant::Seen(_)) | None => true,
            };
            return if fits { Ok(shared.mac) } else { Err(Code::Invalid) };
        }
        let kept = picks.first().filter(|picked| picked.how == How::Keep);
        let has = kept.and_then(record).and_then(|record| record.mac);
        let Some(asked) = &want.mac else { return Ok(has) };
        if !matches!(asked, MacWant::Seen(_)) && has.is_some_and(|has| !asked.macs().contains(&has)) {
            return Err(Code::Invalid);
        }
        let mut own =
            picks.iter().filter_map(record).filter(|record| record.owner.key() == self.request.owner.key());
        let own = own.find_map(|record| record.mac).filter(|mac| asked.macs().contains(mac));
        let mut refused = None;
        for &mac in own.iter().chain(asked.macs()) {
            match self.mac_free(mac, want, picks, before) {
                Ok(()) => return Ok(Some(mac)),
                Err(code) => refused = refused.or(Some(code)),
            }
        }
        Err(refused.expect("a list of MACs is not empty here"))
    }

    fn mac_free(&self, mac: Mac, want: &Want, picks: &[Picked], before: &[Entry]) -> Result<(), Code> {
        let vrfs: Vec<&String> = picks.iter().map(|picked| &picked.place.0).collect();
        let theirs = |other: &&Allocation| {
            let own = other.owner.key() == self.request.owner.key()
                && (&other.attachments[0].network, &other.attachments[0].interface)
                    == (&want.attachment.network, &want.attachment.interface);
            let picked =
                picks.iter().any(|picked| (&picked.place.0, picked.place.1) == (&other.vrf, other.address));
            other.state.is_held() && other.mac == Some(mac) && vrfs.contains(&&other.vrf) && !own && !picked
        };
        if self.model.records.values().any(|record| theirs(&record)) {
            return Err(Code::Taken);
        }
        let twice = before.iter().any(|(others, theirs)| {
            *theirs == Some(mac) && others.iter().any(|other| vrfs.contains(&&other.place.0))
        });
        if twice { Err(Code::Invalid) } else { Ok(()) }
    }
}
