//! The engine on the embedded ledger, in process: group commit against one commit per allocation, and the rebuild of a
//! million allocations. `cargo bench -p allotment-engine`, with `-- --json` for machines.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use allotment_engine::conformance::{World, ended, pod, subnet};
use allotment_engine::{EmbeddedLedger, Engine, Handle, Options};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// Addresses held on the /16 while it is churned: half of it.
const HELD: u64 = 32_768;
/// How long each row is measured.
const MEASURE: Duration = Duration::from_secs(3);
/// Allocations of the rebuild.
const REBUILD: u64 = 1_000_000;

#[derive(Debug)]
struct Row {
    mode: &'static str,
    callers: u64,
    calls_per_second: f64,
    p50_micros: u128,
    p99_micros: u128,
    worst_micros: u128,
    commits: u64,
    bytes_written_per_call: f64,
    file_bytes: u64,
}

fn main() {
    let json = std::env::args().any(|arg| arg == "--json");
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target folder can be written");
    let (filesystem, fdatasync) = (filesystem_of(folder.path()), fdatasync_median(folder.path()));
    if !json {
        println!(
            "filesystem {filesystem}, median of a bare fdatasync after 4 KiB: {} µs",
            fdatasync.as_micros()
        );
        println!(
            "release of a random held address + allocate, on a churned /16 with {HELD} held; both are durable"
        );
        println!(
            "{:<12}{:>8}{:>10}{:>9}{:>9}{:>9}{:>9}{:>10}{:>9}",
            "", "callers", "calls/s", "p50 µs", "p99 µs", "max µs", "commits", "B/call", "file MB"
        );
    }
    let mut rows = Vec::new();
    for callers in [1, 8, 64, 512] {
        for (mode, batch, linger) in
            [("one by one", 1, Duration::ZERO), ("grouped", 1024, Options::default().linger)]
        {
            let row = churn(folder.path(), mode, callers, Options { batch, linger, ..Options::default() });
            if !json {
                println!(
                    "{:<12}{:>8}{:>10.0}{:>9}{:>9}{:>9}{:>9}{:>10.0}{:>9.1}",
                    row.mode,
                    row.callers,
                    row.calls_per_second,
                    row.p50_micros,
                    row.p99_micros,
                    row.worst_micros,
                    row.commits,
                    row.bytes_written_per_call,
                    row.file_bytes as f64 / 1e6
                );
            }
            rows.push(row);
        }
    }
    let ratio = |callers| {
        let of = |mode| {
            rows.iter()
                .find(|row| row.callers == callers && row.mode == mode)
                .map_or(f64::NAN, |row| row.calls_per_second)
        };
        of("grouped") / of("one by one")
    };
    if !json {
        println!("grouped / one by one at 64 callers: {:.1} ×", ratio(64));
    }
    rebuild(folder.path());
}

/// The names of what is held now, shared out among the callers.
fn churn(folder: &Path, mode: &'static str, callers: u64, options: Options) -> Row {
    let folder = TempDir::new_in(folder).expect("a folder in a folder");
    prefill(folder.path());
    let ledger = EmbeddedLedger::open(folder.path()).expect("it was made just now");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let handle = Engine::open_with(ledger, options).expect("it was made just now");
        let next = Arc::new(AtomicU64::new(HELD));
        let (commits, written) = (handle.metrics().commits.get(), bytes_written());
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for caller in 0..callers {
            tasks.spawn(caller_loop(handle.clone(), caller, callers, Arc::clone(&next), began + MEASURE));
        }
        let mut latencies: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
        let took = began.elapsed();
        latencies.sort_unstable();
        let row = Row {
            mode,
            callers,
            calls_per_second: latencies.len() as f64 / took.as_secs_f64(),
            p50_micros: latencies[latencies.len() / 2].as_micros(),
            p99_micros: latencies[latencies.len() * 99 / 100].as_micros(),
            worst_micros: latencies[latencies.len() - 1].as_micros(),
            commits: {
                let m = handle.metrics();
                eprintln!(
                    "avg commit {} us, avg batch {}",
                    m.commit_micros.sum() / m.commits.get().max(1),
                    m.batch.sum() / m.commits.get().max(1)
                );
                handle.metrics().commits.get() - commits
            },
            bytes_written_per_call: (bytes_written() - written) as f64 / latencies.len() as f64,
            file_bytes: fs::metadata(folder.path().join("ledger.redb")).expect("it is there").len(),
        };
        handle.stop().await;
        row
    })
}

