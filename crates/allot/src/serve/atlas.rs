//! Which subnet, pool and reservation an address lies in: a copy of the objects, so that long answers are put together
//! outside of the engine.

use std::collections::BTreeMap;
use std::net::IpAddr;

use allotment_core::{Family, IpRange, Object, PoolSpec, ReservationSpec, SubnetSpec};
use allotment_engine::{EngineError, Handle};

#[derive(Default)]
pub(crate) struct Atlas {
    subnets: BTreeMap<String, Region>,
    /// By VRF, then by the CIDR's first address: subnets of a VRF never overlap.
    places: BTreeMap<String, BTreeMap<IpAddr, String>>,
}

/// A subnet with what lies in it.
pub(crate) struct Region {
    pub(crate) subnet: SubnetSpec,
    pub(crate) pools: Vec<PoolSpec>,
    pub(crate) reservations: Vec<ReservationSpec>,
}

/// What an address without a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground<'a> {
    /// Of no subnet.
    Outside,
    Gateway,
    /// The network or the broadcast address.
    Edge,
    /// Set aside.
    Reserved(&'a ReservationSpec),
    /// Only by asking for it by name.
    Excluded,
    Free,
}

impl Atlas {
    /// Copies the objects out of the engine.
    pub(crate) async fn read(handle: &Handle) -> Result<Atlas, EngineError> {
        let objects: Vec<Object> = handle.read(|state, _| state.objects().collect()).await?;
        Ok(objects.into_iter().collect())
    }

    /// By the names of their subnets.
    pub(crate) fn regions(&self) -> impl Iterator<Item = &Region> {
        self.subnets.values()
    }

    pub(crate) fn region(&self, subnet: &str) -> Option<&Region> {
        self.subnets.get(subnet)
    }

    pub(crate) fn vrfs(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// The subnet an address lies in.
    pub(crate) fn locate(&self, vrf: &str, address: IpAddr) -> Option<&Region> {
        let (_, name) = self.places.get(vrf)?.range(..=address).next_back()?;
        let region = self.subnets.get(name)?;
        region.subnet.cidrs.iter().any(|cidr| cidr.contains(address)).then_some(region)
    }
}

impl FromIterator<Object> for Atlas {
    /// Subnets come before what lies in them, as [`allotment_core::State::objects`] has them.
    fn from_iter<I: IntoIterator<Item = Object>>(objects: I) -> Atlas {
        let mut atlas = Atlas::default();
        for object in objects {
            match object {
                Object::Subnet(subnet) => {
                    let places = atlas.places.entry(subnet.vrf.clone()).or_default();
                    places.extend(subnet.cidrs.iter().map(|cidr| (cidr.first(), subnet.name.clone())));
                    let region = Region { subnet, pools: Vec::new(), reservations: Vec::new() };
                    atlas.subnets.insert(region.subnet.name.clone(), region);
                }
                Object::IPPool(pool) => {
                    if let Some(region) = atlas.subnets.get_mut(&pool.subnet) {
                        region.pools.push(pool);
                    }
                }
                Object::Reservation(reservation) => {
                    if let Some(region) = atlas.subnets.get_mut(&reservation.subnet) {
                        region.reservations.push(reservation);
                    }
                }
            }
        }
        atlas
    }
}

impl Region {
    pub(crate) fn pool(&self, address: IpAddr) -> Option<&PoolSpec> {
        self.pools.iter().find(|pool| pool.ranges.iter().any(|range| range.contains(address)))
    }

    /// How many addresses of a family Reservations set aside; of a pool's, where one is given.
    pub(crate) fn set_aside(&self, family: Family, pool: Option<&PoolSpec>) -> u128 {
        let reserved = self.reservations.iter().flat_map(|reservation| &reservation.addresses);
        let parts = reserved.filter(|range| range.family() == family).flat_map(|range| match pool {
            None => vec![*range],
            Some(pool) => pool.ranges.iter().filter_map(|part| common(part, range)).collect(),
        });
        parts.fold(0, |sum, range| sum.saturating_add(range.count()))
    }

