//! Subnets that a configuration implies, as `host-local`'s and `static`'s do (O5).
//!
//! They are put into the ledger when an ADD first needs them, and again when a configuration was edited. Each configuration
//! draws from its own ranges only: while it does, no other one may change them.

use std::collections::HashMap;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use allotment_core::{Cidr, IpRange, Object, Order, State, SubnetSpec};
use allotment_engine::{EngineError, Handle};
use allotment_wire::cni::{Error, code};

/// What a configuration implies: a part of one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ground {
    pub(crate) cidr: Cidr,
    /// What may be drawn; empty: nothing is drawn, addresses are asked for by name.
    pub(crate) within: Vec<IpRange>,
    /// Gateways: not drawn.
    pub(crate) exclude: Vec<IpRange>,
}

/// The implied subnets in force, by VRF.
#[derive(Default)]
pub(crate) struct Implied {
    in_force: RwLock<HashMap<String, Vec<SubnetSpec>>>,
}

/// As long as it lives, the subnets stay as they are.
pub(crate) struct Lent<'a> {
    /// The subnets' names, in the order of the grounds.
    pub(crate) subnets: Vec<String>,
    _guard: RwLockReadGuard<'a, HashMap<String, Vec<SubnetSpec>>>,
}

/// Why they cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImpliedError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("`{new}` overlaps {} networks that this network name had before: {}", .old.len(), .old.join(", "))]
    Merges { new: Cidr, old: Vec<String> },
}

impl Implied {
    /// Sees that every ground of a VRF is in force, and keeps it so.
    pub(crate) async fn lend(
        &self,
        engine: &Handle,
        vrf: &str,
        grounds: &[Ground],
    ) -> Result<Lent<'_>, ImpliedError> {
        let guard = self.in_force.read().await;
        if let Some(subnets) = guard.get(vrf).and_then(|known| find_all(known, grounds)) {
            return Ok(Lent { subnets, _guard: guard });
        }
        drop(guard);
        let mut guard = self.in_force.write().await;
        // Taken out meanwhile: if this breaks off, nothing is believed of the VRF until it is read again.
        let mut known = match guard.remove(vrf) {
            Some(known) => known,
            None => read(engine, vrf).await?,
        };
        for ground in grounds {
            let spec = adapt(&known, vrf, ground)?;
            if !known.contains(&spec) {
                engine.put(Object::Subnet(spec.clone())).await?;
                known.retain(|old| old.name != spec.name);
                known.push(spec);
            }
        }
        let subnets = find_all(&known, grounds).expect("every ground was put in force just now");
        guard.insert(vrf.to_owned(), known);
        Ok(Lent { subnets, _guard: RwLockWriteGuard::downgrade(guard) })
    }
}

impl Implied {
    /// The names of the subnets that grounds are or would be in, whether those have them in force or not.
    pub(crate) async fn names(
        &self,
        engine: &Handle,
        vrf: &str,
        grounds: &[Ground],
    ) -> Result<Vec<String>, ImpliedError> {
        let known = read(engine, vrf).await?;
        grounds.iter().map(|ground| adapt(&known, vrf, ground).map(|spec| spec.name)).collect()
    }
}

/// The subnets of a VRF, as the ledger has them.
async fn read(engine: &Handle, vrf: &str) -> Result<Vec<SubnetSpec>, EngineError> {
    let vrf = vrf.to_owned();
    let subnets = move |state: &State, _| {
        let subnets = state.objects().filter_map(|object| match object {
            Object::Subnet(spec) if spec.vrf == vrf => Some(spec),
            _ => None,
        });
        subnets.collect()
    };
    engine.read(subnets).await
}

/// The subnets that have these grounds in force, one each.
fn find_all(known: &[SubnetSpec], grounds: &[Ground]) -> Option<Vec<String>> {
    let find = |ground: &Ground| {
        let fits = |spec: &&SubnetSpec| {
            spec.cidrs.iter().any(|cidr| covers(cidr, &ground.cidr))
                && spec.within == ground.within
                && spec.exclude == ground.exclude
        };
        known.iter().find(fits).map(|spec| spec.name.clone())
    };
    grounds.iter().map(find).collect()
}

