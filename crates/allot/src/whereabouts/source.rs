//! What Whereabouts 0.9 has written: its pools, its reservations, and the networks that use it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use allotment_cluster::{NetworkAttachmentDefinition, Pod};
use allotment_core::{Cidr, Family};
use kube::ResourceExt;
use serde::Deserialize;
use serde_json::Value;

use crate::failure::Failure;

/// Everything of a cluster that matters here.
#[derive(Default)]
pub(super) struct Source {
    pub(super) pools: Vec<Pool>,
    /// Addresses of `OverlappingRangeIPReservation`s.
    pub(super) singles: Vec<Single>,
    pub(super) networks: Vec<NetworkAttachmentDefinition>,
    /// By namespace and name.
    pub(super) pods: BTreeMap<(String, String), Pod>,
    nodes: BTreeSet<String>,
}

/// An `IPPool` of Whereabouts: a range, and who has which of its addresses.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) cidr: Cidr,
    /// What the places count from.
    first: IpAddr,
    /// The range, as it stands in the object's name.
    range: String,
    entries: BTreeMap<String, Entry>,
}

/// An `OverlappingRangeIPReservation`.
#[derive(Debug)]
pub(super) struct Single {
    name: String,
    entry: Entry,
}

/// Who has an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    /// `namespace/name`.
    pub(super) podref: String,
    /// Empty in what older versions wrote.
    pub(super) ifname: String,
}

/// An address that Whereabouts has given, in the network whose addresses it is unique among; empty: in none of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Given {
    pub(super) network: String,
    pub(super) address: IpAddr,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PoolSpec {
    range: String,
    allocations: BTreeMap<String, Entry>,
}

impl Source {
    /// Takes in an object as an API server or a file has it, or a list of them; what is of no use here is passed over.
    pub(super) fn add(&mut self, object: Value) -> Result<(), Failure> {
        let text = |field: &Value| field.as_str().unwrap_or_default().to_owned();
        let group = text(&object["apiVersion"]);
        let group = group.split_once('/').map_or("", |(group, _)| group);
        let name = text(&object["metadata"]["name"]);
        match (group, text(&object["kind"]).as_str()) {
            ("", "List") => {
                let Value::Array(items) = object["items"].clone() else { return Ok(()) };
                items.into_iter().try_for_each(|item| self.add(item))?;
            }
            ("whereabouts.cni.cncf.io", "IPPool") => {
                let spec: PoolSpec = read("IPPool", &name, object["spec"].clone())?;
                self.pools.push(Pool::new(name, spec)?);
            }
            ("whereabouts.cni.cncf.io", "OverlappingRangeIPReservation") => {
                let entry = read("OverlappingRangeIPReservation", &name, object["spec"].clone())?;
                self.singles.push(Single { name, entry });
            }
            ("k8s.cni.cncf.io", "NetworkAttachmentDefinition") => {
                self.networks.push(read("NetworkAttachmentDefinition", &name, object)?);
            }
            ("", "Pod") => {
                let pod: Pod = read("Pod", &name, object)?;
                self.nodes.insert(pod.spec.node_name.clone());
                self.pods.insert((pod.namespace().unwrap_or_default(), name), pod);
            }
            ("", "Node") => drop(self.nodes.insert(name)),
            _ => {}
        }
        Ok(())
    }

    /// Everything that was given, each once. An address that two have is with the first, and in `twice`.
    pub(super) fn given(&self) -> (BTreeMap<Given, Entry>, Vec<String>) {
        let mut given: BTreeMap<Given, Entry> = BTreeMap::new();
        let mut twice = Vec::new();
        let pooled = self.pools.iter().flat_map(|pool| {
            let network = pool.network(&self.nodes);
            pool.addresses().map(move |(address, entry)| (network.clone(), address, entry))
        });
        for (network, address, entry) in pooled {
            let key = Given { network, address };
            match given.get(&key) {
                Some(other) if other.podref != entry.podref => {
                    twice.push(format!("{address} is given to {} and to {}", other.podref, entry.podref));
                }
                _ => drop(given.insert(key, entry.clone())),
            }
        }
        let networks: BTreeSet<String> = self.pools.iter().map(|pool| pool.network(&self.nodes)).collect();
        for Single { name, entry } in &self.singles {
            if let Some(key) = single(name, &networks) {
                given.entry(key).or_insert_with(|| entry.clone());
            }
        }
        (given, twice)
    }

    /// The network that a pool's addresses are unique among.
    pub(super) fn network_of(&self, pool: &Pool) -> String {
        pool.network(&self.nodes)
    }
}

impl Pool {
    fn new(name: String, spec: PoolSpec) -> Result<Pool, Failure> {
        let wrong = || {
            Failure::unable(
                format!("IPPool `{name}` of Whereabouts has `{}` as its range", spec.range),
                "correct or delete that object",
            )
        };
        let (first, prefix) = spec.range.split_once('/').ok_or_else(wrong)?;
        let first: IpAddr = first.parse().map_err(|_| wrong())?;
        let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
        if prefix > Family::of(first).bits() {
            return Err(wrong());
        }
        let range = spec.range.replace([':', '/'], "-");
        Ok(Pool { name, cidr: Cidr::containing(first, prefix), first, range, entries: spec.allocations })
    }

