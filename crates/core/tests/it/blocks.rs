//! How many blocks a batch touches (C1): every one of them is a write of the ledger.

use std::collections::{BTreeSet, VecDeque};

use allotment_core::{
    Attachment, BlockId, Mac, MacWant, Object, Owner, Place, Release, ReleaseMode, Request, State, Target,
    Timestamp, Want,
};

use crate::world::subnet;

const FULL: usize = 65_533;
const HELD: usize = 58_979;
const SEED: u64 = 88_172_645_463_325_252;

/// The same numbers in every run.
fn random(seed: &mut u64, below: usize) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    usize::try_from(*seed).unwrap() % below
}

/// A /16 in which pods come and go at random.
struct Churned {
    state: State,
    held: Vec<(Place, u64)>,
    pods: u64,
    seed: u64,
}

impl Churned {
    fn new() -> Churned {
        let mut spec = subnet("s", &["10.0.0.0/16"]);
        spec.cooling_ms = 0;
        let mut state = State::new();
        state.put(Object::Subnet(spec)).unwrap();
        let mut churned = Churned { state, held: Vec::new(), pods: 0, seed: SEED };
        for _ in 0..FULL {
            churned.ask();
        }
        while churned.held.len() > HELD {
            churned.end_any();
        }
        for _ in 0..FULL {
            churned.ask();
            churned.end_any();
        }
        churned
    }

    fn ask(&mut self) -> Place {
        self.pods += 1;
        let uid = format!("pod-{}", self.pods);
        let attachment = Attachment {
            holder: uid.clone(),
            network: "net".into(),
            interface: "eth0".into(),
            ..Attachment::default()
        };
        let owner = Owner { kind: "Pod".into(), namespace: "shop".into(), name: uid.clone(), uid };
        let targets = vec![Target::Subnet("s".into())];
        let [.., a, b, c, d] = self.pods.to_be_bytes();
        let mac = Some(MacWant::Asked(Mac([2, 0, a, b, c, d])));
        let wants = vec![Want { attachment, targets, mac, ..Want::default() }];
        let request = Request { owner, wants, ..Request::default() };
        let mut changed = Vec::new();
        let plan = self.state.plan(&request, Timestamp(self.pods)).unwrap();
        self.state.apply(&plan, &mut changed);
        self.held.push((changed[0], self.pods));
        changed[0]
    }

    fn end_any(&mut self) {
        let at = random(&mut self.seed, self.held.len());
        let (place, pod) = self.held.swap_remove(at);
        let release = Release::Address {
            vrf: "default".into(),
            address: place.address(),
            holder: format!("pod-{pod}"),
            mode: ReleaseMode::Cool,
            since: None,
        };
        let mut changed = Vec::new();
        self.state.release(&release, Timestamp(self.pods), &mut changed);
        assert_eq!(changed, [place]);
    }
}

/// The same comings and goings where the address that is free for longest is taken, wherever it lies.
fn by_address() -> BTreeSet<usize> {
    let mut seed = SEED;
    let mut held: Vec<usize> = (0..FULL).collect();
    let mut free = VecDeque::new();
    while held.len() > HELD {
        free.push_back(held.swap_remove(random(&mut seed, held.len())));
    }
    for _ in 0..FULL {
        held.extend(free.pop_front());
        free.push_back(held.swap_remove(random(&mut seed, held.len())));
    }
    free.range(..64).map(|address| address / 256).collect()
}

#[test]
fn a_batch_on_a_churned_subnet_touches_few_blocks() {
    let mut churned = Churned::new();
    let ours: BTreeSet<BlockId> = (0..64).map(|_| churned.ask().block()).collect();
    assert_eq!(ours.len(), 2, "drained block by block");
    assert_eq!(by_address().len(), 56, "address by address");
}