async fn caller_loop(
    handle: Handle,
    caller: u64,
    callers: u64,
    next: Arc<AtomicU64>,
    end: Instant,
) -> Vec<Duration> {
    let mut held: Vec<u64> = (0..HELD).filter(|n| n % callers == caller).collect();
    let mut random = caller * 2 + 1;
    let mut latencies = Vec::new();
    while Instant::now() < end {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let which = usize::try_from(random >> 33).expect("31 bits") % held.len();
        let release = ended(held[which]);
        let deadline = end + Duration::from_secs(60);
        let began = Instant::now();
        handle.release(release, deadline).await.expect("released");
        latencies.push(began.elapsed());
        held[which] = next.fetch_add(1, Ordering::Relaxed);
        let request = pod(held[which], "a");
        let began = Instant::now();
        handle.allocate(request, deadline).await.expect("half of it is free");
        latencies.push(began.elapsed());
    }
    latencies
}

/// A /16 of which every address was used once and half are held, at random places.
fn prefill(folder: &Path) {
    let mut world =
        World::load(EmbeddedLedger::open(folder).expect("an empty folder")).expect("an empty ledger");
    world.put(subnet("a", "default", &["10.0.0.0/16"])).expect("committed");
    let mut held: Vec<u64> = Vec::new();
    let mut random = 1u64;
    for first in (0..65_000).step_by(1000) {
        let requests: Vec<_> = (first..first + 1000).map(|n| pod(n + 1_000_000, "a")).collect();
        world.allocate(&requests).expect("committed");
        held.extend(first + 1_000_000..first + 1_001_000);
    }
    while held.len() as u64 > 0 {
        let mut releases = Vec::new();
        for _ in 0..1000.min(held.len()) {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let n = held.swap_remove(usize::try_from(random >> 33).expect("31 bits") % held.len());
            releases.push(ended(n));
        }
        world.release(&releases).expect("committed");
    }
    for first in (0..HELD).step_by(1024) {
        world.allocate(&(first..first + 1024).map(|n| pod(n, "a")).collect::<Vec<_>>()).expect("committed");
    }
}

fn rebuild(folder: &Path) {
    let folder = TempDir::new_in(folder).expect("a folder in a folder");
    let mut world =
        World::load(EmbeddedLedger::open(folder.path()).expect("an empty folder")).expect("an empty ledger");
    world.put(subnet("a", "default", &["10.0.0.0/8"])).expect("committed");
    let began = Instant::now();
    for first in (0..REBUILD).step_by(4096) {
        let last = (first + 4096).min(REBUILD);
        world.allocate(&(first..last).map(|n| pod(n, "a")).collect::<Vec<_>>()).expect("committed");
    }
    println!("{REBUILD} allocations made in {:?}", began.elapsed());
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).expect("a folder in a folder");
    fs::copy(folder.path().join("ledger.redb"), copy.join("ledger.redb")).expect("copied");
    drop(world);
    for (name, folder) in [("after a clean stop", folder.path()), ("after SIGKILL", &copy)] {
        let began = Instant::now();
        let ledger = EmbeddedLedger::open(folder).expect("it is well");
        let opened = began.elapsed();
        let world = World::load(ledger).expect("it is well");
        println!(
            "rebuild {name}: {:?}, {opened:?} of it opening and checking; {:?} records, file {} MB",
            began.elapsed(),
            world.state.len(),
            fs::metadata(folder.join("ledger.redb")).expect("it is there").len() / 1_000_000
        );
    }
}

/// Bytes that this process caused to be written to disks so far.
fn bytes_written() -> u64 {
    let io = fs::read_to_string("/proc/self/io").expect("Linux has it");
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).expect("Linux counts them");
    line.parse().expect("it is a number")
}

/// The type of the filesystem that a folder is on.
fn filesystem_of(folder: &Path) -> String {
    let folder = folder.canonicalize().expect("it is there");
    let mounts = fs::read_to_string("/proc/self/mounts").expect("Linux has it");
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let longest = mounts.filter(|(point, _)| folder.starts_with(point)).max_by_key(|(point, _)| point.len());
    longest.map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

fn fdatasync_median(folder: &Path) -> Duration {
    let mut file = fs::File::create(folder.join("sync")).expect("it can be written");
    file.write_all(&vec![0; 4 << 20]).expect("it can be written");
    file.sync_all().expect("it can be synced");
    let once = |n: u64| {
        std::os::unix::fs::FileExt::write_all_at(&file, &[1; 4096], n % 1024 * 4096)
            .expect("it can be written");
        let began = Instant::now();
        file.sync_data().expect("it can be synced");
        began.elapsed()
    };
    let mut took: Vec<Duration> = (0..301).map(once).collect();
    took.sort_unstable();
    took[150]
}
