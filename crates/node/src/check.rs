//! CHECK: is what an attachment was given still its own?

use std::collections::BTreeSet;
use std::net::IpAddr;

use allotment_core::{Allocation, AllocationState};
use allotment_wire::CniCall;
use allotment_wire::cni::{Error, NetConf, code};

use crate::verbs::EngineVerbs;

impl EngineVerbs {
    /// The ledger and `prevResult` have to name the same addresses (SPEC 1.1.0, section 4, "CHECK"). Without a `prevResult`
    /// it is enough that there is one.
    pub(crate) async fn compare_with_ledger(&self, call: &CniCall) -> Result<(), Error> {
        let conf = NetConf::parse(&call.config)?;
        let container_id = call.container_id.clone();
        let sandbox = self.engine.read(move |state, _| state.in_sandbox(&container_id)).await;
        let sandbox = sandbox.map_err(|why| self.failed(why))?;
        let recorded: BTreeSet<IpAddr> =
            sandbox.iter().filter(|held| is_of(held, call, &conf.name)).map(|held| held.address).collect();
        let expected = conf.previous.as_ref().map(|ips| ips.iter().map(|net| net.address).collect());
        compare(call, &recorded, expected.as_ref())
    }
}

fn is_of(allocation: &Allocation, call: &CniCall, network: &str) -> bool {
    allocation.state == AllocationState::Active
        && allocation.attachments.iter().any(|attachment| {
            attachment.container_id == call.container_id
                && attachment.interface == call.ifname
                && attachment.network == network
        })
}

fn compare(
    call: &CniCall,
    recorded: &BTreeSet<IpAddr>,
    expected: Option<&BTreeSet<IpAddr>>,
) -> Result<(), Error> {
    if !recorded.is_empty() && expected.is_none_or(|expected| recorded == expected) {
        return Ok(());
    }
    let list = |addresses: &BTreeSet<IpAddr>| match addresses.len() {
        0 => "no address".to_owned(),
        _ => addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", "),
    };
    let expected = expected.map_or_else(|| "at least one".to_owned(), list);
    let msg = format!(
        "container {} has {} recorded for interface {}, and the runtime expects {expected}",
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

#[cfg(test)]
mod tests {
    use allotment_wire::Command;

    use super::*;

    #[test]
    fn both_lists_are_named_when_they_differ() {
        let call = CniCall {
            command: Command::Check,
            container_id: "c1".to_owned(),
            netns: String::new(),
            ifname: "eth0".to_owned(),
            args: String::new(),
            config: serde_json::Value::Null,
        };
        let set = |list: &[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect::<BTreeSet<IpAddr>>();
        let check = |recorded: &[&str], expected: Option<&[&str]>| {
            compare(&call, &set(recorded), expected.map(set).as_ref())
                .map_err(|error| (error.code, error.msg))
        };
        assert_eq!(check(&["10.0.0.2", "fd00::2"], Some(&["fd00::2", "10.0.0.2"])), Ok(()));
        assert_eq!(check(&["10.0.0.2"], None), Ok(()));
        for (recorded, expected, has, expects) in [
            ("", None, "no address", "at least one"),
            ("10.0.0.2", Some("10.0.0.3"), "10.0.0.2", "10.0.0.3"),
            ("10.0.0.2", Some(""), "10.0.0.2", "no address"),
        ] {
            let split = |text: &'static str| text.split_terminator(',').collect::<Vec<_>>();
            let msg = format!(
                "container c1 has {has} recorded for interface eth0, and the runtime expects {expects}"
            );
            assert_eq!(check(&split(recorded), expected.map(split).as_deref()), Err((103, msg)));
        }
    }
}
