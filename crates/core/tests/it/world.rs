//! A small world to write rules down in: `world.ask("web").on("rack-a").get()`.

use allotment_core::{
    Allocation, AllocationState, Asked, Attachment, FamilyWant, Grant, GrantEntry, Labels, MacWant, Object,
    ObjectError, ObjectKey, ObjectKind, Owner, Place, PoolSpec, Refusal, Release, ReleaseMode, Request,
    ReservationSpec, Selector, State, SubnetSpec, Target, Timestamp, Want,
};

use crate::check;

/// A state and its time, in milliseconds.
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) now: u64,
}

/// One request in the making.
pub(crate) struct Ask<'w> {
    world: &'w mut World,
    pub(crate) request: Request,
}

pub(crate) fn subnet(name: &str, cidrs: &[&str]) -> SubnetSpec {
    SubnetSpec::new(name, cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect())
}

pub(crate) fn pool(name: &str, subnet: &str, ranges: &[&str]) -> PoolSpec {
    PoolSpec {
        name: name.to_owned(),
        subnet: subnet.to_owned(),
        ranges: ranges.iter().map(|range| range.parse().unwrap()).collect(),
        namespaces: Vec::new(),
        pod_selector: None,
        namespace_selector: None,
        node_selector: None,
    }
}

pub(crate) fn reservation(
    name: &str,
    subnet: &str,
    addresses: &[&str],
    owner: Option<Owner>,
) -> ReservationSpec {
    ReservationSpec {
        name: name.to_owned(),
        subnet: subnet.to_owned(),
        addresses: addresses.iter().map(|range| range.parse().unwrap()).collect(),
        owner,
        reason: "kept".to_owned(),
    }
}

pub(crate) fn container(id: &str) -> Owner {
    Owner { kind: "Container".into(), namespace: String::new(), name: id.into(), uid: id.into() }
}

/// An owner that is the same under its name, whatever its uid.
pub(crate) fn stateful(name: &str) -> Owner {
    Owner { kind: "StatefulSet".into(), namespace: "shop".into(), name: name.into(), uid: "set".into() }
}

pub(crate) fn labels(labels: &[(&str, &str)]) -> Labels {
    labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

pub(crate) fn selector(pairs: &[(&str, &str)]) -> Selector {
    Selector { match_labels: labels(pairs), ..Selector::default() }
}

/// The addresses of one interface, joined by a blank.
pub(crate) fn ips(entry: &GrantEntry) -> String {
    entry.ips.iter().map(|ip| ip.address.to_string()).collect::<Vec<_>>().join(" ")
}

impl World {
    pub(crate) fn new(subnets: impl IntoIterator<Item = SubnetSpec>) -> World {
        let mut world = World { state: State::new(), now: 1_000_000 };
        for subnet in subnets {
            world.state.put(Object::Subnet(subnet)).unwrap();
        }
        world
    }

    /// A request of a container with one interface, `eth0` on network `net`.
    pub(crate) fn ask(&mut self, id: &str) -> Ask<'_> {
        let attachment = Attachment {
            holder: id.into(),
            container_id: id.into(),
            network: "net".into(),
            interface: "eth0".into(),
            ..Attachment::default()
        };
        let wants = vec![Want { attachment, ..Want::default() }];
        Ask { world: self, request: Request { owner: container(id), wants, ..Request::default() } }
    }

    pub(crate) fn grant(&mut self, request: &Request) -> Result<Grant, Refusal> {
        let plan = self.state.plan(request, Timestamp(self.now))?;
        let planned: Vec<Place> = plan.places().collect();
        let mut changed = Vec::new();
        self.state.apply(&plan, &mut changed);
        assert!(changed.iter().all(|place| planned.contains(place)), "only what was planned changes");
        let grant = self.state.grant(&plan);
        check::check(&self.state, Timestamp(self.now));
        let again = self.state.plan(request, Timestamp(self.now)).expect("what was granted is granted again");
        assert_eq!(self.state.grant(&again).entries.len(), grant.entries.len());
        for (first, second) in grant.entries.iter().zip(self.state.grant(&again).entries) {
            assert_eq!((ips(first), first.mac), (ips(&second), second.mac), "the same answer again");
        }
        let mut changed = Vec::new();
        self.state.apply(&again, &mut changed);
        assert_eq!(changed, [], "asking again changes nothing");
        Ok(grant)
    }

    pub(crate) fn put(&mut self, object: Object) -> Result<(), ObjectError> {
        let result = self.state.put(object);
        check::check(&self.state, Timestamp(self.now));
        result
    }

    pub(crate) fn put_all(&mut self, objects: Vec<Object>) -> Vec<ObjectError> {
        let errors = self.state.put_all(objects);
        check::check(&self.state, Timestamp(self.now));
        errors
    }

    pub(crate) fn remove(&mut self, kind: ObjectKind, name: &str) -> Result<bool, ObjectError> {
        let result = self.state.remove(&ObjectKey { kind, name: name.to_owned() });
        check::check(&self.state, Timestamp(self.now));
        result
    }

    /// What a process that was started anew would know.
    pub(crate) fn restart(&mut self) {
        let fresh = check::restarted(&self.state);
        assert_eq!(check::all(&fresh), check::all(&self.state));
        self.state = fresh;
        check::check(&self.state, Timestamp(self.now));
    }

    /// CNI DEL of `eth0`; returns how many addresses changed.
    pub(crate) fn del(&mut self, id: &str) -> usize {
        let network = Some("net".to_owned());
        self.release(&Release::Interface { container_id: id.into(), interface: "eth0".into(), network })
    }

    /// Proof came that the holder of an address has ended, and the address is kept for its owner.
    pub(crate) fn keep(&mut self, address: &str, holder: &str) {
        let (vrf, mode, since) = ("default".to_owned(), ReleaseMode::Keep, None);
        let release =
            Release::Address { vrf, address: address.parse().unwrap(), holder: holder.into(), mode, since };
        self.release(&release);
        assert_eq!(self.state_of(address), Some(AllocationState::Reserved));
    }

    /// Returns how many addresses changed, as people see them.
    pub(crate) fn release(&mut self, release: &Release) -> usize {
        let before = check::all(&self.state);
        let mut changed = Vec::new();
        self.state.release(release, Timestamp(self.now), &mut changed);
        check::check(&self.state, Timestamp(self.now));
        let all = check::all(&self.state);
        let written =
            |known: &&Allocation| changed.iter().any(|place| self.state.at(*place).as_ref() == Some(*known));
        let others: Vec<&Allocation> = all.iter().filter(|known| !before.contains(known)).collect();
        assert!(others.iter().all(written), "whatever changes is written");
        others.len()
    }

    pub(crate) fn at(&self, address: &str) -> Option<Allocation> {
        self.state.allocation("default", address.parse().unwrap())
    }

    pub(crate) fn state_of(&self, address: &str) -> Option<AllocationState> {
        self.at(address).map(|allocation| allocation.state)
    }
}

