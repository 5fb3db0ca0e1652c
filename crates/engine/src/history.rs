//! What happened to addresses: every change as its commit recorded it.

use std::net::IpAddr;

use allotment_core::{Allocation, State, Timestamp};

/// What one commit recorded of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When that was, as the rules were given the time.
    pub at: Timestamp,
    pub vrf: String,
    pub address: IpAddr,
    /// The record's bytes, as it was afterwards.
    pub record: Vec<u8>,
}

impl Change {
    /// The record; nothing where its bytes make none.
    pub fn allocation(&self) -> Option<Allocation> {
        let mut state = State::new();
        state.begin_loading();
        state.load(&self.vrf, self.address, &self.record).ok()?;
        state.allocation(&self.vrf, self.address)
    }
}

/// Some of the changes, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    pub changes: Vec<Change>,
    /// What to ask with for those behind them; nothing at the end.
    pub next: Option<u64>,
}
