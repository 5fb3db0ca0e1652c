//! The daemon dies, and nothing that a caller saw is lost or given twice.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use allotment_lab::{Call, Daemon, Lab, Netns, Verb, wait_until};
use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

use crate::world::{Test, World, add, bare, config, ipam, lan, rows, subnet, the_row};

pub(crate) const TESTS: &[Test] = &[
    ("crash::sigkill_while_adds_are_under_way", sigkill_while_adds_are_under_way),
    ("crash::sigterm_while_adds_are_under_way", sigterm_while_adds_are_under_way),
    ("crash::a_stop_and_a_start_keep_everything", a_stop_and_a_start_keep_everything),
    ("crash::a_kill_and_a_start_keep_everything", a_kill_and_a_start_keep_everything),
    ("crash::a_second_daemon_on_the_same_data_refuses", a_second_daemon_on_the_same_data_refuses),
    ("crash::a_second_daemon_on_the_same_socket_refuses", a_second_daemon_on_the_same_socket_refuses),
];

const WORKERS: usize = 8;
const KILLS: usize = 25;
const STOPS: usize = 8;
const LIMIT: Duration = Duration::from_mins(1);

/// How a daemon ends.
type End = fn(&mut Daemon) -> Result<()>;

/// What one worker was told: the address of each container that it got one for, and the containers that it deleted.
#[derive(Clone, Default)]
struct Told {
    given: BTreeMap<String, String>,
    deleted: BTreeSet<String>,
}

/// Containers come and go, without a pause, until `stop`.
struct Load<'a> {
    lab: &'a Lab,
    config: Value,
    netns: &'a Netns,
    stop: AtomicBool,
    in_flight: AtomicUsize,
    answered: AtomicUsize,
}

impl Load<'_> {
    fn worker(&self, number: usize) -> Result<Told> {
        let mut told = Told::default();
        let mut count = 0;
        while !self.stop.load(Ordering::Relaxed) {
            count += 1;
            let id = format!("w{number}-{count}");
            let address = self.add(&id)?;
            if count % 5 == 0 {
                let again = self.add(&id)?;
                ensure!(again == address, "{id} had {address} and then {again}");
            }
            told.given.insert(id.clone(), address);
            if count % 3 == 0 {
                ipam(self.lab, &self.call(Verb::Del, &id))?.ok()?;
                told.deleted.insert(id);
            }
        }
        Ok(told)
    }

    /// ADD, again and again while the answer is "try again later".
    fn add(&self, id: &str) -> Result<String> {
        loop {
            self.in_flight.fetch_add(1, Ordering::Relaxed);
            let answer = ipam(self.lab, &self.call(Verb::Add, id));
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            let answer = answer?;
            if answer.is_ok() {
                self.answered.fetch_add(1, Ordering::Relaxed);
                let addresses = answer.addresses()?;
                let [address] = addresses.as_slice() else {
                    return Err(anyhow!("one address was asked for: {answer}"));
                };
                return Ok(bare(address).to_owned());
            }
            ensure!(answer.error_code()? == 11, "{answer}");
            wait_until("the socket is there again", LIMIT, || UnixStream::connect(self.lab.socket()).ok())?;
        }
    }

    fn call(&self, verb: Verb, id: &str) -> Call {
        Call::new(verb, &self.config).interface(id, &self.netns.path(), "eth0")
    }

    /// Ends the daemon at moments that differ from round to round, and starts it again.
    fn killer(&self, mut daemon: Daemon, rounds: usize, end: End) -> Result<(Daemon, usize)> {
        let mut interrupted = 0;
        for round in 0..rounds {
            // A number of answers, not a time: the moments fall where the work is.
            let target = self.answered.load(Ordering::Relaxed) + round * 7 % 23;
            wait_until("enough answers", LIMIT, || {
                (self.answered.load(Ordering::Relaxed) >= target).then_some(())
            })?;
            interrupted += self.in_flight.load(Ordering::Relaxed);
            end(&mut daemon)?;
            daemon = self.lab.daemon_serving()?;
        }
        Ok((daemon, interrupted))
    }
}

fn sigkill_while_adds_are_under_way(world: &World) -> Result<()> {
    under_way(world, KILLS, Daemon::kill)
}

/// What was accepted is answered, and the rest is told to try again.
fn sigterm_while_adds_are_under_way(world: &World) -> Result<()> {
    under_way(world, STOPS, |daemon| {
        let status = daemon.stop()?;
        ensure!(status.success(), "SIGTERM ends it in good order: {status}");
        Ok(())
    })
}

