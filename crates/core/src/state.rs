//! Everything the rules know.
//!
//! ```text
//!   objects ── subnets, pools, reservations, and what leads to them
//!   layout ─── regions and segments: where addresses are drawn from, in which order
//!   store ──── records by block, owner, MAC and sandbox
//! ```
//!
//! `plan` and its parts read, `apply` and `release` write. Every structure in here was chosen by measuring: see
//! `docs/internals/decisions/0001-core-structures.md`.

mod adopt;
mod again;
mod apply;
mod arena;
mod block;
mod check;
mod choose;
mod codec;
mod columns;
mod declare;
mod form;
mod hash;
mod intern;
mod layout;
mod ledger;
mod macs;
mod named;
mod objects;
mod plan;
mod prefetch;
mod query;
mod ranges;
mod record;
mod refuse;
mod region;
mod release;
mod store;
mod table;
mod targets;
mod text;
mod torn;
mod warm;
mod withheld;

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::address::{Key, address_of};

pub use columns::Columns;
pub use ledger::LoadError;
pub use plan::Plan;
pub use query::{Located, Usage};

/// Objects and allocations, and the indexes over them.
#[derive(Default)]
pub struct State {
    objects: objects::Objects,
    layout: layout::Layout,
    store: store::Store,
    /// Subnets without regions: they are laid out by `settle`.
    stale: BTreeSet<u32>,
    loading: bool,
    withheld: withheld::Withheld,
}

impl State {
    pub fn new() -> State {
        State::default()
    }

    /// A state whose indexes hash with `seed`. Names come from users: a process that serves others should choose it at
    /// random. No decision depends on it.
    pub fn with_seed(seed: u64) -> State {
        let mut state = State::default();
        state.store.set_seed(hash::Seed(seed));
        state
    }
}

/// An address in its VRF, as this state numbers them: cheap to copy, meaningless to another state. Packed, because plans
/// are moved about: the alignment of a `u128` would make it 32 bytes instead of 20.
#[repr(C, packed(4))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    vrf: u32,
    key: Key,
}

impl Place {
    pub fn address(self) -> IpAddr {
        address_of(self.key)
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

/// A 256-aligned run of addresses of a VRF: the ledger's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId {
    vrf: u32,
    base: Key,
}

impl BlockId {
    /// The lowest address of the block.
    pub fn base(self) -> IpAddr {
        address_of(self.base)
    }
}
