//! Address spaces in the states in which clusters leave them.

use std::collections::HashSet;

use allotment_core::{
    Attachment, Mac, MacWant, Object, Owner, Place, Release, ReleaseMode, Request, State, SubnetSpec, Target,
    Timestamp, Want,
};

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    /// Handed out in order, nothing released yet.
    Fresh,
    /// Filled, then released at random down to the number held.
    Holes,
    /// As `Holes`, and then twice as many pairs as it has addresses.
    Churned,
    /// A /12 churned as above.
    ChurnedMillion,
    /// An IPv6 /64.
    Wide,
}

pub(crate) struct Space {
    state: State,
    /// Address and number of the pod that holds it.
    held: Vec<(Place, u64)>,
    made: u64,
    seed: u64,
    now: u64,
    changed: Vec<Place>,
    /// What was allocated beside the state.
    before: usize,
}

/// Requests, and which of the held addresses each is followed by the release of.
pub(crate) struct Batch {
    pairs: Vec<(Request, usize, Release)>,
}

/// A generator that gives the same numbers in every run.
fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

fn uid(pod: u64) -> String {
    let mixed = pod.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        mixed >> 32,
        mixed >> 16 & 0xffff,
        mixed & 0xfff,
        pod & 0xfff,
        mixed >> 16
    )
}

/// The request of a pod as the controller makes it: namespace, name, uid, one interface with a MAC.
fn request(pod: u64) -> Request {
    let mut mac = [2; 6];
    mac[1..].copy_from_slice(&pod.to_be_bytes()[3..]);
    let owner = Owner {
        kind: "Pod".into(),
        namespace: format!("team-{}", pod % 40),
        name: format!("web-{:09x}-{:05x}", pod.wrapping_mul(2_654_435_761) & 0xf_ffff_ffff, pod & 0xf_ffff),
        uid: uid(pod),
    };
    let attachment = Attachment {
        holder: owner.uid.clone(),
        network: "telecom/macvlan-a".into(),
        interface: "net1".into(),
        node: format!("node-{}", pod % 100),
        ..Attachment::default()
    };
    let want = Want {
        attachment,
        targets: vec![Target::Subnet("s".into())],
        mac: Some(MacWant::Asked(Mac(mac))),
        ..Want::default()
    };
    Request { namespace: owner.namespace.clone(), owner, wants: vec![want], ..Request::default() }
}

impl Space {
    pub(crate) fn new(shape: Shape, held: usize) -> Space {
        let cidr = match shape {
            Shape::Wide => "fd00::/64",
            Shape::ChurnedMillion => "10.0.0.0/12",
            _ => "10.0.0.0/16",
        };
        let mut state = State::new();
        let spec = SubnetSpec { cooling_ms: 0, ..SubnetSpec::new("s", vec![cidr.parse().unwrap()]) };
        state.put(Object::Subnet(spec)).unwrap();
        let full = match shape {
            Shape::Fresh | Shape::Wide => held,
            Shape::ChurnedMillion => (1 << 20) - 3,
            Shape::Holes | Shape::Churned => (1 << 16) - 3,
        };
        let (held_now, changed) = (Vec::with_capacity(full + 1), Vec::with_capacity(8));
        let before = crate::memory::allocated();
        let mut space =
            Space { state, held: held_now, made: 0, seed: 88_172_645_463_325_252, now: 1, changed, before };
        for _ in 0..full {
            space.made += 1;
            space.give(&request(space.made));
        }
        while space.held.len() > held {
            let at = usize::try_from(random(&mut space.seed)).unwrap() % space.held.len();
            let release = space.release_of(at);
            space.take(at, &release);
        }
        if matches!(shape, Shape::Churned | Shape::ChurnedMillion) {
            for _ in 0..full * 2 / 1_000 {
                let batch = space.batch(1_000);
                space.run(&batch, false);
            }
        }
        space
    }

    /// Bytes allocated for the state's records, with their names and indexes.
    pub(crate) fn bytes(&self) -> usize {
        crate::memory::allocated() - self.before
    }

    /// Addresses with a record.
    pub(crate) fn records(&self) -> usize {
        self.state.len()
    }

    fn release_of(&self, at: usize) -> Release {
        let (place, pod) = self.held[at];
        Release::Address {
            vrf: "default".into(),
            address: place.address(),
            holder: uid(pod),
            mode: ReleaseMode::Cool,
            since: None,
        }
    }

    /// Pairs made ahead. Each releases an address that was held before the batch began. What is done here must touch
    /// little memory: it would push the state out of the processor's caches.
    pub(crate) fn batch(&mut self, pairs: usize) -> Batch {
        let mut chosen = HashSet::new();
        let pairs = (0..pairs).map(|_| {
            let at = loop {
                let at = usize::try_from(random(&mut self.seed)).unwrap() % self.held.len();
                if chosen.insert(at) {
                    break at;
                }
            };
            self.made += 1;
            (request(self.made), at, self.release_of(at))
        });
        Batch { pairs: pairs.collect() }
    }

    /// One pair after the other; `warmed`: as the engine does it, which knows its batch.
    pub(crate) fn run(&mut self, batch: &Batch, warmed: bool) {
        if warmed {
            self.state.warm_requests(batch.pairs.iter().map(|(request, ..)| request));
            self.state.warm_releases(batch.pairs.iter().map(|(.., release)| release));
        }
        for (request, at, release) in &batch.pairs {
            self.now += 1;
            self.changed.clear();
            let plan = self.state.plan(request, Timestamp(self.now)).unwrap();
            self.state.apply(&plan, &mut self.changed);
            let place = self.changed[0];
            self.state.release(release, Timestamp(self.now), &mut self.changed);
            assert_eq!(self.changed.len(), 2);
            self.held[*at] = (place, pod_of(request));
        }
    }

    fn give(&mut self, request: &Request) {
        self.changed.clear();
        let plan = self.state.plan(request, Timestamp(self.now)).unwrap();
        self.state.apply(&plan, &mut self.changed);
        self.held.push((self.changed[0], pod_of(request)));
    }

    fn take(&mut self, at: usize, release: &Release) {
        self.changed.clear();
        self.state.release(release, Timestamp(self.now), &mut self.changed);
        self.held.swap_remove(at);
    }
}

fn pod_of(request: &Request) -> u64 {
    let Some(MacWant::Asked(mac)) = &request.wants[0].mac else { return 0 };
    mac.0[1..].iter().fold(0, |pod, &byte| pod << 8 | u64::from(byte))
}