fn covers(outer: &Cidr, inner: &Cidr) -> bool {
    outer.contains(inner.first()) && outer.prefix() <= inner.prefix()
}

/// The subnet that a ground needs: the one it lies in, that one grown, or a new one. It never shrinks, so that no holder of
/// an address from before the edit stands in the way.
fn adapt(known: &[SubnetSpec], vrf: &str, ground: &Ground) -> Result<SubnetSpec, ImpliedError> {
    let overlapping: Vec<&SubnetSpec> =
        known.iter().filter(|spec| spec.cidrs.iter().any(|cidr| cidr.overlaps(&ground.cidr))).collect();
    let mut spec = match overlapping[..] {
        [] => {
            let name =
                if ground.within.is_empty() { vrf.to_owned() } else { format!("{vrf}/{}", ground.cidr) };
            SubnetSpec {
                vrf: vrf.to_owned(),
                gateways: Some(Vec::new()),
                cooling_ms: 0,
                order: Order::NextAfterLast,
                ..SubnetSpec::new(&name, vec![ground.cidr])
            }
        }
        [one] => one.clone(),
        _ => {
            let old = overlapping.iter().flat_map(|spec| &spec.cidrs).map(ToString::to_string).collect();
            return Err(ImpliedError::Merges { new: ground.cidr, old });
        }
    };
    if !spec.cidrs.iter().any(|cidr| covers(cidr, &ground.cidr)) {
        spec.cidrs = vec![ground.cidr];
    }
    spec.within.clone_from(&ground.within);
    spec.exclude.clone_from(&ground.exclude);
    Ok(spec)
}

impl ImpliedError {
    /// What the runtime is told; `failed` knows what to make of the engine's errors.
    pub(crate) fn told(self, failed: impl FnOnce(EngineError) -> Error) -> Error {
        match self {
            ImpliedError::Engine(why) => failed(why),
            merges @ ImpliedError::Merges { .. } => Error::new(
                code::INVALID_CONFIG,
                merges.to_string(),
                "give the wider network another name or another `dataDir`",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground(cidr: &str, within: &str) -> Ground {
        Ground { cidr: cidr.parse().unwrap(), within: vec![within.parse().unwrap()], exclude: Vec::new() }
    }

    #[test]
    fn an_edited_configuration_replaces_its_subnet_and_never_shrinks_it() {
        let mut known = Vec::new();
        let mut put = |cidr, within| {
            let spec = adapt(&known, "v", &ground(cidr, within))?;
            known.retain(|old: &SubnetSpec| old.name != spec.name);
            known.push(spec.clone());
            Ok::<_, ImpliedError>((spec.name, spec.cidrs[0].to_string(), spec.within[0].to_string()))
        };
        let row =
            |name: &str, cidr: &str, within: &str| (name.to_owned(), cidr.to_owned(), within.to_owned());
        let first = put("10.1.2.0/24", "10.1.2.2-10.1.2.9").unwrap();
        assert_eq!(first, row("v/10.1.2.0/24", "10.1.2.0/24", "10.1.2.2-10.1.2.9"));
        let narrower = put("10.1.2.0/25", "10.1.2.5").unwrap();
        assert_eq!(narrower, row("v/10.1.2.0/24", "10.1.2.0/24", "10.1.2.5"));
        let wider = put("10.1.0.0/16", "10.1.7.7").unwrap();
        assert_eq!(wider, row("v/10.1.2.0/24", "10.1.0.0/16", "10.1.7.7"));
        put("10.2.0.0/16", "10.2.0.5").unwrap();
        let error = put("10.0.0.0/8", "10.3.0.5").unwrap_err().to_string();
        assert_eq!(
            error,
            "`10.0.0.0/8` overlaps 2 networks that this network name had before: 10.1.0.0/16, 10.2.0.0/16"
        );
    }
}