    /// What an address of this subnet is while nobody has it.
    pub(crate) fn ground(&self, address: IpAddr) -> Ground<'_> {
        let subnet = &self.subnet;
        let Some(cidr) = subnet.cidrs.iter().find(|cidr| cidr.contains(address)) else {
            return Ground::Outside;
        };
        if subnet.gateway(Family::of(address)) == Some(address) {
            return Ground::Gateway;
        }
        let broadcast = address.is_ipv4() && address == cidr.last();
        if cidr.has_edges() && (address == cidr.first() || broadcast) {
            return Ground::Edge;
        }
        let holds = |ranges: &[allotment_core::IpRange]| ranges.iter().any(|range| range.contains(address));
        if let Some(reservation) = self.reservations.iter().find(|reservation| holds(&reservation.addresses))
        {
            return Ground::Reserved(reservation);
        }
        if holds(&subnet.exclude) || (!subnet.within.is_empty() && !holds(&subnet.within)) {
            return Ground::Excluded;
        }
        Ground::Free
    }
}

/// The addresses that are in both.
fn common(a: &IpRange, b: &IpRange) -> Option<IpRange> {
    let first = a.first().max(b.first());
    IpRange::new(first, a.last().min(b.last())).ok().filter(|both| a.contains(both.first()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_aside_is_counted() {
        let atlas = atlas();
        let rack = atlas.region("rack-a").unwrap();
        assert_eq!(rack.set_aside(Family::V4, None), 1);
        assert_eq!(rack.set_aside(Family::V6, None), 0);
        assert_eq!(rack.set_aside(Family::V4, rack.pools.first()), 1, "10.40.0.77 is in the pool");
        let mut pool = rack.pools[0].clone();
        for (range, count) in [("10.40.0.64/29", 0), ("10.40.0.77-10.40.0.99", 1), ("fd00::/64", 0)] {
            pool.ranges = vec![range.parse().unwrap()];
            assert_eq!(rack.set_aside(Family::V4, Some(&pool)), count, "{range}");
        }
    }

    fn atlas() -> Atlas {
        let mut rack =
            SubnetSpec::new("rack-a", vec!["10.40.0.0/24".parse().unwrap(), "fd00::/64".parse().unwrap()]);
        rack.exclude = vec!["10.40.0.2-10.40.0.9".parse().unwrap()];
        let mut blue = SubnetSpec::new("blue", vec!["10.40.0.0/24".parse().unwrap()]);
        blue.vrf = "blue".to_owned();
        blue.gateways = Some(Vec::new());
        let printer = ReservationSpec {
            name: "printer".to_owned(),
            subnet: "rack-a".to_owned(),
            addresses: vec!["10.40.0.77".parse().unwrap()],
            owner: None,
            reason: "the printer".to_owned(),
        };
        let pool = PoolSpec {
            name: "db".to_owned(),
            subnet: "rack-a".to_owned(),
            ranges: vec!["10.40.0.64/28".parse().unwrap()],
            namespaces: Vec::new(),
            pod_selector: None,
            namespace_selector: None,
            node_selector: None,
        };
        [Object::Subnet(rack), Object::Subnet(blue), Object::IPPool(pool), Object::Reservation(printer)]
            .into_iter()
            .collect()
    }

    #[test]
    fn what_an_address_is() {
        let atlas = atlas();
        let check = |vrf: &str, address: &str, expect: &str| {
            let address = address.parse().unwrap();
            let ground = atlas.locate(vrf, address).map_or(Ground::Outside, |region| region.ground(address));
            let text = format!("{ground:?}");
            assert_eq!(text.split(['(', ' ']).next(), Some(expect), "{vrf} {address}");
        };
        check("default", "10.40.0.0", "Edge");
        check("default", "10.40.0.1", "Gateway");
        check("default", "10.40.0.2", "Excluded");
        check("default", "10.40.0.10", "Free");
        check("default", "10.40.0.77", "Reserved");
        check("default", "10.40.0.255", "Edge");
        check("default", "10.40.1.0", "Outside");
        check("default", "10.39.255.255", "Outside");
        check("default", "fd00::", "Edge");
        check("default", "fd00::1", "Gateway");
        check("default", "fd00::ffff:ffff:ffff:ffff", "Free");
        check("default", "fd00:0:0:1::", "Outside");
        check("blue", "10.40.0.1", "Free");
        check("green", "10.40.0.1", "Outside");
    }

    #[test]
    fn pools_are_found() {
        let atlas = atlas();
        let pool = |address: &str| {
            let address = address.parse().unwrap();
            atlas
                .locate("default", address)
                .and_then(|region| region.pool(address))
                .map(|pool| pool.name.as_str())
        };
        assert_eq!(pool("10.40.0.79"), Some("db"));
        assert_eq!(pool("10.40.0.80"), None);
    }
}
