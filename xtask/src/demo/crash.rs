//! SIGKILL while pods are being started.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use allotment_lab::{Daemon, Lab, Verb, wait_until};
use anyhow::{Context, Result, anyhow, ensure};

use super::pods::{INTERFACES, Pod};

const PODS: usize = 24;
const AT_ONCE: usize = 8;
/// The daemon dies after this many answers, with as many more ADDs under way as there are workers.
const KILL_AFTER: usize = 12;
const LIMIT: Duration = Duration::from_secs(30);
/// CNI: try again later.
const TRY_AGAIN: u64 = 11;

/// What came of it.
pub(super) struct Outcome {
    pub(super) pods: Vec<Pod>,
    /// ADDs answered before the daemon died.
    pub(super) before: usize,
    /// ADDs that were told to try again.
    pub(super) retried: usize,
    /// Addresses, each of them different, each of them in the ledger.
    pub(super) addresses: usize,
}

/// Address → pod and interface, as the answers told.
type Told = Mutex<BTreeMap<String, String>>;

/// Starts pods, kills the daemon in the middle, starts it again; every pod gets its addresses.
pub(super) fn run(lab: &Lab, daemon: &mut Option<Daemon>) -> Result<Outcome> {
    let pods: Vec<Mutex<Pod>> = (0..PODS)
        .map(|number| Pod::new(lab, &format!("web-{number}")).map(Mutex::new))
        .collect::<Result<_>>()?;
    let next = AtomicUsize::new(0);
    let answered = AtomicUsize::new(0);
    let retried = AtomicUsize::new(0);
    let told = Told::default();
    let worker = || -> Result<()> {
        while let Some(pod) = pods.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut pod = pod.lock().map_err(|_| anyhow!("a worker panicked"))?;
            for (interface, _, network) in INTERFACES {
                let addresses = add(lab, &mut pod, interface, network, &retried)?;
                note(&told, addresses, &format!("{} {interface}", pod.name))?;
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    };
    let before = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        let before = kill_and_start(lab, daemon, &answered);
        for worker in workers {
            worker.join().map_err(|_| anyhow!("a worker panicked"))??;
        }
        before
    })?;
    let told = told.into_inner().map_err(|_| anyhow!("a worker panicked"))?;
    compare(lab, &told)?;
    let pods = pods.into_iter().map(|pod| pod.into_inner().map_err(|_| anyhow!("a worker panicked")));
    Ok(Outcome {
        pods: pods.collect::<Result<_>>()?,
        before,
        retried: retried.into_inner(),
        addresses: told.len(),
    })
}

/// How many ADDs were answered before the kill.
fn kill_and_start(lab: &Lab, daemon: &mut Option<Daemon>, answered: &AtomicUsize) -> Result<usize> {
    let enough = || Some(answered.load(Ordering::Relaxed)).filter(|&count| count >= KILL_AFTER);
    let before = wait_until("the first pods have addresses", LIMIT, enough)?;
    daemon.as_mut().context("a daemon runs")?.kill()?;
    *daemon = Some(lab.daemon_serving()?);
    Ok(before)
}

/// ADD; when told to try again, what kubelet does: away with the sandbox, and a new one.
fn add(
    lab: &Lab,
    pod: &mut Pod,
    interface: &str,
    network: &str,
    retried: &AtomicUsize,
) -> Result<Vec<String>> {
    loop {
        let answer = pod.call(lab, Verb::Add, interface, network)?;
        if answer.is_ok() {
            return answer.addresses();
        }
        ensure!(answer.error_code()? == TRY_AGAIN, "{answer}");
        retried.fetch_add(1, Ordering::Relaxed);
        pod.call(lab, Verb::Del, interface, network)?.ok()?;
        wait_until("the daemon serves again", LIMIT, || {
            let ready = lab.tool(&["ready"]).output().ok()?;
            ready.status.success().then_some(())
        })?;
    }
}

fn note(told: &Told, addresses: Vec<String>, who: &str) -> Result<()> {
    let mut told = told.lock().map_err(|_| anyhow!("a worker panicked"))?;
    for address in addresses {
        let bare = address.split('/').next().unwrap_or(&address).to_owned();
        if let Some(other) = told.insert(bare, who.to_owned()) {
            return Err(anyhow!("{address} was given to {other} and to {who}"));
        }
    }
    Ok(())
}

/// Every address that was told is in the ledger, active, for whom it was told.
fn compare(lab: &Lab, told: &BTreeMap<String, String>) -> Result<()> {
    let rows = lab.list(&["ip"])?;
    for (address, who) in told {
        let row = rows.iter().find(|row| row["address"] == address.as_str() && row["state"] == "active");
        let row =
            row.with_context(|| format!("{address} was given to {who}, and the ledger does not have it"))?;
        let holder = format!(
            "{} {}",
            row["owner"]["name"].as_str().unwrap_or("?"),
            row["attachment"]["interface"].as_str().unwrap_or("?")
        );
        ensure!(holder == *who, "{address} was given to {who}, and the ledger says {holder}");
    }
    Ok(())
}
