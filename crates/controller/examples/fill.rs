//! Fills the ledger of a cluster, for measuring: `fill KUBECONFIG SUBNET CIDR HELD USED`.
//!
//! First HELD + USED addresses are given to pods that never were, then USED of them, drawn at random, are taken back.
//! The Subnet is declared in the ledger alone; the API server needs the same one. No controller may lead meanwhile.

use std::collections::BTreeSet;
use std::path::Path;

use allotment_cluster::connect;
use allotment_controller::ledger::KubeLedger;
use allotment_engine::conformance::{World, ended, pod, subnet};
use tokio::runtime::Runtime;

/// Allocations of one commit: many, as each writes every block that it touches.
const BATCH: usize = 8192;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kubeconfig, name, cidr, held, used] = words.as_slice() else {
        return Err("usage: fill KUBECONFIG SUBNET CIDR HELD USED".into());
    };
    let (held, used): (u64, u64) = (held.parse()?, used.parse()?);
    let runtime = Runtime::new()?;
    let client = runtime.block_on(connect(Some(Path::new(kubeconfig))))?;
    let mut world = World::load(KubeLedger::new(client, runtime.handle().clone()))?;
    world.put(subnet(name, "default", &[cidr.as_str()]))?;
    let all: Vec<u64> = (0..held + used).collect();
    for part in all.chunks(BATCH) {
        let granted = world.allocate(&part.iter().map(|&n| pod(n, name)).collect::<Vec<_>>())?;
        if let Some(Err(refusal)) = granted.into_iter().find(Result::is_err) {
            return Err(format!("{cidr} has too few addresses: {refusal}").into());
        }
    }
    let taken_back = draw(&all, usize::try_from(used)?);
    for part in taken_back.chunks(BATCH) {
        world.release(&part.iter().map(|&n| ended(n)).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// So many of them, in an order that looks like chance and is always the same.
fn draw(all: &[u64], count: usize) -> Vec<u64> {
    // A multiplier that scatters, as in every linear congruential generator; the set gives it an order.
    let scattered: BTreeSet<(u64, u64)> =
        all.iter().map(|&n| (n.wrapping_mul(6_364_136_223_846_793_005).rotate_left(29), n)).collect();
    scattered.into_iter().map(|(_, n)| n).take(count).collect()
}
