//! The ledger on a real API server: what a commit takes and writes, alone and in a burst, and how long a start with a
//! million allocations takes. `cargo bench -p allotment-controller`; `-- --json` prints a line for machines.
#![expect(clippy::print_stdout, reason = "it is what a benchmark is for")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::time::{Duration, Instant};

use allotment_controller::ledger::{Keeper, KubeLedger};
use allotment_core::{Attachment, Mac, MacWant, Object, Owner, Request, SubnetSpec, Target, Want};
use allotment_engine::conformance::World;
use allotment_engine::{Engine, Handle};
use allotment_fleet::{ControlPlane, Durability, Settings, objects};
use futures_util::future::join_all;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Commits of a trickle: one allocation each, so that the block that all of them are in fills up.
const TRICKLE: usize = 254;
/// Pods of a burst, each with two interfaces.
const BURST: usize = 1000;
/// Allocations that are there at a start.
const HELD: [usize; 3] = [100, 100_000, 1_000_000];
/// Starts that the median is of.
const STARTS: usize = 3;
/// Addresses in one commit while the ledger is filled.
const STEP: usize = 4096;

fn main() {
    let settings = Settings { durability: Durability::Fsync, ..Settings::default() };
    let plane = ControlPlane::start_with(settings).expect("a control plane");
    let runtime = Runtime::new().expect("a runtime");
    let client = {
        let _entered = runtime.enter();
        plane.client().expect("a client")
    };
    let bench = Bench { plane: &plane, runtime, client };
    let kinds = allotment_api::crds_yaml();
    bench.runtime.block_on(objects::apply(&bench.client, &kinds)).expect("the kinds are made");
    let commits = [bench.trickle(), bench.burst()];
    let starts: Vec<Value> = HELD.into_iter().map(|held| bench.start(held)).collect();
    if std::env::args().any(|arg| arg == "--json") {
        println!("{}", json!({"commits": commits, "starts": starts}));
        return;
    }
    println!(
        "\ncommits to the API server, etcd durable, {TRICKLE} pods one by one, {BURST} pods with two interfaces at once:"
    );
    print(
        &commits,
        &[
            "mode",
            "allocations",
            "seconds",
            "commits",
            "writes",
            "bytesPerAllocation",
            "p50Millis",
            "p99Millis",
        ],
    );
    println!("\nstart, from the first request to an engine that plans, median of {STARTS}:");
    print(&starts, &["allocations", "objects", "megabytes", "seconds", "apiServerMB"]);
}

struct Bench<'a> {
    plane: &'a ControlPlane,
    runtime: Runtime,
    client: Client,
}

impl Bench<'_> {
    /// An engine on an empty ledger with one subnet.
    fn begin(&self, cidr: &str) -> (Handle, Keeper) {
        let blocks: Api<allotment_api::v1alpha1::AddressBlock> = Api::all(self.client.clone());
        self.runtime.block_on(async {
            blocks
                .delete_collection(&DeleteParams::default(), &ListParams::default())
                .await
                .expect("deleted");
        });
        let ledger = self.ledger();
        let keeper = ledger.keeper();
        let engine = Engine::open(ledger).expect("the ledger is empty");
        let spec = SubnetSpec::new("rack-a", vec![cidr.parse().expect("a CIDR")]);
        self.runtime.block_on(engine.put(Object::Subnet(spec))).expect("put");
        (engine, keeper)
    }

    fn ledger(&self) -> KubeLedger {
        KubeLedger::new(self.client.clone(), self.runtime.handle().clone())
    }

    /// Each allocation waits for the one before.
    fn trickle(&self) -> Value {
        let (engine, keeper) = self.begin("10.40.0.0/16");
        let mut random = Random(1);
        let before = Counted::of(&engine, &keeper);
        let mut latencies = Vec::new();
        let began = Instant::now();
        for _ in 0..TRICKLE {
            let (request, asked) = (pod(&mut random, 1), Instant::now());
            self.runtime.block_on(engine.allocate(request, deadline())).expect("granted");
            latencies.push(asked.elapsed());
        }
        row("trickle", TRICKLE, began.elapsed(), before.until(&engine, &keeper), &mut latencies)
    }

    /// All at once, as when a job starts.
    fn burst(&self) -> Value {
        let (engine, keeper) = self.begin("10.40.0.0/16");
        let mut random = Random(2);
        let before = Counted::of(&engine, &keeper);
        let requests: Vec<Request> = (0..BURST).map(|_| pod(&mut random, 2)).collect();
        let began = Instant::now();
        let ask = |request| async {
            engine.allocate(request, deadline()).await.expect("granted");
            began.elapsed()
        };
        let mut latencies = self.runtime.block_on(join_all(requests.into_iter().map(ask)));
        row("burst", 2 * BURST, began.elapsed(), before.until(&engine, &keeper), &mut latencies)
    }

    /// A process that starts on a ledger with so many allocations.
    fn start(&self, held: usize) -> Value {
        let (engine, _) = self.begin("10.0.0.0/8");
        self.runtime.block_on(engine.stop());
        let mut random = Random(3);
        let mut world = World::load(self.ledger()).expect("it was begun");
        for from in (0..held).step_by(STEP) {
            let requests: Vec<Request> = (from..held.min(from + STEP)).map(|_| pod(&mut random, 1)).collect();
            let grants = world.allocate(&requests).expect("written");
            assert!(grants.iter().all(Result::is_ok));
        }
        drop(world);
        let mut times = Vec::new();
        for _ in 0..STARTS {
            let began = Instant::now();
            let engine = Engine::open(self.ledger()).expect("it is well");
            let there = self.runtime.block_on(engine.read(|state, _| state.len())).expect("read");
            times.push(began.elapsed());
            assert_eq!(there, held);
            self.runtime.block_on(engine.stop());
        }
        times.sort();
        let blocks: Api<allotment_api::v1alpha1::AddressBlock> = Api::all(self.client.clone());
        let all = self.runtime.block_on(blocks.list(&ListParams::default())).expect("listed").items;
        let bytes: usize = all.iter().map(|block| block.spec.data.len()).sum();
        let resident = self.plane.api_server().usage().expect("it runs").resident;
        json!({
            "allocations": held,
            "objects": all.len(),
            "megabytes": bytes as f64 / 1e6,
            "seconds": times[STARTS / 2].as_secs_f64(),
            "apiServerMB": resident as f64 / 1e6,
        })
    }
}