    /// The object is called `[network-][node-]range`.
    fn network(&self, nodes: &BTreeSet<String>) -> String {
        let prefix = self.name.strip_suffix(&self.range).unwrap_or_default();
        let prefix = prefix.strip_suffix('-').unwrap_or_default();
        if nodes.contains(prefix) {
            return String::new();
        }
        let mut node = nodes.iter().filter(|node| !node.is_empty());
        let network = node.find_map(|node| prefix.strip_suffix(node)?.strip_suffix('-'));
        network.unwrap_or(prefix).to_owned()
    }

    fn addresses(&self) -> impl Iterator<Item = (IpAddr, &Entry)> {
        self.entries.iter().filter_map(|(offset, entry)| {
            let offset: u64 = offset.parse().ok()?;
            let address = match self.first {
                IpAddr::V4(first) => {
                    IpAddr::V4(u32::from(first).checked_add(u32::try_from(offset).ok()?)?.into())
                }
                IpAddr::V6(first) => IpAddr::V6(u128::from(first).checked_add(u128::from(offset))?.into()),
            };
            Some((address, entry))
        })
    }
}

/// `[network-]address`, with `-` for `:`.
fn single(name: &str, networks: &BTreeSet<String>) -> Option<Given> {
    let address =
        |text: &str| -> Option<IpAddr> { text.parse().ok().or_else(|| text.replace('-', ":").parse().ok()) };
    let mut named = networks.iter().filter(|network| !network.is_empty()).filter_map(|network| {
        let address = address(name.strip_prefix(network.as_str())?.strip_prefix('-')?)?;
        Some(Given { network: network.clone(), address })
    });
    named.next_back().or_else(|| Some(Given { network: String::new(), address: address(name)? }))
}

fn read<T: serde::de::DeserializeOwned>(kind: &str, name: &str, value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| {
        Failure::unable(format!("{kind} `{name}` cannot be read: {error}"), "correct or delete that object")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pool(name: &str, range: &str, entries: &[(&str, &str)]) -> Value {
        let entries: BTreeMap<&str, Value> = entries
            .iter()
            .map(|(offset, pod)| (*offset, json!({"id": "c", "podref": pod, "ifname": "net1"})))
            .collect();
        json!({"apiVersion": "whereabouts.cni.cncf.io/v1alpha1", "kind": "IPPool", "metadata": {"name": name},
               "spec": {"range": range, "allocations": entries}})
    }

    fn single_of(name: &str, pod: &str) -> Value {
        json!({"apiVersion": "whereabouts.cni.cncf.io/v1alpha1", "kind": "OverlappingRangeIPReservation",
               "metadata": {"name": name}, "spec": {"podref": pod}})
    }

    /// Network, address and pod of all that was given.
    fn given(objects: &[Value]) -> Vec<String> {
        let mut source = Source::default();
        source.add(json!({"apiVersion": "v1", "kind": "List", "items": objects})).unwrap();
        let (given, twice) = source.given();
        let all = given
            .into_iter()
            .map(|(given, entry)| format!("{}|{}|{}", given.network, given.address, entry.podref));
        all.chain(twice).collect()
    }

    #[test]
    fn places_count_from_the_ranges_first_address() {
        assert_eq!(
            given(&[
                pool("10.0.0.0-16", "10.0.0.0/16", &[("1", "a/b"), ("256", "a/c")]),
                pool("fd00---64", "fd00::/64", &[("18446744073709551615", "a/d"), ("x", "a/e")]),
            ]),
            ["|10.0.0.1|a/b", "|10.0.1.0|a/c", "|fd00::ffff:ffff:ffff:ffff|a/d"]
        );
    }

    #[test]
    fn networks_and_nodes_stand_before_the_range() {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n-1"}});
        assert_eq!(
            given(&[
                node,
                pool("blue-10.0.0.0-24", "10.0.0.0/24", &[("1", "a/b")]),
                pool("n-1-10.0.0.0-28", "10.0.0.0/28", &[("1", "a/c")]),
                pool("blue-n-1-10.0.1.0-28", "10.0.1.0/28", &[("1", "a/d")]),
            ]),
            ["|10.0.0.1|a/c", "blue|10.0.0.1|a/b", "blue|10.0.1.1|a/d"]
        );
    }

    #[test]
    fn reservations_count_once_and_also_alone() {
        assert_eq!(
            given(&[
                pool("blue-fd00---64", "fd00::/64", &[("1", "a/b")]),
                single_of("blue-fd00--1", "a/b"),
                single_of("blue-fd00--2", "a/c"),
                single_of("10.0.0.9", "a/d"),
            ]),
            ["|10.0.0.9|a/d", "blue|fd00::1|a/b", "blue|fd00::2|a/c"]
        );
    }

    #[test]
    fn one_address_of_two_is_said() {
        let said = given(&[
            pool("10.0.0.0-24", "10.0.0.0/24", &[("1", "a/b")]),
            pool("10.0.0.0-16", "10.0.0.0/16", &[("1", "a/c")]),
        ]);
        assert_eq!(said[1], "10.0.0.1 is given to a/b and to a/c");
    }

    #[test]
    fn a_range_that_is_none_is_named() {
        let mut source = Source::default();
        for range in ["", "10.0.0.0", "10.0.0.0/33", "x/8"] {
            let error = source.add(pool("p", range, &[])).unwrap_err();
            assert!(error.to_string().contains("IPPool `p`"), "{error}");
        }
    }
}
