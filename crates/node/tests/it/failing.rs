//! A ledger that cannot be written for a while.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use allotment_core::{Object, State, SubnetSpec};
use allotment_engine::{Batch, CommitError, EmbeddedLedger, Ledger, LedgerError};
use serde_json::{Value, json};

use crate::world::{World, call};

/// Fails every commit while `fails` is set.
struct Failing {
    inner: EmbeddedLedger,
    fails: Arc<AtomicBool>,
}

impl Ledger for Failing {
    fn load(&mut self, state: &mut State) -> Result<(), LedgerError> {
        self.inner.load(state)
    }

    fn commit(&mut self, state: &State, batch: &Batch) -> Result<(), CommitError> {
        if self.fails.load(Ordering::Relaxed) {
            let why = "no space left on device".to_owned();
            return Err(LedgerError::Write { place: "the disk".to_owned(), why }.into());
        }
        self.inner.commit(state, batch)
    }

    fn reload(&mut self, state: &mut State, blocks: &[(String, IpAddr)]) -> Result<(), LedgerError> {
        self.inner.reload(state, blocks)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_the_node_says_so_until_it_can_be_written() {
    let fails = Arc::new(AtomicBool::new(false));
    let world =
        World::start_on(tempfile::tempdir().unwrap(), |inner| Failing { inner, fails: fails.clone() });
    world
        .engine
        .put(Object::Subnet(SubnetSpec::new("a", vec!["10.0.0.0/24".parse().unwrap()])))
        .await
        .unwrap();
    let add = |id| call("ADD", id).ipam("subnets", json!(["a"]));
    world.add(add("c1")).await.unwrap();
    fails.store(true, Ordering::Relaxed);
    let failure = world.add(add("c2")).await.unwrap_err();
    assert!(failure.code == 11 && failure.msg.contains("no space left on device"), "{failure:?}");
    assert_eq!(world.call(call("STATUS", "")).await.unwrap_err().code, 50);
    assert_eq!(world.call(call("DEL", "c1")).await.unwrap(), Value::Null, "kept for later");
    assert_eq!(std::fs::read_dir(world.pending()).unwrap().count(), 1);
    assert_eq!(world.active().await, ["10.0.0.2"]);
    fails.store(false, Ordering::Relaxed);
    // The engine does not try again at once.
    while world.service.replay_pending().await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.call(call("STATUS", "")).await.unwrap(), Value::Null, "a release was written");
    assert_eq!(std::fs::read_dir(world.pending()).unwrap().count(), 0);
    assert!(world.active().await.is_empty());
    world.add(add("c2")).await.unwrap();
}
