//! Bringing near what a batch of requests and releases will read.

use smallvec::SmallVec;

use super::{Place, State};
use crate::address::key_of;
use crate::{Release, Request};

impl State {
    /// Asks for the memory that planning these requests will read. Decides and changes nothing: it only makes a batch
    /// faster, because its look-ups then wait for memory together.
    pub fn warm_requests<'r>(&self, requests: impl Iterator<Item = &'r Request>) {
        for request in requests {
            self.store.prefetch_request(request, self.store.seed.owner(request.owner.key()));
        }
    }

    /// Asks for the memory that these releases will read: first where the records are written down, then the records,
    /// then what hangs on them.
    pub fn warm_releases<'r>(&self, releases: impl Iterator<Item = &'r Release>) {
        let mut places: SmallVec<[(u32, u8); 64]> = SmallVec::new();
        for release in releases {
            let Release::Address { vrf, address, .. } = release else { continue };
            let Some(vrf) = self.store.vrfs.find(vrf, self.store.seed) else { continue };
            let place = Place { vrf, key: key_of(*address) };
            let Some(block) = self.store.blocks.find(vrf, place.key) else { continue };
            self.store.blocks.get(block).prefetch(place.offset());
            places.push((block, place.offset()));
        }
        let records: SmallVec<[u32; 64]> = places
            .iter()
            .filter_map(|&(block, offset)| self.store.blocks.get(block).record(offset))
            .collect();
        for &record in &records {
            self.store.records.prefetch(record);
        }
        for record in records {
            self.store.prefetch_change(record);
        }
        for (block, offset) in places {
            let segment = self.layout.segment_at(&self.store, block, offset);
            self.layout.prefetch_tail(&self.store, segment);
        }
    }
}
