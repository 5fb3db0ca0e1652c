//! The engine on the embedded ledger, in process: group commit against one commit per allocation on the same ledger,
//! and the rebuild of a million allocations. `cargo bench -p allotment-engine`; `-- --json` prints a line for machines.
#![expect(clippy::print_stdout, reason = "it is what a benchmark is for")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use allotment_engine::conformance::{World, ended, pod, subnet};
use allotment_engine::embedded::{Disk, FileDisk};
use allotment_engine::{EmbeddedLedger, Engine, Handle, Options};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Addresses held on the /16 while it is churned: half of it.
const HELD: u64 = 32_768;
/// How long each row is measured.
const MEASURE: Duration = Duration::from_secs(3);
/// Allocations of the rebuild.
const REBUILD: u64 = 1_000_000;

fn main() {
    let json = std::env::args().any(|arg| arg == "--json");
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target folder can be written");
    let (filesystem, fdatasync) = (filesystem_of(folder.path()), fdatasync_median(folder.path()));
    let prefilled = folder.path().join("prefilled");
    prefill(&prefilled);
    let mut rows = Vec::new();
    for callers in [1, 8, 64, 512] {
        for (mode, batch, linger) in
            [("one by one", 1, Duration::ZERO), ("grouped", 1024, Options::default().linger)]
        {
            let options = Options { batch, linger, ..Options::default() };
            rows.push(churn(&prefilled, mode, callers, HELD, options));
        }
    }
    let million = folder.path().join("million");
    let rebuilds = rebuild(&million);
    rows.push(churn(&million, "grouped, 1 M", 64, REBUILD, Options::default()));
    if json {
        let micros = fdatasync.as_secs_f64() * 1e6;
        println!(
            "{}",
            json!({"filesystem": filesystem, "fdatasyncMicros": micros, "churn": rows, "rebuild": rebuilds})
        );
        return;
    }
    println!("{filesystem}; a bare fdatasync of 4 KiB takes {fdatasync:.1?} (median)");
    println!(
        "\nrelease of a random held address, then allocate, both durable; a churned /16 with {HELD} held:"
    );
    print(
        &rows,
        &[
            "mode",
            "callers",
            "callsPerSecond",
            "p50Micros",
            "p99Micros",
            "maxMicros",
            "batch",
            "commitMicros",
            "bytesPerCall",
            "fileMB",
        ],
    );
    println!("\nrebuild of {REBUILD} allocations, state filled:");
    print(&rebuilds, &["mode", "seconds", "cpuSeconds", "checkSeconds", "fileMB"]);
    let rate = |mode: &str| {
        let row = rows.iter().find(|row| row["callers"] == 64 && row["mode"] == mode);
        row.and_then(|row| row["callsPerSecond"].as_f64()).expect("it was measured")
    };
    println!(
        "\nat 64 callers, grouped is {:.1} × one by one (bar: 20)",
        rate("grouped") / rate("one by one")
    );
}

fn print(rows: &[Value], columns: &[&str]) {
    let line = |cells: Vec<String>| {
        let cells = cells
            .iter()
            .zip(columns)
            .map(|(cell, column)| format!("{cell:>width$}", width = column.len().max(12)));
        println!("  {}", cells.collect::<Vec<_>>().join("  "));
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

/// Callers who release what they hold and allocate anew, on a copy of a prepared ledger.
fn churn(prepared: &Path, mode: &str, callers: u64, held: u64, options: Options) -> Value {
    let folder =
        TempDir::new_in(prepared.parent().expect("it is in a folder")).expect("a folder in a folder");
    let file = folder.path().join("ledger.redb");
    fs::copy(prepared.join("ledger.redb"), &file).expect("copied");
    let disk = Counted::open(&file);
    let ledger = EmbeddedLedger::open_disk(Arc::<Counted>::clone(&disk), "the copy").expect("it is well");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let handle = Engine::open_with(ledger, options).expect("it is well");
        let next = Arc::new(AtomicU64::new(held));
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for caller in 0..callers {
            let names: Vec<u64> = (0..held).filter(|n| n % callers == caller).collect();
            tasks.spawn(one_caller(handle.clone(), names, caller, Arc::clone(&next), began + MEASURE));
        }
        let mut latencies = tasks.join_all().await.concat();
        let took = began.elapsed();
        let written = disk.bytes.load(Ordering::Relaxed);
        latencies.sort_unstable();
        let metrics = handle.metrics();
        let per_commit = |sum: u64| sum as f64 / metrics.commits.get() as f64;
        let row = json!({
            "mode": mode,
            "callers": callers,
            "callsPerSecond": (latencies.len() as f64 / took.as_secs_f64()).round(),
            "p50Micros": micros(latencies[latencies.len() / 2]),
            "p99Micros": micros(latencies[latencies.len() * 99 / 100]),
            "maxMicros": micros(latencies[latencies.len() - 1]),
            "batch": per_commit(metrics.batch.sum()),
            "commitMicros": per_commit(metrics.commit_micros.sum()),
            "bytesPerCall": written / latencies.len() as u64,
            "fileMB": megabytes(&file),
        });
        handle.stop().await;
        row
    })
}

