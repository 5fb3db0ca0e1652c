//! The crowd's figures as rows.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::time::Duration;

use allotment_lab::figures::{Bar, Row, digits};

use super::{Alone, Done, PODS};
use crate::bench::meter::{DRIVER, PLUGINS, Reading};
use crate::bench::ours::Granted;

/// Parts of a million bytes.
const MB: f64 = 1e6;

pub(super) fn alone(alone: &Alone) -> Vec<Row> {
    let seconds = alone.times.median() / 1e3;
    vec![
        Row::new(format!("{PODS} pods on 10 nodes, made with nobody watching"), seconds, "s")
            .detail(alone.times.spread()),
        Row::new("… processor time of all programs", alone.processors.median() / 1e3, "s")
            .detail(alone.last.by_program()),
    ]
}

pub(super) fn grants(what: &str, alone: &Alone, granted: &Granted) -> Vec<Row> {
    let cost = &granted.cost;
    vec![
        Row::new(format!("{what}: first create → last grant"), granted.took.as_secs_f64(), "s")
            .beside("the pods alone", alone.times.median() / 1e3)
            .bar(Bar::MostTimes(3.0)),
        Row::new("… processor time of all programs", cost.processors(), "s")
            .beside("the pods alone", alone.processors.median() / 1e3)
            .detail(cost.by_program()),
        Row::new("… pod patches per pod", per_pod(cost.count("PATCH pods")), "").bar(Bar::Most(1.0)),
        Row::new("… block writes per NIC", per_pod(blocks(cost)), "").bar(Bar::Most(0.2)),
        Row::new("… written to etcd per pod", cost.written as f64 / 1e3 / PODS as f64, "kB")
            .detail(cost.summary()),
    ]
}

/// Ours beside Whereabouts', with host-local's figure in the last column.
pub(super) fn up(ours: &Done, polled: &Done, files: &Done) -> Vec<Row> {
    let row = |what: &str, unit, figure: &dyn Fn(&Done) -> f64| {
        Row::new(what, figure(ours), unit).beside(polled.name, figure(polled)).detail(format!(
            "{}: {} {unit}",
            files.name,
            digits(figure(files))
        ))
    };
    let mut rows = vec![
        row("with ADDs: pods up after two minutes", "", &|done| done.outcome.started.len() as f64),
        row("first create → last ADD of those", "s", &|done| done.outcome.up.as_secs_f64()),
        row("ADD, median", "ms", &|done| done.outcome.adds().median()),
        row("ADD, p99", "ms", &|done| done.outcome.adds().at(99)),
        row("attempts that failed", "", &|done| done.outcome.retries() as f64),
        row("API requests per pod up", "", &|done| requests(&done.cost) / done.outcome.started.len() as f64),
        row("written to etcd per pod up", "kB", &|done| {
            done.cost.written as f64 / 1e3 / done.outcome.started.len() as f64
        }),
        row("CPU of the plugins", "s", &|done| done.cost.cpu[PLUGINS]),
    ];
    for program in ["kube-apiserver", "etcd"] {
        rows.push(row(&format!("CPU of {program}"), "s", &|done| done.cost.cpu[program]));
        rows.push(row(&format!("RSS of {program}"), "MB", &|done| done.cost.resident[program] as f64 / MB));
    }
    let shown = ["etcd", "kube-apiserver", PLUGINS, DRIVER];
    for (program, seconds) in ours.cost.cpu.iter().filter(|(name, _)| !shown.contains(&name.as_str())) {
        let resident = ours.cost.resident.get(program).copied().unwrap_or_default() as f64 / MB;
        let name = if program == "agent" { "10 agents" } else { program };
        rows.push(Row::new(format!("CPU of {name}"), *seconds, "s").detail(format!("RSS {resident:.0} MB")));
    }
    let after = ours.after.median();
    rows.push(Row::new("ADD, median, since its grant was there", after, "ms").detail(ours.after.spread()));
    rows.push(
        row("requests that are ours, polled or not", "", &|done| requests(&done.cost))
            .detail(ours.cost.summary()),
    );
    rows
}

/// What it takes until nothing is held.
pub(super) fn ended((done, released): &(Done, Duration)) -> Vec<Row> {
    let (count, took) = done.ended;
    let writes: u64 = ["PUT", "POST", "PATCH", "APPLY"]
        .iter()
        .flat_map(|verb| ["nodeattachments", "nodeattachments/status"].map(|kind| format!("{verb} {kind}")))
        .map(|request| done.ending.count(&request))
        .sum();
    vec![
        Row::new(
            format!("{count} pods deleted and DELeted: last one → all cooling or free"),
            released.as_secs_f64(),
            "s",
        )
        .bar(Bar::Most(5.0))
        .detail(format!("they took {:.1} s", took.as_secs_f64())),
        Row::new("… NodeAttachments writes per pod", per_pod(writes), "").bar(Bar::Most(0.1)),
        Row::new("… block writes per pod", per_pod(blocks(&done.ending)), "")
            .bar(Bar::Most(0.2))
            .detail(done.ending.summary()),
    ]
}

/// Exactly as many addresses as pods.
pub(super) fn exact(exact: &Done, fresh: &Done) -> Vec<Row> {
    let retries = exact.outcome.retries() as f64;
    vec![
        Row::new(
            format!("exactly {PODS} addresses: pods up at their first ADD"),
            exact.outcome.started.len() as f64 - retries,
            "",
        )
        .detail(format!("{} were given up", exact.outcome.lost)),
        Row::new("… attempts that failed", retries, "").bar(Bar::Most(0.0)),
        Row::new("… first create → last ADD", exact.outcome.up.as_secs_f64(), "s")
            .beside("ours, a /16", fresh.outcome.up.as_secs_f64())
            .bar(Bar::MostTimes(1.1)),
    ]
}

/// What a stretch of idleness cost.
pub(super) fn idle(idle: &(Duration, Reading)) -> Vec<Row> {
    let (time, cost) = idle;
    vec![
        Row::new(
            format!("{} idle seconds: requests, leases aside", time.as_secs()),
            cost.without_leases(),
            "",
        )
        .bar(Bar::Most(0.0))
        .detail(cost.summary()),
    ]
}

fn blocks(cost: &Reading) -> u64 {
    cost.count("PUT addressblocks") + cost.count("POST addressblocks")
}

/// All that were not the driver's own.
fn requests(cost: &Reading) -> f64 {
    let driver = ["POST pods", "DELETE pods"];
    let rest = cost.requests.iter().filter(|(name, _)| !driver.contains(&name.as_str()));
    rest.map(|(_, count)| *count).sum::<u64>() as f64
}

fn per_pod(count: u64) -> f64 {
    count as f64 / PODS as f64
}
