//! CHECK: is what an attachment was given still its own, and still what its network has?

use std::collections::BTreeMap;
use std::net::IpAddr;

use allotment_core::{Allocation, AllocationState, GrantEntry, Refusal, Request, State};
use allotment_wire::CniCall;
use allotment_wire::cni::{CniArgs, Dns, Error, NetConf, ResultIp, Section, code};

use crate::add::result_of;
use crate::host_local::Sets;
use crate::netns::Seen;
use crate::verbs::EngineVerbs;
use crate::{fixed, request};

impl EngineVerbs {
    /// What is recorded has to be what the configuration names, and what `prevResult` has: each address, with its prefix length
    /// and gateway (SPEC 1.1.0, section 4, "CHECK"). Without a `prevResult` it is enough that something is recorded. Nothing is
    /// changed, and nothing that the configuration implies is put in force.
    pub(crate) async fn compare_with_ledger(&self, call: &CniCall) -> Result<(), Error> {
        let conf = NetConf::parse(&call.config)?;
        let args = CniArgs::parse(&call.args)?;
        let mut request = request::frame(call, &conf, &args, Seen::default())?;
        let recorded = match &conf.ipam.section {
            Section::Ours(_) => {
                let want = request.wants.first_mut().expect("a framed request has one want");
                request::fill(want, &conf, &args)?;
                result_of(self.recorded(call, request).await?).ips
            }
            Section::HostLocal(section) => {
                let sets = Sets::new(&conf, section)?;
                let names = self.implied.names(&self.engine, &sets.vrf, &sets.grounds).await;
                let names = names.map_err(|why| why.told(|why| self.failed(why)))?;
                request.wants = sets.wants(&request.wants[0], &names, &conf.asked(&args)?.ips)?;
                sets.result(&self.recorded(call, request).await?, section, Dns::default()).ips
            }
            Section::Static(section) => {
                let addresses = section.addresses(&conf, &args)?;
                request.wants = fixed::wants(&request.wants[0], &conf, &addresses);
                let configured = fixed::result(section, &addresses).ips;
                if configured.is_empty() {
                    return Ok(());
                }
                let entries = self.recorded(call, request).await?;
                let has =
                    |ip: IpAddr| entries.iter().flat_map(|entry| &entry.ips).any(|held| held.address == ip);
                let recorded: Vec<ResultIp> =
                    configured.iter().copied().filter(|ip| has(ip.address.address)).collect();
                compare(call, &recorded, Some(&configured), "its configuration names")?;
                recorded
            }
        };
        compare(call, &recorded, conf.previous.as_deref(), "the runtime expects")
    }

    /// What is recorded for an interface of this very sandbox, if it is what the request names.
    async fn recorded(&self, call: &CniCall, request: Request) -> Result<Vec<GrantEntry>, Error> {
        let network = request.wants.first().map(|want| want.attachment.network.clone()).unwrap_or_default();
        let (container_id, interface) = (call.container_id.clone(), call.ifname.clone());
        let look = move |state: &State, _| held(state, [&container_id, &interface, &network], request);
        let held = self.engine.read(look).await.map_err(|why| self.failed(why))?;
        held.map_err(|refusal| Error::new(code::CHECK_DIFFERS, refusal.to_string(), refusal.hint))
    }
}

/// The sandbox tells whose it is: a CHECK need not name the pod as its ADD did.
fn held(
    state: &State,
    [container_id, interface, network]: [&str; 3],
    mut request: Request,
) -> Result<Vec<GrantEntry>, Refusal> {
    let find = |Allocation { state, owner, attachments, .. }: Allocation| {
        let is_its = |attachment: &allotment_core::Attachment| {
            attachment.container_id == container_id
                && attachment.interface == interface
                && attachment.network == network
        };
        let attachment = attachments.into_iter().find(is_its)?;
        (state == AllocationState::Active).then_some((owner, attachment))
    };
    let Some((owner, attachment)) = state.in_sandbox(container_id).into_iter().find_map(find) else {
        return Ok(Vec::new());
    };
    request.owner = owner;
    for want in &mut request.wants {
        want.attachment = attachment.clone();
    }
    state.held_for(&request).map(|grant| grant.entries)
}

