//! The ledger itself.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_core::{BlockId, Object, State};
use allotment_engine::{Batch, CommitError, Ledger, LedgerError, Stale};
use kube::Client;
use tokio::runtime::Handle;

use super::api::{Api, Failure, Item};
use super::content::{Body, Content, Epochs, at};
use super::copies::{Copies, Copy};
use super::epoch;
use super::errors::{unavailable, unreadable, unwritten};
use super::keeper::{Keeper, Shared};
use super::name::Of;
use super::pack::Unreadable;
use super::write::{self, Outcome, Write};

/// However long the API server asks to be left alone, it is asked again after this.
const LONGEST_REST: Duration = Duration::from_mins(1);

/// The ledger on the API server: one `AddressBlock` for each block and each accepted object.
pub struct KubeLedger {
    pub(super) api: Api,
    pub(super) runtime: Handle,
    pub(super) shared: Arc<Shared>,
    copies: Copies,
    /// What the engine's state does not have of the copies. It is loaded before it is written again, so that nothing
    /// is written over unseen.
    behind: Behind,
    client: Client,
    /// Whether nothing may be written.
    read_only: bool,
    loaded: bool,
    /// The API server was set back, and not every object has been looked at since.
    pub(super) set_back: bool,
    /// Until when the API server asks to be left alone.
    rest: Option<Instant>,
}

#[derive(Debug, Default)]
struct Behind {
    blocks: BTreeSet<(String, IpAddr)>,
    /// An object, or the epoch.
    everything: bool,
}

impl KubeLedger {
    /// Nothing is read yet. Requests run on `runtime`; the ledger's own calls block, and must not be made on one of its
    /// threads (`spawn_blocking` is right for opening an engine on it).
    pub fn new(client: Client, runtime: Handle) -> KubeLedger {
        KubeLedger {
            api: Api::new(client.clone()),
            runtime,
            shared: Arc::default(),
            copies: Copies::default(),
            behind: Behind::default(),
            client,
            read_only: false,
            loaded: false,
            set_back: false,
            rest: None,
        }
    }

    /// The ledger to be looked at: nothing is begun where there is none, nothing made good, and every commit fails.
    pub fn read_only(client: Client, runtime: Handle) -> KubeLedger {
        KubeLedger { read_only: true, ..KubeLedger::new(client, runtime) }
    }

    /// What watches over the ledger while an engine has it.
    pub fn keeper(&self) -> Keeper {
        Keeper { client: self.client.clone(), shared: Arc::clone(&self.shared) }
    }

    pub(super) fn copies(&self) -> &Copies {
        &self.copies
    }

    /// This is what the API server has now.
    pub(super) fn keep(&mut self, name: String, copy: Copy) {
        self.shared.heard().own(&name, copy.stamp.version);
        self.copies.put(name, copy);
    }

    /// The API server has nothing of this name.
    pub(super) fn forget(&mut self, name: &str) {
        self.shared.heard().gone(name);
        self.copies.remove(name);
    }

    /// The copy of this has changed, and the state has not.
    pub(super) fn outdate(&mut self, of: &Of) {
        self.shared.news.notify_one();
        match of {
            Of::Block { vrf, base } => {
                self.behind.blocks.insert((vrf.clone(), *base));
            }
            Of::Object(_) | Of::Ledger => self.behind.everything = true,
        }
    }

    /// Reads every object there is, into an empty state.
    fn read(&mut self, state: &mut State) -> Result<(), LedgerError> {
        self.copies = Copies::default();
        let listed = self.runtime.block_on(self.api.list());
        let (items, version) = listed.map_err(|failure| unavailable(&failure))?;
        self.shared.heard().is_at(version);
        let is_new = items.is_empty();
        let (objects, blocks): (Vec<Item>, Vec<Item>) =
            items.into_iter().partition(|item| Of::is_object(&item.name));
        let mut all = Vec::new();
        for (name, copy, content) in objects.into_iter().filter_map(Copy::read) {
            all.extend(accepted(&copy.of, content));
            self.keep(name, copy);
        }
        put_all(state, all);
        for (name, copy, content) in blocks.into_iter().filter_map(Copy::read) {
            enter(state, &copy.of, content);
            self.keep(name, copy);
        }
        if !self.read_only {
            self.begin(is_new)?;
        }
        state.recover(self.epochs().open());
        Ok(())
    }

