//! `ranges` and `routes` that another program has written into a section of ours, as Flannel does: the node's part of the
//! cluster's network, and the way to the rest of it.
//!
//! In a cluster addresses come from Subnets all the same. The ranges bound them, since nobody routes others to this node, and
//! say which prefix length and which gateway they have here; the routes are passed on.

use std::net::IpAddr;

use allotment_wire::cni::{AddResult, Error, HostLocal, Net, Route, code};

use crate::host_local::Piece;

/// Nothing of it where the section has no ranges.
#[derive(Clone, Debug, Default)]
pub struct Bound {
    pieces: Vec<Piece>,
    routes: Vec<Route>,
}

impl Bound {
    /// What a section says.
    pub fn of(section: &HostLocal) -> Bound {
        let pieces = section.ranges.iter().flatten().map(Piece::new).collect();
        Bound { pieces, routes: section.routes.clone() }
    }

    /// The result as it is on this node. What the Subnet's own routes say stays.
    pub fn result(&self, mut result: AddResult) -> AddResult {
        for ip in &mut result.ips {
            if let Some(piece) = self.piece(ip.address.address) {
                ip.address = Net { prefix: piece.cidr.prefix(), ..ip.address };
                ip.gateway = Some(piece.gateway);
            }
        }
        result.routes.extend(self.routes.iter().cloned());
        result
    }

    /// Whether all of these are in the ranges; `what` was given them, on this node.
    pub fn check(
        &self,
        what: &str,
        node: &str,
        mut addresses: impl Iterator<Item = IpAddr>,
    ) -> Result<(), Error> {
        let Some(address) = addresses.find(|address| self.piece(*address).is_none()) else { return Ok(()) };
        if self.pieces.is_empty() {
            return Ok(());
        }
        let ranges: Vec<String> = self.pieces.iter().map(|piece| piece.range.to_string()).collect();
        Err(Error::new(
            code::NOT_ALLOWED,
            format!(
                "{what} was granted {address}, and node `{node}` has {} alone: nobody routes others to it",
                ranges.join(", ")
            ),
            format!(
                "declare an IPPool of that range with `nodeSelector: {{matchLabels: {{kubernetes.io/hostname: {node}}}}}`"
            ),
        ))
    }

    fn piece(&self, address: IpAddr) -> Option<&Piece> {
        self.pieces.iter().find(|piece| piece.range.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use allotment_wire::cni::{NetConf, ResultIp, Section};
    use serde_json::json;

    use super::*;

    /// What Flannel makes of `{"type": "allotment"}`.
    fn flannel() -> Bound {
        let ipam = json!({
            "type": "allotment",
            "ranges": [[{"subnet": "10.244.7.0/24"}], [{"subnet": "fd00:7::/64"}]],
            "routes": [{"dst": "10.244.0.0/16"}],
        });
        let conf = NetConf::parse(&json!({"cniVersion": "1.0.0", "name": "cbr0", "ipam": ipam})).unwrap();
        match conf.ipam.section {
            Section::HostLocal(section) => Bound::of(&section),
            other => panic!("{other:?}"),
        }
    }

    fn check(bound: &Bound, addresses: &[&str]) -> Result<(), Error> {
        bound.check("pod a/b", "node-7", addresses.iter().map(|address| address.parse().unwrap()))
    }

    #[test]
    fn prefix_and_gateway_are_the_nodes_and_the_routes_are_passed_on() {
        let address = Net { address: "10.244.7.9".parse().unwrap(), prefix: 16 };
        let ips = vec![ResultIp { address, gateway: Some("10.244.0.1".parse().unwrap()) }];
        let result = flannel().result(AddResult { ips, ..AddResult::default() });
        assert_eq!(result.ips[0].address, Net { prefix: 24, ..address });
        assert_eq!(result.ips[0].gateway, Some("10.244.7.1".parse().unwrap()));
        assert_eq!(result.routes.len(), 1);
    }

    #[test]
    fn an_address_of_another_node_is_refused() {
        check(&flannel(), &["10.244.7.9", "fd00:7::9"]).unwrap();
        check(&Bound::default(), &["10.244.8.9"]).unwrap();
        let error = check(&flannel(), &["10.244.7.9", "10.244.8.9"]).unwrap_err();
        assert_eq!(error.code, code::NOT_ALLOWED);
        let expect = "pod a/b was granted 10.244.8.9, and node `node-7` has 10.244.7.1-10.244.7.254, ";
        assert!(error.msg.starts_with(expect), "{}", error.msg);
        assert!(error.details.contains("kubernetes.io/hostname: node-7"), "{}", error.details);
    }
}
