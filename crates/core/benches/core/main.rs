//! What a decision costs: plan and apply of a new pod's interface, then the release of a random held address.
//!
//! `cargo bench -p allotment-core` prints a table; `-- --json` one object per row; `-- --row TEXT` only the
//! rows whose name has it; `-- --instructions N` does nothing but N pairs on the churned /16, for counting instructions.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, and stops where it cannot go on"
)]

mod memory;
mod space;

use std::time::{Duration, Instant};

use space::{Shape, Space};

/// Pairs of operations per timed batch; requests are made between batches, untimed.
const BATCH: usize = 64;
/// Batches per row: the median is shown.
const BATCHES: usize = 1_000;

struct Row {
    name: &'static str,
    held: usize,
    /// A pair, one after the other.
    median_ns: f64,
    /// A pair of a batch that was announced.
    warmed_ns: f64,
    bytes: f64,
}

fn measure(name: &'static str, shape: Shape, held: usize) -> Row {
    let mut space = Space::new(shape, held);
    let bytes_each = space.bytes() as f64 / space.records() as f64;
    let mut median = |warmed| {
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..BATCHES {
            let batch = space.batch(BATCH);
            let start = Instant::now();
            space.run(&batch, warmed);
            times.push(start.elapsed());
        }
        times.sort_unstable();
        times[BATCHES / 2].as_secs_f64() * 1e9 / BATCH as f64
    };
    let (median_ns, warmed_ns) = (median(false), median(true));
    Row { name, held, median_ns, warmed_ns, bytes: bytes_each }
}

fn rows(only: Option<&str>) -> impl Iterator<Item = Row> {
    let rows = [
        ("fresh /16", Shape::Fresh, 58_000),
        ("90 % full /16, random holes", Shape::Holes, 58_979),
        ("churned /16", Shape::Churned, 58_979),
        ("IPv6 /64", Shape::Wide, 100_000),
        ("churned /12, 1 M held", Shape::ChurnedMillion, 943_718),
        ("IPv6 /64, 1 M held", Shape::Wide, 1_000_000),
    ];
    let only = only.map(str::to_owned);
    let chosen =
        rows.into_iter().filter(move |(name, ..)| only.as_ref().is_none_or(|only| name.contains(only)));
    chosen.map(|(name, shape, held)| measure(name, shape, held))
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--instructions") {
        let mut space = Space::new(Shape::Churned, 10_000);
        let pairs: usize = args[at + 1].parse().unwrap();
        for _ in 0..pairs / BATCH {
            let batch = space.batch(BATCH);
            space.run(&batch, false);
        }
        return;
    }
    let json = args.iter().any(|arg| arg == "--json");
    if !json {
        println!(
            "{:<30} {:>10} {:>14} {:>14} {:>13}",
            "core: plan + apply + release", "held", "ns one by one", "ns in batches", "bytes/record"
        );
    }
    let only = args.iter().position(|arg| arg == "--row").and_then(|at| args.get(at + 1));
    for row in rows(only.map(String::as_str)) {
        if json {
            println!(
                r#"{{"bench":"core","row":"{}","held":{},"oneByOneNs":{:.0},"inBatchesNs":{:.0},"bytesPerRecord":{:.0}}}"#,
                row.name, row.held, row.median_ns, row.warmed_ns, row.bytes
            );
        } else {
            println!(
                "{:<30} {:>10} {:>14.0} {:>14.0} {:>13.0}",
                row.name, row.held, row.median_ns, row.warmed_ns, row.bytes
            );
        }
    }
}