    /// What the copy of the object of the ledger as a whole says.
    fn epochs(&self) -> Epochs {
        let name = Of::Ledger.name();
        match self.copies.get(&name).and_then(|copy| copy.content(&name).ok()) {
            Some(Content { body: Body::Ledger(epochs), .. }) => epochs,
            _ => Epochs::default(),
        }
    }

    /// Sees to the object of the ledger as a whole.
    fn begin(&mut self, is_new: bool) -> Result<(), LedgerError> {
        let name = Of::Ledger.name();
        match self.copies.get(&name).map(|copy| copy.written) {
            Some(Ok(_)) => return Ok(()),
            Some(Err(why @ Unreadable::Newer(_))) => return Err(unreadable(&Of::Ledger, why)),
            None if is_new => {
                let (copy, _) = self.runtime.block_on(epoch::begin_on(&self.api))?;
                self.keep(name, copy);
                return Ok(());
            }
            None | Some(Err(Unreadable::Damaged(_))) => {}
        }
        tracing::error!("which epoch the ledger is in is not known any more");
        self.raise()
    }

    /// Begins a new epoch: the ledger was set back.
    pub(super) fn raise(&mut self) -> Result<(), LedgerError> {
        let before = self.epochs().epoch;
        let (copy, epochs) = self.runtime.block_on(epoch::raise_on(&self.api, before))?;
        tracing::error!(
            epoch = epochs.epoch,
            "the ledger was set back: until every node has said which addresses it uses, nobody gets another one"
        );
        self.shared.counts.set_back.add(1);
        self.outdate(&Of::Ledger);
        self.keep(Of::Ledger.name(), copy);
        Ok(())
    }

    /// Puts all copies into an empty state.
    fn fill(&self, state: &mut State) {
        let (objects, others): (Vec<_>, Vec<_>) =
            self.copies.iter().partition(|(_, copy)| matches!(copy.of, Of::Object(_)));
        let read = |(name, copy): (&str, &Copy)| accepted(&copy.of, copy.content(name));
        put_all(state, objects.into_iter().filter_map(read).collect());
        for (name, copy) in others {
            enter(state, &copy.of, copy.content(name));
        }
    }

    /// Whether a batch may be written.
    fn check(&mut self, state: &State, batch: &Batch) -> Result<(), CommitError> {
        if self.read_only {
            let why = "it was opened to be looked at, and only the controller writes it".to_owned();
            return Err(unwritten(&Of::Ledger, &Failure::new(why)).into());
        }
        if let Some(left) = self.rest.and_then(|until| until.checked_duration_since(Instant::now())) {
            let why = format!("the API server asks to be left alone for another {} ms", left.as_millis());
            return Err(unwritten(&Of::Ledger, &Failure::new(why)).into());
        }
        self.rest = None;
        if self.behind.everything {
            return Err(CommitError::Objects);
        }
        let is_behind =
            |block: &BlockId| self.behind.blocks.contains(&(state.vrf_name(*block).to_owned(), block.base()));
        let behind: Vec<BlockId> = if self.behind.blocks.is_empty() {
            Vec::new()
        } else {
            batch.blocks().into_iter().filter(is_behind).collect()
        };
        if behind.is_empty() { Ok(()) } else { Err(CommitError::Conflict(behind)) }
    }

    /// Takes over what became of a commit.
    fn settle(&mut self, outcomes: Vec<(Write, Outcome)>) -> Result<(), CommitError> {
        let (mut found, mut changed) = (Vec::new(), Vec::new());
        let (mut failed, mut objects) = (None, false);
        for (write, outcome) in outcomes {
            match outcome {
                Outcome::Written(copy) => {
                    self.shared.counts.writes.add(1);
                    self.shared.counts.bytes.add(copy.data.len() as u64);
                    objects |= write.block.is_none();
                    self.keep(write.name, copy);
                }
                Outcome::Removed => {
                    objects = true;
                    self.forget(&write.name);
                }
                Outcome::Failed(failure) => {
                    if let Some(rest) = failure.retry_after {
                        self.rest = Some(Instant::now() + rest.min(LONGEST_REST));
                    }
                    failed = failed.or(Some((write.of, failure)));
                }
                Outcome::Changed(item) => {
                    changed.push(write.block);
                    found.push((write.name, Some(item)));
                }
                Outcome::Gone => {
                    changed.push(write.block);
                    found.push((write.name, None));
                }
            }
        }
        self.shared.counts.conflicts.add(changed.len() as u64);
        // Of a batch that fails the engine takes the objects back; those that were written stay.
        self.behind.everything |= failed.is_some() && objects || changed.contains(&None);
        self.absorb(found)?;
        if let Some((of, failure)) = failed {
            return Err(unwritten(&of, &failure).into());
        }
        if self.behind.everything {
            return Err(CommitError::Objects);
        }
        if changed.is_empty() {
            Ok(())
        } else {
            Err(CommitError::Conflict(changed.into_iter().flatten().collect()))
        }
    }
}

