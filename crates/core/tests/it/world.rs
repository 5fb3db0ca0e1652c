//! A small world to write rules down in: `world.ask("web").on("rack-a").get()`.

use allotment_core::{
    Allocation, AllocationState, Asked, Attachment, FamilyWant, Grant, MacWant, Object, Owner, Place,
    PoolSpec, Refusal, Release, Request, ReservationSpec, State, SubnetSpec, Target, Timestamp, Want,
};

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
        self.state.assert_consistent();
        Ok(grant)
    }

    /// CNI DEL of `eth0`; returns how many addresses changed.
    pub(crate) fn del(&mut self, id: &str) -> usize {
        let network = Some("net".to_owned());
        self.release(&Release::Interface { container_id: id.into(), interface: "eth0".into(), network })
    }

    pub(crate) fn release(&mut self, release: &Release) -> usize {
        let mut changed = Vec::new();
        self.state.release(release, Timestamp(self.now), &mut changed);
        self.state.assert_consistent();
        changed.len()
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
        &mut self.request.wants[0]
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

    pub(crate) fn namespace(mut self, namespace: &str) -> Self {
        self.request.namespace = namespace.into();
        self
    }

    pub(crate) fn grant(self) -> Result<Grant, Refusal> {
        self.world.grant(&self.request)
    }

    /// The addresses given, joined by a blank; or the refusal's code.
    pub(crate) fn get(self) -> String {
        match self.grant() {
            Ok(grant) => {
                let ips: Vec<String> = grant.entries[0].ips.iter().map(|ip| ip.address.to_string()).collect();
                ips.join(" ")
            }
            Err(refusal) => refusal.code.as_str().to_owned(),
        }
    }
}
