//! Where a want may draw from: what it names, else what is bound to its network, to its namespace, else the default.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::plan::Planner;
use super::record::NONE;
use super::refuse;
use crate::address::key_of;
use crate::request::Target;
use crate::{Asked, Choice, Code, DEFAULT_VRF, PoolSpec, Refusal, SubnetSpec, Want};

/// A subnet, or a pool of it, to draw from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Drawn {
    pub(super) subnet: u32,
    /// The pool named; `NONE`: the subnet.
    pub(super) pool: u32,
    pub(super) choice: Choice,
}

pub(super) type Targets = SmallVec<[Drawn; 2]>;

impl Planner<'_> {
    /// The targets of a want, in the order in which they are tried; at least one.
    pub(super) fn targets(&self, want: &Want) -> Result<Targets, Refusal> {
        if self.is_named(want) {
            return self.named_targets(want);
        }
        let mut targets = self.implied(want);
        let denied = match &want.ips {
            Asked::Nothing => Vec::new(),
            Asked::Each(ips) | Asked::OneOf(ips) => self.by_address(&mut targets, ips),
        };
        match (&want.ips, denied.is_empty()) {
            (Asked::OneOf(_), _) | (_, true) if !targets.is_empty() => Ok(targets),
            (_, true) => Err(self.nothing_bound(want)),
            _ => Err(refuse::all(denied)),
        }
    }

    /// Whether what the want names is drawn from. A subnet that names the network was made for it, and a namespace chooses
    /// among the others.
    pub(super) fn is_named(&self, want: &Want) -> bool {
        !want.targets.is_empty()
            && (want.source != Some(Choice::Namespace) || self.of_network(want).is_empty())
    }

    /// Adds the subnets of addresses that are asked for but lie in no target: an explicit address needs nothing else.
    /// Returns what stands in the way of others.
    fn by_address(&self, targets: &mut Targets, asked: &[IpAddr]) -> Vec<Refusal> {
        let mut denied = Vec::new();
        let state = self.state;
        let objects = &state.objects;
        let vrf = match targets.first() {
            Some(target) => Some(objects.subnets.get(target.subnet).vrf),
            None => state.store.vrfs.find(DEFAULT_VRF, state.store.seed),
        };
        for &ip in asked {
            let Some(subnet) = vrf.and_then(|vrf| objects.subnet_ranges.find(vrf, key_of(ip))) else {
                let vrf = vrf.map_or(DEFAULT_VRF, |vrf| state.store.vrfs.get(vrf));
                denied.push(refuse::nowhere(state, self.request, vrf, ip));
                continue;
            };
            if targets.iter().any(|target| target.subnet == subnet) {
                continue;
            }
            let spec = &objects.subnets.get(subnet).spec;
            if self.permits(spec) {
                targets.push(Drawn { subnet, pool: NONE, choice: Choice::Address });
            } else {
                denied.push(refuse::not_bound(self.request, spec));
            }
        }
        denied
    }

    fn named_targets(&self, want: &Want) -> Result<Targets, Refusal> {
        let objects = &self.state.objects;
        let choice = want.source.unwrap_or(Choice::Request);
        let mut targets = Targets::new();
        let mut denied = Vec::new();
        for target in &want.targets {
            let (subnet, pool) = match target {
                Target::Subnet(name) => {
                    let found = objects.subnets.find(name);
                    (found.ok_or_else(|| refuse::unknown(self.state, self.request, "subnet", name))?, NONE)
                }
                Target::Pool(name) => {
                    let found = objects.pools.find(name);
                    let pool =
                        found.ok_or_else(|| refuse::unknown(self.state, self.request, "pool", name))?;
                    (objects.pools.get(pool).subnet, pool)
                }
            };
            let spec = &objects.subnets.get(subnet).spec;
            if !self.permits(spec) {
                denied.push(refuse::not_bound(self.request, spec));
            } else if pool != NONE && !self.admits(&objects.pools.get(pool).spec) {
                denied.push(refuse::not_selected(self.request, &objects.pools.get(pool).spec));
            } else {
                targets.push(Drawn { subnet, pool, choice });
            }
        }
        if targets.is_empty() { Err(refuse::all(denied)) } else { Ok(targets) }
    }

    /// Those of the numbered subnets that the request's namespace may use.
    fn permitted(&self, numbers: &[u32], choice: Choice) -> Targets {
        (numbers.iter())
            .filter(|&&subnet| self.permits(&self.state.objects.subnets.get(subnet).spec))
            .map(|&subnet| Drawn { subnet, pool: NONE, choice })
            .collect()
    }

    /// The subnets that name the want's network.
    fn of_network(&self, want: &Want) -> Targets {
        self.permitted(self.state.objects.of_network(&want.attachment.network), Choice::Network)
    }

    fn implied(&self, want: &Want) -> Targets {
        let objects = &self.state.objects;
        let targets = self.of_network(want);
        if !targets.is_empty() {
            return targets;
        }
        let mut bound: SmallVec<[u32; 4]> =
            SmallVec::from_slice(objects.of_namespace(&self.request.namespace));
        let selecting =
            objects.selecting().iter().filter(|&&subnet| self.permits(&objects.subnets.get(subnet).spec));
        bound.extend(selecting.copied());
        bound.sort_by(|&a, &b| objects.subnets.get(a).spec.name.cmp(&objects.subnets.get(b).spec.name));
        bound.dedup();
        let targets = self.permitted(&bound, Choice::Selector);
        if targets.is_empty() { self.permitted(objects.defaults(), Choice::Default) } else { targets }
    }

    fn nothing_bound(&self, want: &Want) -> Refusal {
        let namespace = match self.request.namespace.as_str() {
            "" => String::new(),
            name => format!(" or to namespace `{name}`"),
        };
        let text = format!(
            "nothing says where {} gets its address on network `{}`: no subnet is named, none is bound to the network\
             {namespace}, and no default subnet may be used",
            self.request.owner, want.attachment.network
        );
        let hint = "name a subnet in the `ipam` section, list the network in a subnet's `networks`, or set \
                    `default: true` on one";
        Refusal::new(Code::NotAllowed, text, hint).count("subnets", self.state.objects.subnets.all().count())
    }

    /// Whether the request's namespace may use a subnet.
    pub(super) fn permits(&self, spec: &SubnetSpec) -> bool {
        let open = spec.namespaces.is_empty() && spec.namespace_selector.is_none();
        open || spec.namespaces.contains(&self.request.namespace)
            || spec.namespace_selector.as_ref().is_some_and(|s| s.matches(&self.request.namespace_labels))
    }

    /// Whether nothing that a pool says keeps the request out.
    pub(super) fn admits(&self, spec: &PoolSpec) -> bool {
        let fits =
            |selector: &Option<crate::Selector>, labels| selector.as_ref().is_none_or(|s| s.matches(labels));
        (spec.namespaces.is_empty() || spec.namespaces.contains(&self.request.namespace))
            && fits(&spec.pod_selector, &self.request.pod_labels)
            && fits(&spec.namespace_selector, &self.request.namespace_labels)
            && fits(&spec.node_selector, &self.request.node_labels)
    }

    /// Whether a pool takes the request without being named: it has selectors, and all of them match.
    pub(super) fn selects(&self, spec: &PoolSpec) -> bool {
        let has_selectors = !spec.namespaces.is_empty()
            || spec.pod_selector.is_some()
            || spec.namespace_selector.is_some()
            || spec.node_selector.is_some();
        has_selectors && self.admits(spec)
    }
}
