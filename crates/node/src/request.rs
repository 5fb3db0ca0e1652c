//! What an ADD asks for: for whom, on which interface, and which addresses and MAC.

use std::net::IpAddr;

use allotment_core::{
    Asked, Attachment, Choice, Family, FamilyWant, Mac, MacWant, Owner, Request, Target, Want,
};
use allotment_wire::CniCall;
use allotment_wire::cni::{self, AskedIp, CniArgs, Error, FamilyWish, NetConf, code};

use crate::netns::Seen;

/// Main plugins whose interfaces all have the MAC of the one below them, so that it tells nobody apart.
const SHARED_MAC: [&str; 1] = ["ipvlan"];

/// The request of one ADD, with one want; what is wanted is put in by whoever knows the section.
pub(crate) fn frame(call: &CniCall, conf: &NetConf, args: &CniArgs, seen: Seen) -> Result<Request, Error> {
    let owner = owner(call, args);
    let attachment = Attachment {
        holder: owner.uid.clone(),
        container_id: call.container_id.clone(),
        network: conf.name.clone(),
        interface: call.ifname.clone(),
        node: String::new(),
        netns: seen.netns,
    };
    let mac = mac(conf, args, seen.mac)?;
    Ok(Request {
        namespace: args.pod_namespace().unwrap_or_default().to_owned(),
        owner,
        wants: vec![Want { attachment, mac, ..Want::default() }],
        ..Request::default()
    })
}

/// A pod, where the runtime says which; else the container (O4).
fn owner(call: &CniCall, args: &CniArgs) -> Owner {
    let container = &call.container_id;
    let (kind, namespace, uid) = match args.pod_uid() {
        Some(uid) => ("Pod", args.pod_namespace().unwrap_or_default(), uid),
        None => ("Container", "", container.as_str()),
    };
    Owner {
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: args.pod_name().unwrap_or(container).to_owned(),
        uid: uid.to_owned(),
    }
}

/// What is asked for, else what the interface has (C6).
fn mac(conf: &NetConf, args: &CniArgs, seen: Option<Mac>) -> Result<Option<MacWant>, Error> {
    let Some(text) = conf.asked(args)?.mac else {
        let tells = !SHARED_MAC.contains(&conf.kind.as_str());
        return Ok(seen.filter(|_| tells).map(MacWant::Seen));
    };
    match text.parse() {
        Ok(mac) => Ok(Some(MacWant::Asked(mac))),
        Err(why) => {
            Err(Error::new(code::INVALID_CONFIG, why.to_string(), "correct the MAC that is asked for"))
        }
    }
}

/// Puts in what a section of our own keys asks for.
pub(crate) fn fill(want: &mut Want, conf: &NetConf, args: &CniArgs) -> Result<(), Error> {
    let asked = conf.asked(args)?;
    let subnets = asked.subnets.into_iter().map(Target::Subnet);
    want.targets = subnets.chain(asked.pools.into_iter().map(Target::Pool)).collect();
    let by_attachment = !conf.args.subnets.is_empty() || !conf.args.pools.is_empty();
    want.source = match want.targets.is_empty() {
        true => None,
        false if by_attachment => Some(Choice::Request),
        false => Some(Choice::Network),
    };
    want.prefixes = asked.ips.iter().filter_map(|ip| Some((ip.address, ip.prefix?))).collect();
    let addresses = addresses(&asked.ips);
    // Asked of this one attachment it wants all of them. The list of a configuration is shared by all that have it: each
    // takes what is left.
    want.ips = match addresses.is_empty() {
        true => Asked::Nothing,
        false if asks_itself(conf, args)? => Asked::Each(addresses),
        false => Asked::OneOf(addresses),
    };
    want.family = match asked.family {
        FamilyWish::All => FamilyWant::All,
        FamilyWish::Require(family) => FamilyWant::Require(to_family(family)),
        FamilyWish::Prefer(family) => FamilyWant::Prefer(to_family(family)),
    };
    Ok(())
}

/// Whether addresses are asked for this attachment alone, and not by the network's configuration.
fn asks_itself(conf: &NetConf, args: &CniArgs) -> Result<bool, Error> {
    Ok(!conf.runtime_config.ips.is_empty() || !conf.args.ips.is_empty() || !args.ips()?.is_empty())
}

/// Each address once, in the order in which they were asked for.
fn addresses(asked: &[AskedIp]) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for ip in asked {
        if !addresses.contains(&ip.address) {
            addresses.push(ip.address);
        }
    }
    addresses
}

fn to_family(family: cni::Family) -> Family {
    match family {
        cni::Family::V4 => Family::V4,
        cni::Family::V6 => Family::V6,
    }
}

#[cfg(test)]
mod tests;
