//! The ledger on a real API server.

mod faults;
mod forms;
mod lost;
mod others;
mod releases;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use allotment_api::v1alpha1::AddressBlock;
use allotment_controller::ledger::{Keeper, KubeLedger};
use allotment_core::{Grant, Request};
use allotment_engine::conformance::{self, Content, Subject, World, pod, subnet};
use allotment_engine::{Engine, EngineError, Handle};
use allotment_fleet::Proxy;
use kube::ResourceExt;
use kube::api::ListParams;

use crate::plane::{Turn, turn};

/// A step of a test that takes longer has failed.
const PATIENCE: Duration = Duration::from_mins(1);

struct OnApiServer<'a>(&'a Turn);

impl Subject for OnApiServer<'_> {
    type Ledger = KubeLedger;

    fn open(&self) -> KubeLedger {
        self.0.ledger()
    }

    fn is_shared(&self) -> bool {
        true
    }
}

#[test]
fn it_does_what_every_ledger_does() {
    let turn = turn();
    conformance::run(|| {
        turn.empty();
        OnApiServer(&turn)
    });
}

/// An engine on the ledger, and who keeps it.
struct Engaged {
    engine: Handle,
    keeper: Keeper,
}

impl Turn {
    fn ledger(&self) -> KubeLedger {
        KubeLedger::new(self.client(), self.runtime.handle().clone())
    }

    /// A ledger that sees the API server through a proxy.
    fn ledger_through(&self, proxy: &Proxy<'_>) -> KubeLedger {
        let path = proxy.kubeconfig().unwrap();
        let client = self.runtime.block_on(allotment_cluster::connect(Some(&path))).unwrap();
        KubeLedger::new(client, self.runtime.handle().clone())
    }

    fn world(&self) -> World<KubeLedger> {
        World::load(self.ledger()).unwrap()
    }

    /// A ledger with subnet `a`.
    fn begun(&self, cidrs: &[&str]) -> World<KubeLedger> {
        let mut world = self.world();
        world.put(subnet("a", "default", cidrs)).unwrap();
        world
    }

    fn engaged(&self) -> Engaged {
        self.engage(self.ledger())
    }

    fn engage(&self, ledger: KubeLedger) -> Engaged {
        let keeper = ledger.keeper();
        let engine = Engine::open(ledger).unwrap();
        let (running, kept) = (keeper.clone(), engine.clone());
        self.runtime.spawn(async move { running.run(&kept).await });
        Engaged { engine, keeper }
    }

    /// Every object of the ledger by name, ascending.
    fn objects(&self) -> Vec<AddressBlock> {
        let mut objects = self.runtime.block_on(self.blocks().list(&ListParams::default())).unwrap().items;
        objects.sort_by_key(ResourceExt::name_any);
        objects
    }

    fn names(&self) -> Vec<String> {
        self.objects().iter().map(ResourceExt::name_any).collect()
    }

    /// Waits until something is so.
    fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
            self.runtime.block_on(tokio::task::yield_now());
        }
    }
}

impl Engaged {
    fn put(&self, turn: &Turn, cidrs: &[&str]) {
        turn.runtime.block_on(self.engine.put(subnet("a", "default", cidrs))).unwrap();
    }

    fn ask(&self, turn: &Turn, request: Request) -> Result<Grant, EngineError> {
        turn.runtime.block_on(self.engine.allocate(request, Instant::now() + PATIENCE))
    }

    /// Asks until the ledger can be written.
    fn granted(&self, turn: &Turn, n: u64) -> IpAddr {
        let grant = turn.wait_for("the ledger is written", || match self.ask(turn, pod(n, "a")) {
            Ok(grant) => Some(grant),
            Err(EngineError::Ledger(_)) => None,
            Err(error) => panic!("{error}"),
        });
        grant.entries[0].ips[0].address
    }

    fn content(&self, turn: &Turn) -> Content {
        turn.runtime.block_on(self.engine.read(|state, _| Content::of(state))).unwrap()
    }
}

/// What a process finds that starts now.
fn restarted(turn: &Turn) -> Content {
    turn.world().content()
}