async fn one_caller(
    handle: Handle,
    mut held: Vec<u64>,
    seed: u64,
    next: Arc<AtomicU64>,
    end: Instant,
) -> Vec<Duration> {
    let mut draw = draws(seed);
    let mut latencies = Vec::new();
    let deadline = end + Duration::from_mins(1);
    while Instant::now() < end {
        let which = draw(held.len());
        let began = Instant::now();
        let released = handle.release(ended(held[which]), deadline).await.expect("released");
        latencies.push(began.elapsed());
        assert_eq!(released.len(), 1, "it was held");
        held[which] = next.fetch_add(1, Ordering::Relaxed);
        let request = pod(held[which], "a");
        let began = Instant::now();
        handle.allocate(request, deadline).await.expect("there are free ones");
        latencies.push(began.elapsed());
    }
    latencies
}

/// A /16 of which every address was used once, and half are held by pods 0 to `HELD`.
fn prefill(folder: &Path) {
    const OTHERS: u64 = 1 << 40;
    fs::create_dir(folder).expect("a folder in a folder");
    let mut world = World::load(EmbeddedLedger::open(folder).expect("an empty folder")).expect("it is empty");
    world.put(subnet("a", "default", &["10.0.0.0/16"])).expect("committed");
    let mut held: Vec<u64> = (OTHERS..OTHERS + 65_000).collect();
    for part in held.chunks(1000) {
        world.allocate(&part.iter().map(|&n| pod(n, "a")).collect::<Vec<_>>()).expect("committed");
    }
    let mut draw = draws(7);
    while !held.is_empty() {
        let mut one = || ended(held.swap_remove(draw(held.len())));
        world.release(&(0..1000).map(|_| one()).collect::<Vec<_>>()).expect("committed");
    }
    for first in (0..HELD).step_by(1024) {
        world.allocate(&(first..first + 1024).map(|n| pod(n, "a")).collect::<Vec<_>>()).expect("committed");
    }
}

/// How long it takes until a million allocations can be served again. Leaves them in `folder`.
fn rebuild(folder: &Path) -> Vec<Value> {
    let killed = folder.join("killed");
    fs::create_dir_all(&killed).expect("a folder in a folder");
    let mut world = World::load(EmbeddedLedger::open(folder).expect("an empty folder")).expect("it is empty");
    world.put(subnet("a", "default", &["10.0.0.0/8"])).expect("committed");
    for first in (0..REBUILD).step_by(1000) {
        world.allocate(&(first..first + 1000).map(|n| pod(n, "a")).collect::<Vec<_>>()).expect("committed");
    }
    fs::copy(folder.join("ledger.redb"), killed.join("ledger.redb")).expect("copied");
    drop(world);
    let mut rows = Vec::new();
    for (mode, folder) in [("clean stop", folder), ("SIGKILL", &killed)] {
        let (began, cpu) = (Instant::now(), on_cpu());
        let ledger = EmbeddedLedger::open(folder).expect("it is well");
        let checked = began.elapsed();
        let world = World::load(ledger).expect("it is well");
        let (seconds, cpu) = (began.elapsed().as_secs_f64(), on_cpu() - cpu);
        assert_eq!(world.state.len() as u64, REBUILD);
        let file = megabytes(&folder.join("ledger.redb"));
        rows.push(
            json!({"mode": mode, "seconds": seconds, "cpuSeconds": cpu, "checkSeconds": checked.as_secs_f64(), "fileMB": file}),
        );
    }
    rows
}

/// Numbers below a bound, the same in every run.
fn draws(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |bound| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % bound
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).expect("it is no age")
}

fn megabytes(file: &Path) -> f64 {
    fs::metadata(file).expect("it is there").len() as f64 / 1e6
}

/// The real file, counting what is written to it. The kernel's own count is of whole folios, which says more about its
/// memory than about the disk.
#[derive(Debug)]
struct Counted {
    file: FileDisk,
    bytes: AtomicU64,
}

impl Counted {
    fn open(file: &Path) -> Arc<Counted> {
        let file = fs::OpenOptions::new().read(true).write(true).open(file).expect("it is there");
        Arc::new(Counted { file: FileDisk::new(file), bytes: AtomicU64::new(0) })
    }
}

impl Disk for Counted {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.file.write(offset, data)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.file.drop_cache()
    }
}

/// Seconds that this thread has run on a processor so far: what other programs take from it is not in it.
fn on_cpu() -> f64 {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    let nanos: Option<u64> = schedstat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    nanos.expect("it is a number") as f64 / 1e9
}

/// The type of the filesystem that a folder is on.
fn filesystem_of(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("Linux has it");
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let longest = mounts.filter(|(point, _)| folder.starts_with(point)).max_by_key(|(point, _)| point.len());
    longest.map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

fn fdatasync_median(folder: &Path) -> Duration {
    let file = fs::File::create(folder.join("sync")).expect("it can be written");
    file.write_all_at(&vec![0; 4 << 20], 0).expect("it can be written");
    file.sync_all().expect("it can be synced");
    let once = |n: u64| {
        file.write_all_at(&[1; 4096], n % 1024 * 4096).expect("it can be written");
        let began = Instant::now();
        file.sync_data().expect("it can be synced");
        began.elapsed()
    };
    let mut took: Vec<Duration> = (0..301).map(once).collect();
    took.sort_unstable();
    took[150]
}
