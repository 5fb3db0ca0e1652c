//! GC: the runtime says which attachments are still there.

use std::collections::HashSet;
use std::time::Instant;

use allotment_core::{Allocation, AllocationState, Release, State};
use allotment_engine::Pages;
use allotment_wire::CniCall;
use allotment_wire::cni::{Error, NetConf, ValidAttachment};

use crate::answer;
use crate::service::CALL_LIMIT;
use crate::together::together;
use crate::verbs::EngineVerbs;

impl EngineVerbs {
    /// Releases every attachment to this network that the list lacks (SPEC 1.1.0, section 4, "GC"). Without a list nothing is
    /// known, and nothing is done; other networks are not touched (O3).
    pub(crate) async fn release_stale(&self, call: &CniCall) -> Result<(), Error> {
        let conf = NetConf::parse(&call.config)?;
        let Some(valid) = conf.valid_attachments else { return Ok(()) };
        let valid: HashSet<ValidAttachment> = valid.into_iter().collect();
        let network = conf.name;
        let pick = {
            let network = network.clone();
            move |state: &State, place| stale(&state.at(place)?, &network, &valid)
        };
        let stale =
            Pages::new(&self.engine, |_, _| true, pick).collect().await.map_err(|why| self.failed(why))?;
        let stale: HashSet<ValidAttachment> = stale.into_iter().flatten().collect();
        let release = |ValidAttachment { container_id, ifname }| {
            tracing::info!(
                container_id,
                interface = ifname,
                network,
                "releasing: the runtime no longer has it"
            );
            let release =
                Release::Interface { container_id, interface: ifname, network: Some(network.clone()) };
            let engine = self.engine.clone();
            async move { engine.release(release, Instant::now() + CALL_LIMIT).await }
        };
        let (count, mut done, mut failed) = (stale.len(), 0, None);
        together(stale, release, |outcome| {
            done += usize::from(outcome.is_ok());
            failed = outcome.err();
            failed.is_none()
        })
        .await;
        match failed {
            Some(why) => Err(self.failed(why)),
            None if done < count => {
                Err(answer::later(format!("{done} of {count} stale attachments were released")))
            }
            None => Ok(()),
        }
    }
}

/// The attachments of an active allocation that are to this network and not valid. One that no runtime has asked for yet
/// has no container id, and the runtime cannot know it.
fn stale(
    allocation: &Allocation,
    network: &str,
    valid: &HashSet<ValidAttachment>,
) -> Option<Vec<ValidAttachment>> {
    if allocation.state != AllocationState::Active {
        return None;
    }
    let stale: Vec<_> = (allocation.attachments.iter())
        .filter(|attachment| attachment.network == network && !attachment.container_id.is_empty())
        .map(|attachment| ValidAttachment {
            container_id: attachment.container_id.clone(),
            ifname: attachment.interface.clone(),
        })
        .filter(|attachment| !valid.contains(attachment))
        .collect();
    (!stale.is_empty()).then_some(stale)
}

#[cfg(test)]
mod tests {
    use allotment_core::{Attachment, Choice, Owner, Pick, Rule, Timestamp};

    use super::*;

    #[test]
    fn only_what_the_runtime_would_know() {
        let valid =
            HashSet::from([ValidAttachment { container_id: "c1".to_owned(), ifname: "eth0".to_owned() }]);
        let rows = [
            ("lan", "c1", "eth0", AllocationState::Active, false, "valid"),
            ("lan", "c1", "eth1", AllocationState::Active, true, "another interface of a valid container"),
            ("lan", "c2", "eth0", AllocationState::Active, true, "another container"),
            ("wan", "c2", "eth0", AllocationState::Active, false, "another network"),
            ("lan", "", "eth0", AllocationState::Active, false, "no runtime has asked for it"),
            ("lan", "c2", "eth0", AllocationState::Cooling, false, "released already"),
        ];
        for (network, container_id, interface, state, is_stale, why) in rows {
            let allocation = Allocation {
                vrf: "default".to_owned(),
                address: "10.0.0.2".parse().unwrap(),
                state,
                owner: Owner::default(),
                attachments: vec![Attachment {
                    container_id: container_id.to_owned(),
                    network: network.to_owned(),
                    interface: interface.to_owned(),
                    ..Attachment::default()
                }],
                mac: None,
                rule: Rule { choice: Choice::Default, pick: Pick::Fresh },
                since: Timestamp(0),
                outlives_owner: false,
            };
            assert_eq!(stale(&allocation, "lan", &valid).is_some(), is_stale, "{why}");
        }
    }
}
