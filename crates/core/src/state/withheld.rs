//! What is given to nobody for now, whatever the rules would say: blocks that the ledger has and cannot read (L2), and
//! everything new while the ledger recovers from having been set back (L6).

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::ranges::{Range, normalized};
use super::{BlockId, Place, State};
use crate::address::{Key, address_of, key_of};

/// See the module.
#[derive(Default)]
pub(super) struct Withheld {
    /// VRF and base.
    closed: BTreeSet<(u32, Key)>,
    /// The epoch under which not every node has said yet which addresses it uses.
    recovering: Option<u64>,
}

impl Withheld {
    pub(super) fn has(&self, place: Place) -> bool {
        !self.closed.is_empty() && self.closed.contains(&(place.vrf, place.key & !0xff))
    }

    /// The closed blocks that touch a range.
    pub(super) fn within(&self, vrf: u32, (first, last): Range) -> Vec<Range> {
        let blocks = self.closed.range((vrf, first & !0xff)..=(vrf, last));
        normalized(blocks.map(|&(_, base)| (base, base | 0xff)).collect())
    }

    pub(super) fn open(&mut self, block: BlockId) {
        self.closed.remove(&(block.vrf, block.base));
    }
}

impl State {
    /// Closes a block that has no records here, since the ledger's cannot be read: none of its addresses is given or
    /// freed until the block is forgotten and loaded anew. Then `settle`.
    pub fn close(&mut self, vrf: &str, base: IpAddr) {
        let vrf = self.store.vrfs.intern(vrf, self.store.seed);
        let base = key_of(base) & !0xff;
        self.unsettle(vrf, base, base | 0xff);
        self.withheld.closed.insert((vrf, base));
    }

    /// The closed blocks: VRF and base.
    pub fn closed(&self) -> impl Iterator<Item = (&str, IpAddr)> {
        self.withheld.closed.iter().map(|&(vrf, base)| (self.store.vrfs.get(vrf), address_of(base)))
    }

    /// Whether an address is in a closed block.
    pub fn is_closed(&self, vrf: &str, address: IpAddr) -> bool {
        let vrf = self.store.vrfs.find(vrf, self.store.seed);
        vrf.is_some_and(|vrf| self.withheld.has(Place { vrf, key: key_of(address) }))
    }

    /// The ledger was set back, so addresses that are free here may be in use: from now on only what an attachment has
    /// already is given. `None`: every node has said under this epoch what it uses, and it is in here.
    pub fn recover(&mut self, epoch: Option<u64>) {
        self.withheld.recovering = epoch;
    }

    /// The epoch of a recovery that is not over.
    pub fn recovering(&self) -> Option<u64> {
        self.withheld.recovering
    }
}
