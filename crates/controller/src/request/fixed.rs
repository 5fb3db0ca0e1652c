//! Addresses and MACs asked for by name: what of a list is this pod's.

use std::net::IpAddr;

use allotment_core::{Asked, Family, Mac, MacWant, Owner, Refusal};
use allotment_wire::cni::AskedIp;

use super::owner::{Owned, Share};
use super::view::invalid;

/// Each address once, in the order in which they are listed.
pub(super) fn addresses(ips: &[AskedIp]) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for ip in ips {
        if !addresses.contains(&ip.address) {
            addresses.push(ip.address);
        }
    }
    addresses
}

/// What of a list, which stands at `at`, is the pod's.
pub(super) fn asked(owned: &Owned, at: &str, ips: &[AskedIp]) -> Result<Asked, Refusal> {
    let ips = addresses(ips);
    if ips.is_empty() {
        return Ok(Asked::Nothing);
    }
    match owned.share {
        Share::Whole => Ok(Asked::Each(ips)),
        Share::OneOf => Ok(Asked::OneOf(ips)),
        Share::Ordinal(ordinal) => {
            let mut own = Vec::new();
            for (family, name) in [(Family::V4, "IPv4 addresses"), (Family::V6, "IPv6 addresses")] {
                let list: Vec<IpAddr> = ips.iter().copied().filter(|&ip| Family::of(ip) == family).collect();
                if !list.is_empty() {
                    own.push(
                        *list
                            .get(ordinal)
                            .ok_or_else(|| short(&owned.owner, at, name, list.len(), ordinal))?,
                    );
                }
            }
            Ok(Asked::Each(own))
        }
    }
}

/// The same of MACs.
pub(super) fn mac(owned: &Owned, at: &str, macs: &[Mac]) -> Result<Option<MacWant>, Refusal> {
    let (Some(&first), len) = (macs.first(), macs.len()) else { return Ok(None) };
    match owned.share {
        Share::Whole if len > 1 => {
            let what = format!("it lists {len} MACs for {}, whose interface has one", owned.owner);
            Err(invalid(at, what, "give one MAC"))
        }
        Share::Whole => Ok(Some(MacWant::Asked(first))),
        Share::OneOf => Ok(Some(MacWant::OneOf(macs.to_vec()))),
        Share::Ordinal(ordinal) => {
            let own = macs.get(ordinal).ok_or_else(|| short(&owned.owner, at, "MACs", len, ordinal))?;
            Ok(Some(MacWant::Asked(*own)))
        }
    }
}

fn short(owner: &Owner, at: &str, what: &str, has: usize, ordinal: usize) -> Refusal {
    let text = format!("it lists {has} {what}, one for each ordinal from 0, and none is left for {owner}");
    let needed = ordinal.saturating_add(1);
    let hint = format!("list {needed} {what}, or scale down to {has} replicas");
    invalid(at, text, hint).count("listed", has).count("needed", needed)
}
