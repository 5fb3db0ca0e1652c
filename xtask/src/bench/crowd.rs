//! Many containers at once.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use allotment_lab::figures::{Bar, Row, Times, digits};
use allotment_lab::{Netns, Programs};
use anyhow::Result;

use super::site::{self, Caller, Ours};

const AT_ONCE: [usize; 3] = [1, 8, 64];

/// Ours and theirs in turn, so many times.
const TURNS: usize = 4;

/// Pairs per turn.
const PAIRS: usize = 128;

#[derive(Default)]
struct Sum {
    times: Times,
    took: Duration,
}

/// ADD and DEL on an empty subnet.
pub(crate) fn rows(programs: &Programs, folder: &Path) -> Result<Vec<Row>> {
    let folder = folder.join("crowd");
    let ours = Ours::new(programs, &folder, 0)?;
    let theirs = site::host_local(programs, &folder, 0)?;
    let most = AT_ONCE.into_iter().max().unwrap_or(1);
    let containers: Vec<Netns> =
        (0..most).map(|number| site::container(&format!("crowd-{number}"))).collect::<Result<_>>()?;
    AT_ONCE.iter().map(|&at_once| row(&ours.caller, &theirs, &containers[..at_once])).collect()
}

fn row(ours: &Caller, theirs: &Caller, containers: &[Netns]) -> Result<Row> {
    let (mut our, mut their) = (Sum::default(), Sum::default());
    for _ in 0..TURNS {
        our.add(turn(ours, containers)?);
        their.add(turn(theirs, containers)?);
    }
    let row = Row::new(format!("ADD + DEL, {} at once", containers.len()), our.times.median(), "ms");
    let row = row.beside("host-local", their.times.median()).bar(Bar::Faster(2.5));
    let (rate, their_rate) = (digits(our.rate()), digits(their.rate()));
    Ok(row.detail(format!(
        "{}, {rate} pairs/s; {}, {their_rate} pairs/s",
        our.times.spread(),
        their.times.spread()
    )))
}

impl Sum {
    fn add(&mut self, other: Sum) {
        self.times.extend(other.times);
        self.took += other.took;
    }

    /// Pairs per second.
    fn rate(&self) -> f64 {
        self.times.count() as f64 / self.took.as_secs_f64()
    }
}

/// A thread for each container makes one pair after the other, until together they made enough.
fn turn(caller: &Caller, containers: &[Netns]) -> Result<Sum> {
    let made = AtomicUsize::new(0);
    let start = Instant::now();
    let one = |netns: &Netns| {
        let mut times = Times::default();
        while made.fetch_add(1, Ordering::Relaxed) < PAIRS {
            let pair = caller.pair(&netns.path())?;
            times.push(pair.add + pair.del);
        }
        Ok::<_, anyhow::Error>(times)
    };
    let all: Vec<Result<Times>> = thread::scope(|scope| {
        let workers: Vec<_> = containers.iter().map(|netns| scope.spawn(|| one(netns))).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let took = start.elapsed();
    let mut sum = Sum { times: Times::default(), took };
    for times in all {
        sum.times.extend(times?);
    }
    Ok(sum)
}
