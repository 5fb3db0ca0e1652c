//! What CNI's verbs come to on a node of a cluster (SPEC 1.1.0, section 4).

use std::collections::HashSet;
use std::time::{Duration, Instant};

use allotment_node::{Bound, Verbs, netns};
use allotment_wire::CniCall;
use allotment_wire::cni::{CniArgs, Error, NetConf, Section, ValidAttachment, code};
use serde_json::Value;

use crate::answer;
use crate::desk::{Adding, Step, Wish};
use crate::ends;
use crate::metrics::AgentMetrics;
use crate::pods::Named;
use crate::shared::Shared;

/// How long a failed write counts against the node when nothing was tried since. Kubelet starts no pod on a node whose
/// STATUS fails, so that nothing might ever be tried again.
const UNWRITABLE_FOR: Duration = Duration::from_secs(30);

/// Answers from the desk.
pub struct AgentVerbs {
    shared: Shared,
    metrics: AgentMetrics,
}

impl Verbs for AgentVerbs {
    /// A grant may be seconds away when the controller has just changed, and an ADD that fails costs the whole sandbox. The
    /// plugin waits for a minute.
    const ADD_LIMIT: Duration = Duration::from_secs(45);

    async fn add(&self, call: &CniCall, deadline: Instant) -> Result<Value, Error> {
        let conf = NetConf::parse(&call.config)?;
        let adding = Waiting::arrive(self, read(call, &conf)?);
        let entry = adding.answered(deadline).await?;
        Ok(bound(&conf).result(answer::result(&entry)).render(conf.version))
    }

    async fn release(&self, call: &CniCall) -> Result<(), Error> {
        let durable = self.shared.change(|desk| desk.delete(&call.container_id, &call.ifname));
        match durable {
            Some(durable) => durable.wait().await.map_err(|error| answer::later(error.to_string())),
            None => Ok(()),
        }
    }

    async fn check(&self, call: &CniCall) -> Result<(), Error> {
        let conf = NetConf::parse(&call.config)?;
        let recorded = self.shared.with(|desk| {
            let given = desk.given(&call.container_id, &call.ifname);
            let given = given.filter(|given| given.network == conf.name);
            given.map_or_else(Vec::new, |given| bound(&conf).result(answer::result(&given.entry)).ips)
        });
        allotment_node::compare(call, &recorded, conf.previous.as_deref(), "the runtime expects")
    }

    async fn gc(&self, call: &CniCall) -> Result<(), Error> {
        let conf = NetConf::parse(&call.config)?;
        let Some(valid) = conf.valid_attachments else { return Ok(()) };
        let valid: HashSet<ValidAttachment> = valid.into_iter().collect();
        let durables = self.shared.change(|desk| {
            let mut durables = Vec::new();
            for (container_id, ifname) in desk.on_network(&conf.name) {
                let attachment = ValidAttachment { container_id, ifname };
                if valid.contains(&attachment) {
                    continue;
                }
                let ValidAttachment { container_id, ifname } = attachment;
                tracing::info!(
                    container_id,
                    interface = ifname,
                    network = conf.name,
                    "the runtime no longer has it"
                );
                durables.extend(desk.delete(&container_id, &ifname));
            }
            durables
        });
        for durable in durables {
            durable.wait().await.map_err(|error| answer::later(error.to_string()))?;
        }
        Ok(())
    }

    async fn status(&self) -> Result<(), Error> {
        let failure = self.shared.with(|desk| desk.journal().failure());
        match failure.filter(|(at, _)| at.elapsed() < UNWRITABLE_FOR) {
            None => Ok(()),
            Some((_, why)) => Err(Error::new(
                code::NOT_AVAILABLE,
                format!("the journal could not be written: {why}"),
                "see that the disk of the agent's state folder is neither full nor read-only",
            )),
        }
    }
}

impl AgentVerbs {
    pub(crate) fn new(shared: Shared, metrics: AgentMetrics) -> AgentVerbs {
        AgentVerbs { shared, metrics }
    }
}

/// An ADD that is on the desk; dropped, it is taken off, whether it was answered or its caller has gone.
struct Waiting<'a> {
    verbs: &'a AgentVerbs,
    adding: Adding,
}

impl<'a> Waiting<'a> {
    fn arrive(verbs: &'a AgentVerbs, mut adding: Adding) -> Waiting<'a> {
        verbs.metrics.waiting.inc();
        verbs.shared.with(|desk| desk.arrived(&mut adding));
        Waiting { verbs, adding }
    }

    async fn answered(
        mut self,
        deadline: Instant,
    ) -> Result<Box<allotment_api::annotation::GrantedAttachment>, Error> {
        let shared = self.verbs.shared.clone();
        let mut changes = shared.changes();
        loop {
            let adding = &mut self.adding;
            match shared.with(|desk| desk.step(adding)) {
                Step::Answer(entry, durable) => {
                    durable.wait().await.map_err(|error| answer::later(error.to_string()))?;
                    return Ok(entry);
                }
                Step::Refuse(error) => return Err(error),
                Step::Wait(why) => {
                    if tokio::time::timeout_at(deadline.into(), changes.changed()).await.is_err() {
                        return Err(answer::later(why));
                    }
                }
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.verbs.metrics.waiting.dec();
        let adding = &mut self.adding;
        self.verbs.shared.with(|desk| desk.left(adding));
    }
}

/// What the configuration's `ranges` and `routes` say of an answer.
fn bound(conf: &NetConf) -> Bound {
    match &conf.ipam.section {
        Section::HostLocal(section) => Bound::of(section),
        Section::Ours(_) | Section::Static(_) => Bound::default(),
    }
}

fn read(call: &CniCall, conf: &NetConf) -> Result<Adding, Error> {
    let args = CniArgs::parse(&call.args)?;
    let is_readable = match &conf.ipam.section {
        Section::Ours(_) => true,
        // As Flannel writes it.
        Section::HostLocal(section) => !section.ranges.is_empty(),
        Section::Static(_) => false,
    };
    if !is_readable {
        return Err(Error::new(
            code::INVALID_CONFIG,
            "`ipam` has host-local's or static's keys, and in a cluster addresses come from Subnets",
            "declare a Subnet, and name it with `subnets`, or leave everything but `type` out",
        ));
    }
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let pod = Named {
        uid: text(args.pod_uid()),
        namespace: text(args.pod_namespace()),
        name: text(args.pod_name()),
    };
    if pod.namespace.is_empty() || pod.name.is_empty() {
        return Err(Error::new(
            code::INVALID_ENVIRONMENT,
            "CNI_ARGS has no K8S_POD_NAMESPACE and K8S_POD_NAME",
            "a node's agent serves pods; containers without Kubernetes are served by `allot standalone`",
        ));
    }
    let asked = conf.asked(&args)?;
    let mut adding = Adding::new(&call.container_id, &call.ifname, &conf.name, pod);
    adding.netns = ends::place(netns::identify(&call.netns).as_ref(), &call.netns);
    adding.bound = bound(conf);
    adding.wish = Wish {
        subnets: asked.subnets,
        pools: asked.pools,
        ips: asked.ips.iter().map(|ip| ip.address).collect(),
        family: asked.family,
        mac: asked.mac,
    };
    Ok(adding)
}
