//! ADD with `host-local`'s keys: one address from each set of ranges (O5).

use std::net::IpAddr;

use allotment_core::{Asked, Choice, Cidr, Family, FamilyWant, GrantEntry, IpRange, Target, Want};
use allotment_wire::cni::{AddResult, AskedIp, Dns, Error, HostLocal, Net, NetConf, Range, ResultIp, code};

use crate::implied::Ground;

/// Where `host-local` keeps its files when nobody says otherwise.
const DEFAULT_DATA_DIR: &str = "/var/lib/cni/networks";

/// One range, with everything that it leaves out filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) cidr: Cidr,
    pub(crate) range: IpRange,
    pub(crate) gateway: IpAddr,
}

/// The sets of ranges of one configuration.
pub(crate) struct Sets {
    pub(crate) vrf: String,
    pub(crate) grounds: Vec<Ground>,
    pieces: Vec<Vec<Piece>>,
    /// Which grounds each set draws from.
    draws: Vec<Vec<usize>>,
}

impl Sets {
    /// Fails with code 7 where sets overlap, or where two sets are parts of one network, which we cannot tell apart.
    pub(crate) fn new(conf: &NetConf, section: &HostLocal) -> Result<Sets, Error> {
        let sets: Vec<Vec<Piece>> =
            section.ranges.iter().map(|set| set.iter().map(Piece::new).collect()).collect();
        let mut grounds: Vec<Ground> = Vec::new();
        let mut draws: Vec<Vec<usize>> = Vec::new();
        for set in &sets {
            let mut own: Vec<usize> = Vec::new();
            for piece in set {
                let at = grounds.iter().position(|ground| ground.cidr.overlaps(&piece.cidr));
                match at {
                    Some(at) if own.contains(&at) => grounds[at].take(piece)?,
                    Some(at) => return Err(same_network(&grounds[at].cidr, &piece.cidr)),
                    None => {
                        own.push(grounds.len());
                        let mut ground = Ground { cidr: piece.cidr, within: Vec::new(), exclude: Vec::new() };
                        ground.take(piece)?;
                        grounds.push(ground);
                    }
                }
            }
            draws.push(own);
        }
        Ok(Sets { vrf: vrf(conf, section), grounds, pieces: sets, draws })
    }

    /// One want for each set: `framed` with the set's subnets, and with the address asked for in it, if one is.
    pub(crate) fn wants(
        &self,
        framed: &Want,
        subnets: &[String],
        asked: &[AskedIp],
    ) -> Result<Vec<Want>, Error> {
        let mut requested: Vec<Option<IpAddr>> = vec![None; self.pieces.len()];
        for AskedIp { address, .. } in asked {
            let set =
                self.pieces.iter().position(|set| set.iter().any(|piece| piece.range.contains(*address)));
            let refuse = |what: &str, hint: &str| {
                Err(Error::new(code::NOT_ALLOWED, format!("{address} is asked for, and {what}"), hint))
            };
            let Some(set) = set else {
                return refuse(
                    "lies in none of the configuration's ranges",
                    "ask for an address in one of them",
                );
            };
            if self.pieces[set].iter().any(|piece| piece.gateway == *address) {
                return refuse("is the gateway", "ask for another one");
            }
            match requested[set].replace(*address) {
                Some(other) if other != *address => {
                    return refuse(
                        &format!("so is {other} from the same set of ranges, which gives one"),
                        "ask for one of them, or make two sets of the ranges",
                    );
                }
                _ => {}
            }
        }
        let want = |((set, draws), requested): ((&Vec<Piece>, &Vec<usize>), Option<IpAddr>)| Want {
            targets: draws.iter().map(|&at| Target::Subnet(subnets[at].clone())).collect(),
            source: Some(Choice::Network),
            ips: requested.map_or(Asked::Nothing, |address| Asked::Each(vec![address])),
            family: FamilyWant::Require(set[0].cidr.family()),
            ..framed.clone()
        };
        Ok(self.pieces.iter().zip(&self.draws).zip(requested).map(want).collect())
    }

    /// Prefix length and gateway are the range's, routes the configuration's.
    pub(crate) fn result(&self, entries: &[GrantEntry], section: &HostLocal, dns: Dns) -> AddResult {
        let pieces: Vec<&Piece> = self.pieces.iter().flatten().collect();
        let ip = |ip: &allotment_core::GrantedIp| {
            let piece = pieces.iter().find(|piece| piece.range.contains(ip.address));
            ResultIp {
                address: Net {
                    address: ip.address,
                    prefix: piece.map_or(ip.prefix, |piece| piece.cidr.prefix()),
                },
                gateway: piece.map(|piece| piece.gateway).or(ip.gateway),
            }
        };
        let ips = entries.iter().flat_map(|entry| &entry.ips).map(ip).collect();
        AddResult { ips, routes: section.routes.clone(), dns }
    }
}

impl Piece {
    pub(crate) fn new(range: &Range) -> Piece {
        let cidr = Cidr::containing(range.subnet.address, range.subnet.prefix);
        // In IPv6 the last address is one like any other.
        let last = match cidr.family() {
            Family::V4 => previous(cidr.last()),
            Family::V6 => cidr.last(),
        };
        let (first, last) = (range.first.unwrap_or(cidr.first_usable()), range.last.unwrap_or(last));
        Piece {
            cidr,
            // A start behind the default end leaves that one address.
            range: IpRange::new(first, last.max(first)).expect("both are of the subnet's family"),
            gateway: range.gateway.unwrap_or(cidr.first_usable()),
        }
    }
}

fn previous(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() - 1).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() - 1).into()),
    }
}

impl Ground {
    /// Adds a range of the same set. Of two networks, one inside the other, the wider one counts.
    fn take(&mut self, piece: &Piece) -> Result<(), Error> {
        let range = piece.range;
        if let Some(other) =
            self.within.iter().find(|other| other.contains(range.first()) || range.contains(other.first()))
        {
            return Err(Error::new(
                code::INVALID_CONFIG,
                format!("the ranges {other} and {range} overlap"),
                "let each address be in one range",
            ));
        }
        if piece.cidr.prefix() < self.cidr.prefix() {
            self.cidr = piece.cidr;
        }
        self.within.push(range);
        let gateway = IpRange::new(piece.gateway, piece.gateway).expect("an address is of its own family");
        if self.cidr.contains(piece.gateway) && !self.exclude.contains(&gateway) {
            self.exclude.push(gateway);
        }
        Ok(())
    }
}

/// What `host-local`'s files give: networks of other names, and those in other folders, know nothing of each other.
fn vrf(conf: &NetConf, section: &HostLocal) -> String {
    match section.data_dir.as_deref().map(|folder| folder.trim_end_matches('/')) {
        None | Some("" | DEFAULT_DATA_DIR) => format!("host-local/{}", conf.name),
        Some(folder) => format!("host-local/{}/{}", conf.name, folder.trim_start_matches('/')),
    }
}

fn same_network(one: &Cidr, other: &Cidr) -> Error {
    Error::new(
        code::INVALID_CONFIG,
        format!("two sets of ranges draw from one network: {one} and {other}"),
        "put the ranges of a network into one set, or give the second set a network of its own",
    )
}

#[cfg(test)]
mod tests;