impl Ask<'_> {
    pub(crate) fn want(&mut self) -> &mut Want {
        self.request.wants.last_mut().unwrap()
    }

    pub(crate) fn on(mut self, subnet: &str) -> Self {
        self.want().targets.push(Target::Subnet(subnet.into()));
        self
    }

    pub(crate) fn pool(mut self, pool: &str) -> Self {
        self.want().targets.push(Target::Pool(pool.into()));
        self
    }

    pub(crate) fn ip(mut self, ips: &[&str]) -> Self {
        self.want().ips = Asked::Each(ips.iter().map(|ip| ip.parse().unwrap()).collect());
        self
    }

    pub(crate) fn one_of(mut self, ips: &[&str]) -> Self {
        self.want().ips = Asked::OneOf(ips.iter().map(|ip| ip.parse().unwrap()).collect());
        self
    }

    pub(crate) fn mac(mut self, mac: &str) -> Self {
        self.want().mac = Some(MacWant::Asked(mac.parse().unwrap()));
        self
    }

    pub(crate) fn family(mut self, family: FamilyWant) -> Self {
        self.want().family = family;
        self
    }

    pub(crate) fn owner(mut self, owner: Owner) -> Self {
        self.request.owner = owner;
        self
    }

    /// A pod of a Deployment.
    pub(crate) fn replica(mut self, deployment: &str, name: &str) -> Self {
        let pod = Owner { kind: "Pod".into(), namespace: "shop".into(), name: name.into(), uid: name.into() };
        self.request.siblings = format!("{deployment}-");
        self.owner(pod)
    }

    /// In the name of somebody who was to be told what was given.
    pub(crate) fn firm(mut self) -> Self {
        self.request.firm = true;
        self
    }

    pub(crate) fn namespace(mut self, namespace: &str) -> Self {
        self.request.namespace = namespace.into();
        self
    }

    pub(crate) fn pod_labels(mut self, pairs: &[(&str, &str)]) -> Self {
        self.request.pod_labels = labels(pairs);
        self
    }

    pub(crate) fn namespace_labels(mut self, pairs: &[(&str, &str)]) -> Self {
        self.request.namespace_labels = labels(pairs);
        self
    }

    pub(crate) fn node_labels(mut self, pairs: &[(&str, &str)]) -> Self {
        self.request.node_labels = labels(pairs);
        self
    }

    /// On this network instead of `net`.
    pub(crate) fn network(mut self, network: &str) -> Self {
        self.want().attachment.network = network.into();
        self
    }

    /// The pod that uses it, where that is not the container itself.
    pub(crate) fn holder(mut self, holder: &str) -> Self {
        self.want().attachment.holder = holder.into();
        self
    }

    /// One interface more, on a network of its own; what follows is about that one.
    pub(crate) fn and(mut self, network: &str, interface: &str) -> Self {
        let first = &self.request.wants[0].attachment;
        let attachment = Attachment { network: network.into(), interface: interface.into(), ..first.clone() };
        self.request.wants.push(Want { attachment, ..Want::default() });
        self
    }

    pub(crate) fn grant(self) -> Result<Grant, Refusal> {
        self.world.grant(&self.request)
    }

    pub(crate) fn refusal(self) -> Refusal {
        self.grant().expect_err("it should have been refused")
    }

    /// What one interface was given, in full.
    pub(crate) fn entry(self) -> GrantEntry {
        self.grant().unwrap().entries.remove(0)
    }

    /// The addresses given, joined by a blank; or the refusal's code.
    pub(crate) fn get(self) -> String {
        match self.grant() {
            Ok(grant) => grant.entries.iter().map(ips).collect::<Vec<_>>().join(" + "),
            Err(refusal) => refusal.code.as_str().to_owned(),
        }
    }
}
