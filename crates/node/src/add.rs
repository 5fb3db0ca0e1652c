//! ADD.

use std::time::Instant;

use serde_json::Value;

use allotment_core::{Dns, Family, GrantEntry, Request};
use allotment_engine::EngineError;
use allotment_wire::CniCall;
use allotment_wire::cni::{self, AddResult, CniArgs, Error, Net, NetConf, ResultIp, Section};

use crate::host_local::Sets;
use crate::implied::{Ground, Lent};
use crate::verbs::EngineVerbs;
use crate::{fixed, netns, request, resolv};

impl EngineVerbs {
    /// Grants, durably, and says what was granted (SPEC 1.1.0, section 4, "ADD"). The same attachment again gets the
    /// same. Whatever ends it early leaves nothing behind: the engine changes all or nothing.
    pub(crate) async fn grant(&self, call: &CniCall, deadline: Instant) -> Result<Value, Error> {
        let conf = NetConf::parse(&call.config)?;
        let args = CniArgs::parse(&call.args)?;
        let seen = netns::observe(&call.netns, &call.ifname);
        if seen.netns.is_none() {
            self.metrics.unseen.inc();
        }
        let mut request = request::frame(call, &conf, &args, seen)?;
        let result = match &conf.ipam.section {
            Section::Ours(_) => {
                let want = request.wants.first_mut().expect("a framed request has one want");
                request::fill(want, &conf, &args)?;
                result_of(self.allocate(request, deadline).await?)
            }
            Section::HostLocal(section) => {
                let dns = section.resolv_conf.as_deref().map(resolv::read).transpose()?.unwrap_or_default();
                let sets = Sets::new(&conf, section)?;
                let lent = self.lend(&sets.vrf, &sets.grounds, deadline).await?;
                request.wants = sets.wants(&request.wants[0], &lent.subnets, &conf.asked(&args)?.ips)?;
                sets.result(&self.allocate(request, deadline).await?, section, dns)
            }
            Section::Static(section) => {
                let addresses = section.addresses(&conf, &args)?;
                for family in Family::BOTH {
                    if addresses.iter().any(|address| Family::of(address.address.address) == family) {
                        // Once in force it never changes, so it need not be held.
                        self.lend(&fixed::vrf(&conf, family), &[fixed::ground(family)], deadline).await?;
                    }
                }
                request.wants = fixed::wants(&request.wants[0], &conf, &addresses);
                if !addresses.is_empty() {
                    self.allocate(request, deadline).await?;
                }
                fixed::result(section, &addresses)
            }
        };
        Ok(result.render(conf.version))
    }

    /// Sees that the subnets which a configuration implies are in force, and stay so.
    async fn lend(&self, vrf: &str, grounds: &[Ground], deadline: Instant) -> Result<Lent<'_>, Error> {
        match tokio::time::timeout_at(deadline.into(), self.implied.lend(&self.engine, vrf, grounds)).await {
            Ok(lent) => lent.map_err(|why| why.told(|why| self.failed(why))),
            Err(_) => Err(self.failed(EngineError::Deadline)),
        }
    }

    /// Asks the engine, and tells whoever keeps an eye on refusals.
    pub(crate) async fn allocate(
        &self,
        request: Request,
        deadline: Instant,
    ) -> Result<Vec<GrantEntry>, Error> {
        let owner = request.owner.clone();
        let network = request.wants.first().map(|want| want.attachment.network.clone()).unwrap_or_default();
        let outcome = self.engine.allocate(request, deadline).await;
        match &outcome {
            Ok(_) => {
                self.written();
                (self.decided)(&owner, &network, None);
            }
            Err(EngineError::Refused(refusal)) => {
                tracing::info!(%owner, network, code = refusal.code.as_str(), "refused: {refusal}");
                (self.decided)(&owner, &network, Some(refusal));
            }
            Err(error) => tracing::warn!(%owner, network, %error, "an ADD could not be done"),
        }
        outcome.map(|grant| grant.entries).map_err(|why| self.failed(why))
    }
}

/// Routes without a router go to the subnet's gateway, if it has one; a default route is there only if the subnet says
/// so (C4).
pub(crate) fn result_of(entries: Vec<GrantEntry>) -> AddResult {
    let mut result = AddResult::default();
    for entry in entries {
        let gateway =
            |family| entry.ips.iter().filter(|ip| Family::of(ip.address) == family).find_map(|ip| ip.gateway);
        result.routes.extend(entry.routes.iter().map(|route| {
            let dst = Net { address: route.to.first(), prefix: route.to.prefix() };
            cni::Route::new(dst, route.via.or_else(|| gateway(route.to.family())))
        }));
        result.ips.extend(entry.ips.iter().map(|ip| ResultIp {
            address: Net { address: ip.address, prefix: ip.prefix },
            gateway: ip.gateway,
        }));
        result.dns = dns_of(entry.dns);
    }
    result
}

fn dns_of(dns: Dns) -> cni::Dns {
    let Dns { nameservers, domain, search, options } = dns;
    let nameservers = nameservers.iter().map(ToString::to_string).collect();
    cni::Dns { nameservers, domain, search, options }
}
