//! Everything the rules know.

use std::net::IpAddr;

use crate::{Allocation, Grant, Object, ObjectError, ObjectKey, Refusal, Release, Request, Timestamp};

/// Objects and allocations, and the indexes over them.
#[derive(Default)]
pub struct State {}

/// What a request will change, decided but not yet done.
pub struct Plan<'a> {
    #[expect(dead_code)]
    request: &'a Request,
}

/// An address in its VRF, as this state numbers them: cheap to copy, meaningless to another state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub(crate) vrf: u32,
    pub(crate) key: u128,
}

/// A 256-aligned run of addresses of a VRF: the ledger's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId {
    pub(crate) vrf: u32,
    pub(crate) base: u128,
}

/// A record from a ledger that this state cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("the record of {address} in VRF `{vrf}` is damaged: {why}")]
    Damaged { vrf: String, address: IpAddr, why: &'static str },
    #[error("{address} in VRF `{vrf}` has two records")]
    Doubled { vrf: String, address: IpAddr },
}

impl State {
    pub fn new() -> State {
        State::default()
    }
}

impl Place {
    pub fn address(self) -> IpAddr {
        crate::address::address_of(self.key)
    }

    /// The block the address lies in.
    pub fn block(self) -> BlockId {
        BlockId { vrf: self.vrf, base: self.key & !0xff }
    }

    /// Its place in the block.
    pub fn offset(self) -> u8 {
        self.key.to_le_bytes()[0]
    }
}

impl BlockId {
    /// The lowest address of the block.
    pub fn base(self) -> IpAddr {
        crate::address::address_of(self.base)
    }
}

/// Requests and releases.
#[expect(unused_variables)]
impl State {
    /// Decides a request. Changes nothing.
    pub fn plan<'a>(&self, request: &'a Request, now: Timestamp) -> Result<Plan<'a>, Refusal> {
        todo!()
    }

    /// Does what was planned. The plan must be of this very state: nothing may have been applied since. Every address
    /// whose record changed is appended to `changed`; a repeated request changes none.
    pub fn apply(&mut self, plan: &Plan<'_>, changed: &mut Vec<Place>) {
        todo!()
    }

    /// What the plan gives, for the caller; after `apply`.
    pub fn grant(&self, plan: &Plan<'_>) -> Grant {
        todo!()
    }

    /// Releases; every address whose record changed is appended to `changed`.
    pub fn release(&mut self, release: &Release, now: Timestamp, changed: &mut Vec<Place>) {
        todo!()
    }
}

/// Objects.
#[expect(unused_variables)]
impl State {
    /// Checks an object against itself, the others and the holders. Changes nothing.
    pub fn check(&self, object: &Object) -> Result<(), ObjectError> {
        todo!()
    }

    /// Puts an object, new or changed, after checking it.
    pub fn put(&mut self, object: Object) -> Result<(), ObjectError> {
        todo!()
    }

    /// Removes an object; refused while others or holders need it. `Ok(false)`: there was none.
    pub fn remove(&mut self, key: &ObjectKey) -> Result<bool, ObjectError> {
        todo!()
    }

    pub fn object(&self, key: &ObjectKey) -> Option<Object> {
        todo!()
    }

    /// All objects, by kind and name; in this order they can be put into an empty state.
    pub fn objects(&self) -> impl Iterator<Item = Object> + '_ {
        std::iter::empty()
    }
}

/// What the ledger reads and writes: records as bytes (format: `record`).
#[expect(unused_variables)]
impl State {
    pub fn vrf_name(&self, place_or_block: BlockId) -> &str {
        todo!()
    }

    /// Appends the record of one address to `out`; nothing if it has none.
    pub fn write_record(&self, place: Place, out: &mut Vec<u8>) -> bool {
        todo!()
    }

    /// The places of a block that have records, ascending.
    pub fn places(&self, block: BlockId) -> impl Iterator<Item = Place> + '_ {
        std::iter::empty()
    }

    /// Every block with a record, by VRF and base.
    pub fn blocks(&self) -> impl Iterator<Item = BlockId> + '_ {
        std::iter::empty()
    }

    /// Takes one record from the ledger. Call `settle` after the last one.
    pub fn load(&mut self, vrf: &str, address: IpAddr, record: &[u8]) -> Result<(), LoadError> {
        todo!()
    }

    /// Ends loading: the order of reuse is rebuilt.
    pub fn settle(&mut self) {
        todo!()
    }

    /// Forgets what is known of a block, so that it can be loaded anew.
    pub fn forget(&mut self, block: BlockId) {
        todo!()
    }

    /// The newest time in any record.
    pub fn newest(&self) -> Timestamp {
        todo!()
    }
}

/// What people ask.
#[expect(unused_variables)]
impl State {
    /// One address, if it has a record.
    pub fn allocation(&self, vrf: &str, address: IpAddr) -> Option<Allocation> {
        todo!()
    }

    /// The record at a place, if there is one.
    pub fn at(&self, place: Place) -> Option<Allocation> {
        todo!()
    }
}