/// Addresses that are none of ours and lie in none of our networks are another plugin's of the chain. A gateway that we have
/// not given may be the main plugin's.
pub fn compare(
    call: &CniCall,
    recorded: &[ResultIp],
    expected: Option<&[ResultIp]>,
    who_expects: &str,
) -> Result<(), Error> {
    let by_address = |ips: &[ResultIp]| -> BTreeMap<IpAddr, ResultIp> {
        ips.iter().map(|ip| (ip.address.address, *ip)).collect()
    };
    let (ours, theirs) = (by_address(recorded), expected.map(by_address));
    let same = |ours: &ResultIp, theirs: &ResultIp| {
        ours.address == theirs.address && (ours.gateway.is_none() || ours.gateway == theirs.gateway)
    };
    let all_there = |theirs: &BTreeMap<IpAddr, ResultIp>| {
        ours.iter().all(|(ip, ours)| theirs.get(ip).is_some_and(|theirs| same(ours, theirs)))
            && theirs
                .keys()
                .all(|ip| ours.contains_key(ip) || !recorded.iter().any(|net| net.address.contains(*ip)))
    };
    if !ours.is_empty() && theirs.as_ref().is_none_or(all_there) {
        return Ok(());
    }
    let expected = expected.map_or_else(|| "at least one".to_owned(), list);
    let msg = format!(
        "container {} has {} recorded for interface {}, and {who_expects} {expected}",
        call.container_id,
        list(recorded),
        call.ifname,
    );
    Err(Error::new(
        code::CHECK_DIFFERS,
        msg,
        "recreate the container; `allot audit` tells how far the difference goes",
    ))
}

fn list(ips: &[ResultIp]) -> String {
    if ips.is_empty() {
        return "no address".to_owned();
    }
    let one = |ip: &ResultIp| match ip.gateway {
        Some(gateway) => format!("{} via {gateway}", ip.address),
        None => ip.address.to_string(),
    };
    ips.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use allotment_wire::Command;

    use super::*;

    fn ips(list: &str) -> Vec<ResultIp> {
        let one = |text: &str| {
            let (address, gateway) = text.split_once(" via ").map_or((text, None), |(a, g)| (a, Some(g)));
            ResultIp { address: address.parse().unwrap(), gateway: gateway.map(|g| g.parse().unwrap()) }
        };
        list.split_terminator(", ").map(one).collect()
    }

    fn check(recorded: &str, expected: Option<&str>) -> Result<(), (u32, String)> {
        let call = CniCall {
            command: Command::Check,
            container_id: "c1".to_owned(),
            netns: String::new(),
            ifname: "eth0".to_owned(),
            args: String::new(),
            config: serde_json::Value::Null,
        };
        compare(&call, &ips(recorded), expected.map(ips).as_deref(), "the runtime expects")
            .map_err(|error| (error.code, error.msg))
    }

    #[test]
    fn what_agrees() {
        let both = "10.0.0.2/24 via 10.0.0.1, fd00::2/64";
        for (recorded, expected) in [
            (both, Some("fd00::2/64, 10.0.0.2/24 via 10.0.0.1")),
            ("10.0.0.2/24", None),
            ("10.0.0.2/24", Some("10.0.0.2/24 via 10.0.0.9")),
            ("10.0.0.2/24", Some("10.0.0.2/24, 192.0.2.7/32")),
        ] {
            assert_eq!(check(recorded, expected), Ok(()), "{recorded} {expected:?}");
        }
    }

    #[test]
    fn both_lists_are_named_when_they_differ() {
        for (recorded, expected, has, expects) in [
            ("", None, "no address", "at least one"),
            ("", Some(""), "no address", "no address"),
            ("10.0.0.2/24", Some("10.0.0.3/24"), "10.0.0.2/24", "10.0.0.3/24"),
            ("10.0.0.2/24", Some(""), "10.0.0.2/24", "no address"),
            ("10.0.0.2/24", Some("10.0.0.2/16"), "10.0.0.2/24", "10.0.0.2/16"),
            ("10.0.0.2/24", Some("10.0.0.2/24, 10.0.0.9/24"), "10.0.0.2/24", "10.0.0.2/24, 10.0.0.9/24"),
            ("10.0.0.2/24 via 10.0.0.1", Some("10.0.0.2/24"), "10.0.0.2/24 via 10.0.0.1", "10.0.0.2/24"),
        ] {
            let msg = format!(
                "container c1 has {has} recorded for interface eth0, and the runtime expects {expects}"
            );
            assert_eq!(check(recorded, expected), Err((103, msg)));
        }
    }
}
