//! A state and its ledger, driven without an engine.

use allotment_core::{
    Allocation, Attachment, Grant, Object, Owner, Refusal, Release, Request, State, SubnetSpec, Target,
    Timestamp, Want,
};

use crate::{Batch, CommitError, Ledger, LedgerError};

/// See the module. Each change is one commit.
pub struct World<L> {
    pub state: State,
    pub ledger: L,
    /// Moves on by a second with each change.
    pub now: Timestamp,
}

/// Everything that a ledger keeps, in an order of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub objects: Vec<Object>,
    pub allocations: Vec<Allocation>,
}

impl Content {
    pub fn of(state: &State) -> Content {
        let places = state.blocks().flat_map(|block| state.places(block));
        let mut allocations: Vec<Allocation> = places.filter_map(|place| state.at(place)).collect();
        allocations.sort_by(|a, b| (&a.vrf, a.address).cmp(&(&b.vrf, b.address)));
        Content { objects: state.objects().collect(), allocations }
    }

    /// Compares without printing a million allocations.
    ///
    /// # Panics
    /// When they differ: with the first difference.
    #[track_caller]
    pub fn assert_same(&self, expected: &Content, what: &str) {
        assert_eq!(self.objects, expected.objects, "{what}");
        for (found, expected) in self.allocations.iter().zip(&expected.allocations) {
            assert_eq!(found, expected, "{what}");
        }
        assert_eq!(self.allocations.len(), expected.allocations.len(), "{what}");
    }
}

impl<L: Ledger> World<L> {
    /// Loads what the ledger has.
    pub fn load(mut ledger: L) -> Result<World<L>, LedgerError> {
        let mut state = State::new();
        state.begin_loading();
        ledger.load(&mut state)?;
        state.settle();
        state.assert_consistent();
        let now = state.newest();
        Ok(World { state, ledger, now })
    }

    pub fn content(&self) -> Content {
        Content::of(&self.state)
    }

    /// Puts an object.
    ///
    /// # Panics
    /// When the rules refuse it.
    pub fn put(&mut self, object: Object) -> Result<(), CommitError> {
        self.change(|state, batch| {
            batch.objects.push((object.key(), Some(object.clone())));
            state.put(object).expect("the checks put objects that are well");
        })
    }

    /// Removes an object that is there.
    ///
    /// # Panics
    /// When the rules refuse it.
    pub fn remove(&mut self, object: &Object) -> Result<(), CommitError> {
        let key = object.key();
        self.change(|state, batch| {
            assert_eq!(state.remove(&key), Ok(true));
            batch.objects.push((key, None));
        })
    }

    /// Allocates for all of these in one commit.
    pub fn allocate(&mut self, requests: &[Request]) -> Result<Vec<Result<Grant, Refusal>>, CommitError> {
        self.change(|state, batch| {
            let one = |request| {
                let plan = state.plan(request, batch.at)?;
                state.apply(&plan, &mut batch.places);
                Ok(state.grant(&plan))
            };
            requests.iter().map(one).collect()
        })
    }

    /// Releases all of these in one commit.
    pub fn release(&mut self, releases: &[Release]) -> Result<(), CommitError> {
        self.change(|state, batch| {
            for release in releases {
                state.release(release, batch.at, &mut batch.places);
            }
        })
    }

    /// Changes the state and commits.
    pub fn change<T>(&mut self, change: impl FnOnce(&mut State, &mut Batch) -> T) -> Result<T, CommitError> {
        self.now = self.now.plus(1000);
        let mut batch = Batch { at: self.now, ..Batch::default() };
        let outcome = change(&mut self.state, &mut batch);
        self.ledger.commit(&self.state, &batch)?;
        Ok(outcome)
    }
}

/// A subnet with every other field at its default, except that nothing cools in it.
///
/// # Panics
/// When a text is no CIDR.
pub fn subnet(name: &str, vrf: &str, cidrs: &[&str]) -> Object {
    let cidrs = cidrs.iter().map(|cidr| cidr.parse().expect("the checks write CIDRs well")).collect();
    Object::Subnet(SubnetSpec { vrf: vrf.to_owned(), cooling_ms: 0, ..SubnetSpec::new(name, cidrs) })
}

/// The request of pod `n` for an address of a subnet.
pub fn pod(n: u64, subnet: &str) -> Request {
    let uid = format!("7c9e6679-7425-40de-944b-{n:012x}");
    Request {
        owner: Owner {
            kind: "Pod".to_owned(),
            namespace: "shop".to_owned(),
            name: format!("cart-{n}"),
            uid: uid.clone(),
        },
        namespace: "shop".to_owned(),
        wants: vec![Want {
            attachment: Attachment {
                holder: uid,
                container_id: format!("sandbox-{n}"),
                network: "net-a".to_owned(),
                interface: "eth0".to_owned(),
                ..Attachment::default()
            },
            targets: vec![Target::Subnet(subnet.to_owned())],
            ..Want::default()
        }],
        ..Request::default()
    }
}

/// CNI DEL of what [`pod`] asked for.
pub fn ended(n: u64) -> Release {
    Release::Interface { container_id: format!("sandbox-{n}"), interface: "eth0".to_owned(), network: None }
}