/// What was counted up to some moment, or since.
#[derive(Clone, Copy)]
struct Counted {
    commits: u64,
    writes: u64,
    bytes: u64,
}

impl Counted {
    fn of(engine: &Handle, keeper: &Keeper) -> Counted {
        let counts = keeper.counts();
        let commits = engine.metrics().commits.get();
        Counted { commits, writes: counts.writes.get(), bytes: counts.bytes.get() }
    }

    fn until(self, engine: &Handle, keeper: &Keeper) -> Counted {
        let now = Counted::of(engine, keeper);
        Counted {
            commits: now.commits - self.commits,
            writes: now.writes - self.writes,
            bytes: now.bytes - self.bytes,
        }
    }
}

fn row(
    mode: &str,
    allocations: usize,
    took: Duration,
    counted: Counted,
    latencies: &mut [Duration],
) -> Value {
    latencies.sort_unstable();
    let millis = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    json!({
        "mode": mode,
        "allocations": allocations,
        "seconds": took.as_secs_f64(),
        "commits": counted.commits,
        "writes": counted.writes,
        "bytesPerAllocation": counted.bytes as f64 / allocations as f64,
        "p50Millis": millis(50),
        "p99Millis": millis(99),
    })
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

fn print(rows: &[Value], columns: &[&str]) {
    let line = |cells: Vec<String>| {
        let padded = cells
            .iter()
            .zip(columns)
            .map(|(cell, column)| format!("{cell:>width$}", width = column.len().max(12)));
        println!("  {}", padded.collect::<Vec<_>>().join("  "));
    };
    line(columns.iter().map(ToString::to_string).collect());
    for row in rows {
        let cell = |column: &&str| match &row[*column] {
            Value::String(text) => text.clone(),
            Value::Number(number) if number.is_f64() => format!("{:.2}", number.as_f64().expect("it is one")),
            other => other.to_string(),
        };
        line(columns.iter().map(cell).collect());
    }
}

/// The same in every run, and nothing that compression gets the better of: UIDs and MACs are by chance in a cluster too.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        let [one, two, three] = [high >> 32, high >> 16 & 0xffff, high & 0xffff];
        format!("{one:08x}-{two:04x}-{three:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
    }
}

/// A pod of a Deployment, with so many interfaces.
fn pod(random: &mut Random, interfaces: usize) -> Request {
    let uid = random.uuid();
    let chance = random.next();
    let name = format!("checkout-frontend-7d9c5b8f46-{:05x}", chance & 0xf_ffff);
    let node = format!("worker-{:03}", chance >> 20 & 63);
    let want = |at: usize, bytes: [u8; 8]| Want {
        attachment: Attachment {
            holder: uid.clone(),
            network: if at == 0 { String::new() } else { format!("telecom/fast-{at}") },
            interface: if at == 0 { "eth0".to_owned() } else { format!("net{at}") },
            node: node.clone(),
            ..Attachment::default()
        },
        mac: Some(MacWant::Asked(Mac([2, bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]]))),
        targets: vec![Target::Subnet("rack-a".to_owned())],
        ..Want::default()
    };
    let wants = (0..interfaces).map(|at| want(at, random.next().to_le_bytes())).collect();
    let owner = Owner { kind: "Pod".to_owned(), namespace: "shop".to_owned(), name, uid };
    Request { owner, namespace: "shop".to_owned(), wants, ..Request::default() }
}
