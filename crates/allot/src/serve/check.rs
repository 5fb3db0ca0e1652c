//! `POST /v1/check`, and the check without a daemon: the files are tried on a copy of what is in force.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use allotment_core::{BlockId, Object, ObjectKey, ObjectKind, State};
use allotment_engine::Handle;
use allotment_wire::{CheckFile, CheckRow};

use super::copy::copy;
use super::ips::meets;
use super::reply::Trouble;
use crate::objects::{FromFiles, Scratch, Wanted, row, settle, steps};

/// What would be wrong with the files beside what is in force. Objects in `from_files` go if no file declares them any more.
pub(crate) async fn check(
    handle: &Handle,
    files: &[CheckFile],
    from_files: Arc<FromFiles>,
) -> Result<Vec<CheckRow>, Trouble> {
    let touched =
        Wanted::parse(files, &from_files).objects.into_values().map(|declared| match declared.value {
            Object::Subnet(subnet) => subnet.name,
            Object::IPPool(pool) => pool.subnet,
            Object::Reservation(reservation) => reservation.subnet,
        });
    let from_files_too = from_files.keys().filter(|key| key.kind == ObjectKind::Subnet);
    let touched: BTreeSet<String> = touched.chain(from_files_too.map(|key| key.name.clone())).collect();
    let (copy, _) = copy(handle, move |state, block| in_subnets(state, block, &touched)).await?;
    Ok(check_files(files, copy, &from_files).await)
}

/// What would be wrong with the files beside what is in `state`.
pub(crate) async fn check_files(files: &[CheckFile], state: State, from_files: &FromFiles) -> Vec<CheckRow> {
    let wanted = Wanted::parse(files, from_files);
    let in_force: BTreeMap<ObjectKey, Object> =
        state.objects().map(|object| (object.key(), object)).collect();
    let steps = steps(&in_force, from_files, &wanted);
    let settled = settle(&mut Scratch(state), steps).await;
    let blocked = settled.blocked.into_iter().map(|blocked| blocked.problem);
    wanted.problems.into_iter().chain(blocked).map(|problem| row(&problem)).collect()
}

/// Whether a block has addresses of the named subnets: only their holders can be in the way.
fn in_subnets(state: &State, block: BlockId, subnets: &BTreeSet<String>) -> bool {
    let subnet = |name: &String| state.object(&ObjectKey { kind: ObjectKind::Subnet, name: name.clone() });
    subnets.iter().filter_map(subnet).any(|object| match object {
        Object::Subnet(spec) => {
            spec.vrf == state.vrf_name(block) && spec.cidrs.iter().any(|&cidr| meets(block, cidr.into()))
        }
        _ => false,
    })
}
