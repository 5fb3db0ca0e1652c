//! One plugin after the other, all of them in turn: whatever slows the machine down for a while slows all of them down.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use allotment_lab::Programs;
use allotment_lab::figures::{Bar, Row, Times, digits};
use anyhow::Result;
use serde_json::json;

use super::machine::{self, Disk};
use super::site::{self, Caller, Ours};

const ROUNDS: usize = 400;

/// How many addresses are held, and in one of how many rounds host-local is called: with 60 k held it takes a second.
const HELD: [(u32, usize); 4] = [(0, 1), (1_000, 4), (10_000, 20), (60_000, 50)];

/// Where a listener answers at once.
const STUB: &str = "/run/stub.sock";

/// Both with the same number of addresses held.
struct Field {
    held: u32,
    every: usize,
    ours: Ours,
    theirs: Caller,
    our_adds: Times,
    our_pairs: Times,
    their_pairs: Times,
}

/// What is measured beside them, to tell where the time goes.
#[derive(Default)]
struct Parts {
    empty: Times,
    round_trip: Times,
    sync: Times,
    /// Of our ADDs, and host-local's, on an empty subnet.
    our_cpu: Duration,
    their_cpu: Duration,
}

/// All rows about one call at a time.
pub(crate) fn rows(programs: &Programs, folder: &Path, empty: &Path) -> Result<Vec<Row>> {
    let mut fields = HELD
        .map(|(held, every)| field(programs, folder, held, every))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let resident =
        fields.iter().map(|field| machine::resident(field.ours.process)).collect::<Result<Vec<_>>>()?;
    let netns = site::container("rounds")?;
    let stub = stub(programs)?;
    let empty = Caller::new(empty, &json!({}));
    let mut disk = Disk::new(folder)?;
    let mut parts = Parts::default();
    let before = machine::cpu_of(fields[0].ours.process)?;
    for round in 0..ROUNDS {
        parts.sync.push(disk.sync()?);
        // After a wait for the disk, or a second of host-local, caches are cold: the first process would pay for that.
        empty.timed(&empty.next(&netns.path()))?;
        parts.empty.push(empty.timed(&empty.next(&netns.path()))?);
        parts.round_trip.push(stub.timed(&stub.next(&netns.path()))?);
        for field in &mut fields {
            field.play(round, &netns.path(), &mut parts)?;
        }
    }
    let daemon_cpu = machine::cpu_of(fields[0].ours.process)?.saturating_sub(before);
    let mut rows = held_rows(&fields);
    rows.extend(add_rows(&fields[0], &parts, daemon_cpu));
    for (field, resident) in fields.iter().zip(resident).filter(|(field, _)| matches!(field.held, 0 | 60_000))
    {
        rows.push(Row::new(format!("RSS of the daemon, {} held", field.held), resident, "MB"));
    }
    Ok(rows)
}

fn field(programs: &Programs, folder: &Path, held: u32, every: usize) -> Result<Field> {
    Ok(Field {
        held,
        every,
        ours: Ours::new(programs, folder, held)?,
        theirs: site::host_local(programs, folder, held)?,
        our_adds: Times::default(),
        our_pairs: Times::default(),
        their_pairs: Times::default(),
    })
}

impl Field {
    fn play(&mut self, round: usize, netns: &Path, parts: &mut Parts) -> Result<()> {
        let start = machine::cpu_of_children()?;
        let pair = self.ours.caller.pair(netns)?;
        let between = machine::cpu_of_children()?;
        self.our_adds.push(pair.add);
        self.our_pairs.push(pair.add + pair.del);
        if round.is_multiple_of(self.every) {
            let pair = self.theirs.pair(netns)?;
            self.their_pairs.push(pair.add + pair.del);
        }
        if self.held == 0 {
            parts.our_cpu += between.saturating_sub(start);
            parts.their_cpu += machine::cpu_of_children()?.saturating_sub(between);
        }
        Ok(())
    }
}

/// ADD and DEL against host-local, and against ourselves with nothing held.
fn held_rows(fields: &[Field]) -> Vec<Row> {
    let mut rows: Vec<Row> = fields
        .iter()
        .map(|field| {
            let row = Row::new(format!("ADD + DEL, {} held", field.held), field.our_pairs.median(), "ms")
                .beside("host-local", field.their_pairs.median())
                .detail(format!("{}; {}", field.our_pairs.spread(), field.their_pairs.spread()));
            row.bar(Bar::Faster(2.5))
        })
        .collect();
    let [first, .., last] = fields else { return rows };
    let flat =
        Row::new(format!("ADD + DEL, {} held, against none", last.held), last.our_pairs.median(), "ms");
    rows.push(flat.beside("ours, empty", first.our_pairs.median()).bar(Bar::MostTimes(1.2)));
    rows
}

/// Where the time of an ADD goes.
fn add_rows(field: &Field, parts: &Parts, daemon_cpu: Duration) -> Vec<Row> {
    let (add, empty, round_trip) = (field.our_adds.median(), parts.empty.median(), parts.round_trip.median());
    let calls = field.our_pairs.count() as f64 * 2.0;
    let per_call = |cpu: Duration| cpu.as_secs_f64() * 1000.0 / calls;
    vec![
        Row::new("ADD, whole process", add, "ms")
            .beside("empty static program", empty)
            .bar(Bar::MostAbove(1.0))
            .detail(field.our_adds.spread()),
        Row::new("… of it process and round trip", round_trip, "ms")
            .beside("empty static program", empty)
            .detail("a listener answers at once"),
        Row::new("… of it daemon and commit", add - round_trip, "ms")
            .beside("bare fdatasync", parts.sync.median())
            .detail(format!("fdatasync of 4 KiB: {}", parts.sync.spread())),
        Row::new("CPU per ADD or DEL, plugin", per_call(parts.our_cpu), "ms")
            .beside("host-local", per_call(parts.their_cpu))
            .detail("user and system time"),
        Row::new("CPU per ADD or DEL, daemon", per_call(daemon_cpu), "ms")
            .detail(format!("in all {} ms", digits(per_call(parts.our_cpu + daemon_cpu)))),
    ]
}

/// The plugin, with a daemon that thinks about nothing.
fn stub(programs: &Programs) -> Result<Caller> {
    let listener = UnixListener::bind(STUB)?;
    let body = r#"{"cniVersion":"1.0.0","dns":{},"ips":[{"address":"10.0.0.2/15","gateway":"10.0.0.1"}]}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            // The plugin sends its call in one piece. Whether it liked the answer, it says itself.
            let _ = stream.read(&mut [0; 16 << 10]).and_then(|_| stream.write_all(answer.as_bytes()));
        }
    });
    let ipam = json!({"type": "allotment", "subnets": ["bench"], "socket": STUB});
    Ok(Caller::new(&allotment_lab::find("allotment", &programs.cni_path)?, &ipam))
}