fn under_way(world: &World, rounds: usize, end: End) -> Result<()> {
    let lab = world.machine(&subnet("wide", "cidrs: [10.16.0.0/16], cooling: 1h"))?;
    let netns = lab.netns("pod")?;
    let load = Load {
        config: config(&lab, json!({"subnets": ["wide"]})),
        lab: &lab,
        netns: &netns,
        stop: AtomicBool::new(false),
        in_flight: AtomicUsize::new(0),
        answered: AtomicUsize::new(0),
    };
    let daemon = lab.daemon_serving()?;
    let (killed, told) = thread::scope(|scope| {
        let load = &load;
        let workers: Vec<_> = (0..WORKERS).map(|number| scope.spawn(move || load.worker(number))).collect();
        let killed = load.killer(daemon, rounds, end);
        load.stop.store(true, Ordering::Relaxed);
        let told: Result<Vec<Told>> = workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| anyhow!("a worker panicked"))?)
            .collect();
        (killed, told)
    });
    let told = told?;
    let (_daemon, interrupted) = killed?;
    let seen: usize = told.iter().map(|told| told.given.len()).sum();
    eprintln!("{rounds} ends with {interrupted} ADDs under way; {seen} addresses seen by callers");
    // A DEL that the plugin kept after the last start is made good before the next ADD.
    let last = load.add("last")?;
    let told =
        [told, vec![Told { given: BTreeMap::from([("last".to_owned(), last)]), ..Told::default() }]].concat();
    ensure!(
        interrupted >= KILLS,
        "only {interrupted} calls were under way at {KILLS} kills: this proved nothing"
    );
    compare(&lab, &told)
}

/// The ledger has what the callers were told: no less, no more, and nothing twice.
fn compare(lab: &Lab, told: &[Told]) -> Result<()> {
    let mut addresses = BTreeMap::new();
    for (id, address) in told.iter().flat_map(|told| &told.given) {
        if let Some(other) = addresses.insert(address, id) {
            return Err(anyhow!("{address} was given to {other} and to {id}"));
        }
    }
    let expected: BTreeMap<&str, &str> = told
        .iter()
        .flat_map(|told| told.given.iter().filter(|(id, _)| !told.deleted.contains(*id)))
        .map(|(id, address)| (id.as_str(), address.as_str()))
        .collect();
    let active = rows(lab, "active")?;
    let mut found = BTreeMap::new();
    for row in &active {
        let id = row["attachment"]["containerId"].as_str().context("containerId")?;
        let address = row["address"].as_str().context("address")?;
        ensure!(found.insert(id, address).is_none(), "{id} has two addresses");
    }
    let lost: Vec<_> = expected.iter().filter(|&(id, address)| found.get(id) != Some(address)).collect();
    ensure!(lost.is_empty(), "callers saw these, and the ledger does not have them: {lost:?}");
    let extra: Vec<_> = found.iter().filter(|&(id, _)| !expected.contains_key(id)).collect();
    ensure!(extra.is_empty(), "these were deleted or never answered, and are active: {extra:?}");
    Ok(())
}

fn restart(world: &World, end: impl FnOnce(&mut Lab) -> Result<()>) -> Result<()> {
    let mut lab = world.lab(&lan())?;
    let pod = lab.netns("pod")?;
    let config = config(&lab, json!({"subnets": ["lan"]}));
    for id in ["c1", "c2", "c3"] {
        add(&lab, &config, id, &pod)?.ok()?;
    }
    crate::world::del(&lab, &config, "c2", &pod)?.ok()?;
    let before = lab.list(&["ip"])?;
    end(&mut lab)?;
    lab.start()?;
    let after = lab.list(&["ip"])?;
    ensure!(before == after, "{before:?}\nbecame\n{after:?}");
    Ok(())
}

fn a_stop_and_a_start_keep_everything(world: &World) -> Result<()> {
    restart(world, |lab| {
        let status = lab.daemon()?.stop()?;
        ensure!(status.success(), "SIGTERM ends it in good order: {status}");
        ensure!(!lab.socket().exists(), "the socket is left behind");
        Ok(())
    })
}

fn a_kill_and_a_start_keep_everything(world: &World) -> Result<()> {
    restart(world, Lab::kill)
}

fn a_second_daemon_on_the_same_data_refuses(world: &World) -> Result<()> {
    let lab = world.lab(&lan())?;
    refuses(&lab, second(&lab, "second.sock", "data")?, "data")
}

fn a_second_daemon_on_the_same_socket_refuses(world: &World) -> Result<()> {
    let lab = world.lab(&lan())?;
    refuses(&lab, second(&lab, "allotment.sock", "second-data")?, "allotment.sock")
}

fn second(lab: &Lab, socket: &str, data: &str) -> Result<Daemon> {
    let mut command = lab.standalone_on(&lab.dir().join(socket), &lab.dir().join(data));
    Daemon::start(&mut command, &lab.dir().join("second.log"))
}

/// It ends, names what is taken, and the first one goes on serving.
fn refuses(lab: &Lab, mut second: Daemon, taken: &str) -> Result<()> {
    let status = second.ended()?;
    ensure!(status.code() == Some(2), "it could not run, which is exit code 2: {status}");
    let words = second.words();
    let path = lab.dir().join(taken);
    ensure!(words.contains(&*path.to_string_lossy()), "{} is not named: {words}", path.display());
    let pod = lab.netns("pod")?;
    add(lab, &config(lab, json!({"subnets": ["lan"]})), "c1", &pod)?.ok()?;
    the_row(lab).map(drop)
}
