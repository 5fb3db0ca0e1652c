//! What a decision costs: plan and apply of a new pod's interface, then the release of a random held address.
//!
//! `cargo bench -p allotment-core` prints a table; `-- --json` one object per row; `-- --instructions N` does nothing but
//! N pairs on the churned /16, for counting instructions.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and stops where it cannot go on"
)]

mod memory;
mod space;

use std::time::{Duration, Instant};

use space::{Shape, Space};

/// Pairs of operations per timed batch; requests are made between batches, untimed.
const BATCH: usize = 1_000;
/// Batches per row: the median is shown.
const BATCHES: usize = 60;

struct Row {
    name: &'static str,
    held: usize,
    median_ns: f64,
    worst_batch_ns: f64,
    bytes: Option<f64>,
}

fn measure(name: &'static str, shape: Shape, held: usize) -> Row {
    let mut space = Space::new(shape, held);
    let bytes_each = space.bytes() as f64 / space.records() as f64;
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..BATCHES {
        let batch = space.batch(BATCH);
        let start = Instant::now();
        space.run(&batch);
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let ns = |time: Duration| time.as_secs_f64() * 1e9 / BATCH as f64;
    Row {
        name,
        held,
        median_ns: ns(times[BATCHES / 2]),
        worst_batch_ns: ns(times[BATCHES - 1]),
        bytes: Some(bytes_each),
    }
}

fn rows() -> Vec<Row> {
    vec![
        measure("fresh /16", Shape::Fresh, 58_000),
        measure("90 % full /16, random holes", Shape::Holes, 58_979),
        measure("churned /16", Shape::Churned, 58_979),
        measure("IPv6 /64", Shape::Wide, 100_000),
        measure("churned /12, 1 M held", Shape::ChurnedMillion, 943_718),
        measure("IPv6 /64, 1 M held", Shape::Wide, 1_000_000),
    ]
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--instructions") {
        let mut space = Space::new(Shape::Churned, 10_000);
        let pairs: usize = args[at + 1].parse().unwrap();
        for _ in 0..pairs / BATCH {
            let batch = space.batch(BATCH);
            space.run(&batch);
        }
        return;
    }
    let json = args.iter().any(|arg| arg == "--json");
    if !json {
        println!(
            "{:<30} {:>10} {:>12} {:>14} {:>12}",
            "core: plan + apply + release", "held", "median ns", "worst batch", "bytes/record"
        );
    }
    for row in rows() {
        let bytes = row.bytes.unwrap_or(0.0);
        if json {
            println!(
                r#"{{"bench":"core","row":"{}","held":{},"medianNs":{:.0},"worstBatchNs":{:.0},"bytesPerRecord":{bytes:.0}}}"#,
                row.name, row.held, row.median_ns, row.worst_batch_ns
            );
        } else {
            println!(
                "{:<30} {:>10} {:>12.0} {:>14.0} {bytes:>12.0}",
                row.name, row.held, row.median_ns, row.worst_batch_ns
            );
        }
    }
}
