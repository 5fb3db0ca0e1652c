//! Between what is written and what core works with.

use std::net::IpAddr;

use allotment_core as core;

use super::{
    Dns, IPPoolSpec, Operator, Order, Owner, Requirement, ReservationSpec, Route, Selector, SubnetSpec,
};
use crate::{Address, Duration};

impl SubnetSpec {
    /// The subnet of this name.
    pub fn into_core(self, name: String) -> core::SubnetSpec {
        core::SubnetSpec {
            name,
            vrf: self.vrf,
            cidrs: self.cidrs,
            gateways: self.gateways.map(plain),
            exclude: self.exclude,
            within: Vec::new(),
            routes: self.routes.into_iter().map(Into::into).collect(),
            dns: self.dns.into(),
            mtu: self.mtu,
            cooling_ms: self.cooling.milliseconds,
            order: self.order.into(),
            namespaces: self.namespaces,
            namespace_selector: self.namespace_selector.map(Into::into),
            networks: self.networks,
            default: self.default,
            draining: false,
        }
    }

    /// What can be written of a subnet: all but `within` and `draining`, and `oldest` for the order that only implied subnets have.
    pub fn from_core(spec: &core::SubnetSpec) -> SubnetSpec {
        SubnetSpec {
            vrf: spec.vrf.clone(),
            cidrs: spec.cidrs.clone(),
            gateways: spec.gateways.as_deref().map(written),
            exclude: spec.exclude.clone(),
            routes: spec.routes.iter().map(Into::into).collect(),
            dns: (&spec.dns).into(),
            mtu: spec.mtu,
            cooling: Duration { milliseconds: spec.cooling_ms },
            order: spec.order.into(),
            namespaces: spec.namespaces.clone(),
            namespace_selector: spec.namespace_selector.as_ref().map(Into::into),
            networks: spec.networks.clone(),
            default: spec.default,
        }
    }
}

impl IPPoolSpec {
    /// The pool of this name.
    pub fn into_core(self, name: String) -> core::PoolSpec {
        core::PoolSpec {
            name,
            subnet: self.subnet,
            ranges: self.ranges,
            namespaces: self.namespaces,
            pod_selector: self.pod_selector.map(Into::into),
            namespace_selector: self.namespace_selector.map(Into::into),
            node_selector: self.node_selector.map(Into::into),
        }
    }

    pub fn from_core(spec: &core::PoolSpec) -> IPPoolSpec {
        IPPoolSpec {
            subnet: spec.subnet.clone(),
            ranges: spec.ranges.clone(),
            namespaces: spec.namespaces.clone(),
            pod_selector: spec.pod_selector.as_ref().map(Into::into),
            namespace_selector: spec.namespace_selector.as_ref().map(Into::into),
            node_selector: spec.node_selector.as_ref().map(Into::into),
        }
    }
}

impl ReservationSpec {
    /// The reservation of this name.
    pub fn into_core(self, name: String) -> core::ReservationSpec {
        let owner =
            self.owner.map(|Owner { kind, namespace, name, uid }| core::Owner { kind, namespace, name, uid });
        core::ReservationSpec {
            name,
            subnet: self.subnet,
            addresses: self.addresses,
            owner,
            reason: self.reason,
        }
    }

    pub fn from_core(spec: &core::ReservationSpec) -> ReservationSpec {
        let owner = spec.owner.clone();
        ReservationSpec {
            subnet: spec.subnet.clone(),
            addresses: spec.addresses.clone(),
            owner: owner.map(|core::Owner { kind, namespace, name, uid }| Owner {
                kind,
                namespace,
                name,
                uid,
            }),
            reason: spec.reason.clone(),
        }
    }
}

fn plain(addresses: Vec<Address>) -> Vec<IpAddr> {
    addresses.into_iter().map(|Address(address)| address).collect()
}

fn written(addresses: &[IpAddr]) -> Vec<Address> {
    addresses.iter().copied().map(Address).collect()
}

impl From<Route> for core::Route {
    fn from(route: Route) -> core::Route {
        core::Route { to: route.to, via: route.via.map(|Address(via)| via) }
    }
}

impl From<&core::Route> for Route {
    fn from(route: &core::Route) -> Route {
        Route { to: route.to, via: route.via.map(Address) }
    }
}

impl From<Dns> for core::Dns {
    fn from(dns: Dns) -> core::Dns {
        core::Dns {
            nameservers: plain(dns.nameservers),
            domain: dns.domain,
            search: dns.search,
            options: dns.options,
        }
    }
}

impl From<&core::Dns> for Dns {
    fn from(dns: &core::Dns) -> Dns {
        let core::Dns { nameservers, domain, search, options } = dns.clone();
        Dns { nameservers: written(&nameservers), domain, search, options }
    }
}

impl From<Order> for core::Order {
    fn from(order: Order) -> core::Order {
        match order {
            Order::Oldest => core::Order::Oldest,
            Order::Sequential => core::Order::Sequential,
            Order::Random => core::Order::Random,
        }
    }
}

impl From<core::Order> for Order {
    fn from(order: core::Order) -> Order {
        match order {
            core::Order::Oldest | core::Order::NextAfterLast => Order::Oldest,
            core::Order::Sequential => Order::Sequential,
            core::Order::Random => Order::Random,
        }
    }
}

impl From<Selector> for core::Selector {
    fn from(selector: Selector) -> core::Selector {
        let lines = selector.match_expressions.into_iter().map(|line| core::Requirement {
            key: line.key,
            operator: match line.operator {
                Operator::In => core::Operator::In,
                Operator::NotIn => core::Operator::NotIn,
                Operator::Exists => core::Operator::Exists,
                Operator::DoesNotExist => core::Operator::DoesNotExist,
            },
            values: line.values,
        });
        core::Selector { match_labels: selector.match_labels, match_expressions: lines.collect() }
    }
}

impl From<&core::Selector> for Selector {
    fn from(selector: &core::Selector) -> Selector {
        let lines = selector.match_expressions.iter().map(|line| Requirement {
            key: line.key.clone(),
            operator: match line.operator {
                core::Operator::In => Operator::In,
                core::Operator::NotIn => Operator::NotIn,
                core::Operator::Exists => Operator::Exists,
                core::Operator::DoesNotExist => Operator::DoesNotExist,
            },
            values: line.values.clone(),
        });
        Selector { match_labels: selector.match_labels.clone(), match_expressions: lines.collect() }
    }
}
