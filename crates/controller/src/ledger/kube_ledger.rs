//! The ledger itself.

use std::net::IpAddr;

use allotment_core::State;
use allotment_engine::{Batch, CommitError, Ledger, LedgerError};
use kube::Client;
use tokio::runtime::Handle;

use super::api::{Api, Failure, Item, Refused};
use super::content::Body;
use super::copies::{Copies, Copy};
use super::name::Of;
use super::pack::Unreadable;
use super::write::{self, Outcome, Write};

/// Where it is, for errors.
const PLACE: &str = "the ledger on the API server";

/// How often a list is begun anew that took longer than the API server remembers.
const LISTS: usize = 3;

/// The ledger on the API server: one `AddressBlock` for each block and each accepted object.
pub struct KubeLedger {
    api: Api,
    runtime: Handle,
    copies: Copies,
    loaded: bool,
}

impl KubeLedger {
    /// Nothing is read yet. Requests run on `runtime`; the ledger's own calls block, and must not be made on one of its
    /// threads (`spawn_blocking` is right for opening an engine on it).
    pub fn new(client: Client, runtime: Handle) -> KubeLedger {
        KubeLedger { api: Api::new(client), runtime, copies: Copies::default(), loaded: false }
    }

    /// Reads every object there is.
    fn list(&mut self) -> Result<(), LedgerError> {
        for _ in 0..LISTS {
            match self.try_list() {
                Ok(copies) => {
                    self.copies = copies;
                    return Ok(());
                }
                Err(Refused::Expired) => {}
                Err(refused) => return Err(unavailable(&refused)),
            }
        }
        Err(unavailable(&Refused::Expired))
    }

    fn try_list(&self) -> Result<Copies, Refused> {
        let mut copies = Copies::default();
        let mut next = None;
        loop {
            let (items, _, more) = self.runtime.block_on(self.api.page(next.as_deref()))?;
            for item in items {
                take(&mut copies, item);
            }
            next = more;
            if next.is_none() {
                return Ok(copies);
            }
        }
    }

    /// Puts everything into an empty state.
    fn fill(&self, state: &mut State) -> Result<(), LedgerError> {
        let mut objects: Vec<_> =
            self.copies.iter().filter(|(_, copy)| matches!(copy.of, Of::Object(_))).collect();
        objects.sort_by(|a, b| a.1.of.cmp(&b.1.of));
        let blocks = self.copies.iter().filter(|(_, copy)| matches!(copy.of, Of::Block { .. }));
        for (name, copy) in objects.into_iter().chain(blocks) {
            self.fill_one(state, name, copy)?;
        }
        Ok(())
    }

    fn fill_one(&self, state: &mut State, name: &str, copy: &Copy) -> Result<(), LedgerError> {
        let place = || format!("AddressBlock {name} ({})", copy.of);
        let content = copy
            .content(name)
            .map_err(|why| LedgerError::Damaged { place: place(), why: why.to_string() })?;
        match content.body {
            Body::Ledger(_) => {}
            Body::Object(object) => {
                state
                    .put(object)
                    .map_err(|error| LedgerError::Damaged { place: place(), why: error.to_string() })?;
            }
            Body::Block { vrf, base, records } => {
                for (offset, record) in records.iter() {
                    let loaded = state.load(&vrf, at(base, offset), record);
                    loaded
                        .map_err(|error| LedgerError::Damaged { place: place(), why: error.to_string() })?;
                }
            }
        }
        Ok(())
    }

    /// Takes over what became of a commit.
    fn settle(&mut self, outcomes: Vec<(Write, Outcome)>) -> Result<(), CommitError> {
        let (mut changed, mut objects, mut failed) = (Vec::new(), false, None);
        for (write, outcome) in outcomes {
            match outcome {
                Outcome::Written(copy) => self.copies.put(write.name, copy),
                Outcome::Removed => self.copies.remove(&write.name),
                Outcome::Failed(failure) => failed = failed.or(Some((write.of, failure))),
                Outcome::Changed(item) => {
                    take(&mut self.copies, item);
                    changed.extend(write.block);
                    objects |= write.block.is_none();
                }
                Outcome::Gone => {
                    changed.extend(write.block);
                    objects |= write.block.is_none();
                }
            }
        }
        match failed {
            Some((of, failure)) => Err(unwritten(&of, &failure).into()),
            None if objects => Err(CommitError::Objects),
            None if changed.is_empty() => Ok(()),
            None => Err(CommitError::Conflict(changed)),
        }
    }
}

impl Ledger for KubeLedger {
    fn load(&mut self, state: &mut State) -> Result<(), LedgerError> {
        if !self.loaded {
            self.list()?;
            self.loaded = true;
        }
        self.fill(state)
    }

    fn commit(&mut self, state: &State, batch: &Batch) -> Result<(), CommitError> {
        let writes = write::plan(state, batch, &self.copies).map_err(|(of, why)| unreadable(&of, why))?;
        let outcomes = self.runtime.block_on(write::perform(&self.api, writes));
        self.settle(outcomes)
    }

    fn reload(&mut self, state: &mut State, blocks: &[(String, IpAddr)]) -> Result<(), LedgerError> {
        for (vrf, base) in blocks {
            let name = Of::Block { vrf: vrf.clone(), base: *base }.name();
            if let Some(copy) = self.copies.get(&name) {
                self.fill_one(state, &name, copy)?;
            }
        }
        Ok(())
    }
}

/// Keeps what was read, if it is the ledger's and not empty.
fn take(copies: &mut Copies, item: Item) {
    let name = item.name.clone();
    if item.data.is_empty() {
        return copies.remove(&name);
    }
    match Copy::read(item) {
        Some((copy, _)) => copies.put(name, copy),
        None => tracing::error!(object = %name, "this AddressBlock is none of the ledger's"),
    }
}

/// The address at a place of a block.
fn at(base: IpAddr, offset: u8) -> IpAddr {
    use allotment_engine::bytes::{address_bytes, address_of};
    let mut bytes = address_bytes(base);
    bytes[15] = offset;
    address_of(bytes)
}

fn unavailable(refused: &Refused) -> LedgerError {
    let why = match refused {
        Refused::Failed(failure) => failure.why.clone(),
        other => format!("a list was answered with {other:?}"),
    };
    LedgerError::Unavailable { place: PLACE.to_owned(), why }
}

fn unwritten(of: &Of, failure: &Failure) -> LedgerError {
    LedgerError::Write { place: format!("{PLACE} ({of})"), why: failure.why.clone() }
}

fn unreadable(of: &Of, why: Unreadable) -> LedgerError {
    let place = format!("{PLACE} ({of})");
    match why {
        Unreadable::Newer(found) => {
            LedgerError::Newer { place, found: found.into(), known: super::pack::FORMAT.into() }
        }
        Unreadable::Damaged(_) => LedgerError::Damaged { place, why: why.to_string() },
    }
}