impl Ledger for KubeLedger {
    fn load(&mut self, state: &mut State) -> Result<(), LedgerError> {
        if self.loaded {
            self.fill(state);
        } else {
            self.read(state)?;
            self.loaded = true;
        }
        self.behind = Behind::default();
        Ok(())
    }

    fn commit(&mut self, state: &State, batch: &Batch) -> Result<(), CommitError> {
        self.check(state, batch)?;
        let writes = write::plan(state, batch, &self.copies).map_err(|(of, why)| unreadable(&of, why))?;
        let before = self.shared.heard().newest();
        let performed = self.runtime.block_on(write::perform(&self.api, writes));
        let outcomes = performed.map_err(|failure| unwritten(&Of::Ledger, &failure))?;
        let is_older = |(_, outcome): &(Write, Outcome)| matches!(outcome, Outcome::Written(copy) if copy.stamp.version <= before);
        if outcomes.iter().any(is_older) {
            self.shared.suspect();
        }
        self.settle(outcomes)
    }

    fn reload(&mut self, state: &mut State, blocks: &[(String, IpAddr)]) -> Result<(), LedgerError> {
        for block in blocks {
            let of = Of::Block { vrf: block.0.clone(), base: block.1 };
            let name = of.name();
            if let Some(copy) = self.copies.get(&name) {
                enter(state, &of, copy.content(&name));
            }
            self.behind.blocks.remove(block);
        }
        Ok(())
    }

    fn refresh(&mut self) -> Result<Stale, LedgerError> {
        if !self.read_only {
            self.look()?;
        }
        if self.behind.everything {
            return Ok(Stale::Everything);
        }
        Ok(Stale::Blocks(self.behind.blocks.iter().cloned().collect()))
    }
}

/// The object that was accepted, if it can be read.
fn accepted(of: &Of, content: Result<Content, Unreadable>) -> Option<Object> {
    match content.map(|content| content.body) {
        Ok(Body::Object(object)) => Some(*object),
        content => {
            let why = content.err().map(|why| why.to_string());
            tracing::error!(object = %of, why, "an object of the ledger cannot be read");
            None
        }
    }
}

/// Puts what was accepted, all together: that is how it was. Of a write that broke off between two objects only a part is here;
/// what then does not agree is put again by whoever declares it.
fn put_all(state: &mut State, objects: Vec<Object>) {
    for error in state.put_all(objects) {
        tracing::error!(%error, hint = error.hint, "an object that was accepted once is not in force");
    }
}

/// Puts what was read into a state. What cannot be read is closed, and said; the rest goes on (L2).
fn enter(state: &mut State, of: &Of, content: Result<Content, Unreadable>) {
    match (content.map(|content| content.body), of) {
        (Ok(Body::Ledger(epochs)), _) => state.recover(epochs.open()),
        (Ok(Body::Object(object)), _) => put_all(state, vec![*object]),
        (Ok(Body::Block { vrf, base, records }), _) => {
            for (offset, record) in records.iter() {
                if let Err(error) = state.load(&vrf, at(base, offset), record) {
                    return close(state, &vrf, base, &error);
                }
            }
        }
        (Err(why), Of::Block { vrf, base }) => close(state, vrf, *base, &why),
        (Err(why), Of::Object(_) | Of::Ledger) => {
            tracing::error!(object = %of, %why, "an object of the ledger cannot be read");
        }
    }
}

fn close(state: &mut State, vrf: &str, base: IpAddr, why: &dyn std::fmt::Display) {
    tracing::error!(
        vrf, %base, %why,
        "a block of the ledger cannot be read: none of its 256 addresses is given or freed"
    );
    if let Some(block) = state.block_of(vrf, base) {
        state.forget(block);
    }
    state.close(vrf, base);
}
