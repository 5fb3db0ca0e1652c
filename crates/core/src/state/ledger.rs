//! What a ledger reads and writes: records as bytes, block by block (format: `codec`).

use std::net::IpAddr;

use super::block::offsets;
use super::{BlockId, Place, State};
use crate::Timestamp;
use crate::address::{address_of, key_of};

/// A record from a ledger that this state cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("the record of {address} in VRF `{vrf}` cannot be read")]
    Damaged { vrf: String, address: IpAddr },
    #[error("{address} in VRF `{vrf}` has two records")]
    Doubled { vrf: String, address: IpAddr },
}

impl State {
    pub fn vrf_name(&self, block: BlockId) -> &str {
        self.store.vrfs.get(block.vrf)
    }

    /// Appends the record of one address to `out`; `false` if it has none.
    pub fn write_record(&self, place: Place, out: &mut Vec<u8>) -> bool {
        let Some(index) = self.store.record_at(place) else { return false };
        self.store.write_record(index, out);
        true
    }

    /// The places of a block that have records, ascending.
    pub fn places(&self, block: BlockId) -> impl Iterator<Item = Place> + '_ {
        let number = self.store.blocks.find(block.vrf, block.base);
        let used = number.map_or([0; 4], |number| self.store.blocks.get(number).used);
        offsets(used).map(move |offset| Place { vrf: block.vrf, key: block.base | u128::from(offset) })
    }

    /// Every block with a record, by VRF and base.
    pub fn blocks(&self) -> impl Iterator<Item = BlockId> + '_ {
        self.blocks_after(None)
    }

    /// The blocks behind one, for reading in pages.
    pub fn blocks_after(&self, block: Option<BlockId>) -> impl Iterator<Item = BlockId> + '_ {
        let after = self.store.blocks.after(block.map(|block| (block.vrf, block.base)));
        let blocks = after.map(|number| self.store.blocks.get(number));
        // A block stays when it is forgotten.
        let used = blocks.filter(|block| !block.records().is_empty());
        used.map(|block| BlockId { vrf: block.vrf, base: block.base })
    }

    /// From now until `settle`, objects and records are only taken in; nothing may be planned.
    pub fn begin_loading(&mut self) {
        self.loading = true;
    }

    /// Takes one record from the ledger. Call `settle` after the last one.
    pub fn load(&mut self, vrf: &str, address: IpAddr, record: &[u8]) -> Result<(), LoadError> {
        let place = Place { vrf: self.store.vrfs.intern(vrf, self.store.seed), key: key_of(address) };
        let error_at = || (vrf.to_owned(), address);
        if self.store.record_at(place).is_some() {
            let (vrf, address) = error_at();
            return Err(LoadError::Doubled { vrf, address });
        }
        if !self.loading {
            self.unsettle(place.vrf, place.key, place.key);
        }
        if self.store.read_record(place, record).is_none() {
            let (vrf, address) = error_at();
            return Err(LoadError::Damaged { vrf, address });
        }
        Ok(())
    }

    /// Ends loading: what addresses are drawn from is laid out anew.
    pub fn settle(&mut self) {
        self.loading = false;
        for subnet in std::mem::take(&mut self.stale) {
            self.lay_out(subnet);
        }
    }

    /// Forgets what is known of a block, so that it can be loaded anew; then `settle`.
    pub fn forget(&mut self, block: BlockId) {
        self.unsettle(block.vrf, block.base, block.base | 0xff);
        self.withheld.open(block);
        let Some(number) = self.store.blocks.find(block.vrf, block.base) else { return };
        for index in self.store.blocks.get_mut(number).clear() {
            self.store.forget(index);
        }
    }

    /// Takes the subnets that touch a range out of service until `settle`.
    pub(super) fn unsettle(&mut self, vrf: u32, first: u128, last: u128) {
        let subnets: Vec<u32> = self.objects.subnet_ranges.overlapping(vrf, (first, last)).collect();
        for subnet in subnets {
            if !self.stale.contains(&subnet) {
                self.drop_regions(subnet);
                self.stale.insert(subnet);
            }
        }
    }

    /// The block of an address of a VRF, if this state has heard of the VRF.
    pub fn block_of(&self, vrf: &str, address: IpAddr) -> Option<BlockId> {
        let vrf = self.store.vrfs.find(vrf, self.store.seed)?;
        Some(BlockId { vrf, base: key_of(address) & !0xff })
    }

    /// The newest time in any record.
    pub fn newest(&self) -> Timestamp {
        self.store.newest
    }

    /// The number of addresses with a record.
    pub fn len(&self) -> usize {
        self.store.blocks.all().map(|number| self.store.blocks.get(number).records().len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks what must hold at any time: every record is where its block says, and held where it says so.
    ///
    /// # Panics
    /// When it does not hold.
    pub fn assert_consistent(&self) {
        for number in self.store.blocks.all() {
            let block = self.store.blocks.get(number);
            for offset in offsets(block.used) {
                let index = block.record(offset).expect("a used address has a record");
                let record = self.store.records.get(index);
                assert_eq!((record.block, record.offset), (number, offset), "a record knows its place");
                let held = super::block::bit(&block.held, offset);
                assert_eq!(held, record.state.is_held(), "{}", address_of(block.base | u128::from(offset)));
            }
        }
    }
}
