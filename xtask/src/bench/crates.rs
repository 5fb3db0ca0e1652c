//! What the crates' own benches measure.

use std::process::{Command, Stdio};

use allotment_lab::figures::{Bar, Row, digits};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::tree;

/// From here on the bar for a million held is meant.
const MANY: u64 = 900_000;

/// Builds them, so that building is no part of what is measured next to them.
pub(crate) fn build() -> Result<()> {
    for name in ["core", "engine"] {
        let mut cargo = bench(name);
        let status = cargo.arg("--no-run").status()?;
        ensure!(status.success(), "`{}` failed", allotment_lab::shown(&cargo));
    }
    Ok(())
}

/// The core, by itself.
pub(crate) fn core() -> Result<Vec<Row>> {
    let figures = lines("core")?;
    let mut rows: Vec<Row> = figures.iter().map(pair).collect::<Result<_>>()?;
    let fresh = named(&figures, "fresh")?;
    for name in ["90 % full", "churned /16"] {
        let figure = named(&figures, name)?;
        let row = Row::new(format!("core, {name}, against fresh"), number(figure, "oneByOneNs")?, "ns");
        rows.push(row.beside("fresh", number(fresh, "oneByOneNs")?).bar(Bar::MostTimes(2.0)));
    }
    for figure in [named(&figures, "churned /16")?, named(&figures, "1 M held")?] {
        let what = format!("core, memory per address, {}", text(figure, "row")?);
        rows.push(Row::new(what, number(figure, "bytesPerRecord")?, "B").bar(Bar::Most(160.0)));
    }
    Ok(rows)
}

fn pair(figure: &Value) -> Result<Row> {
    let held = figure["held"].as_u64().context("no `held`")?;
    let most = if held < MANY { 400.0 } else { 800.0 };
    let what = format!("core, a pair, {}", text(figure, "row")?);
    let row = Row::new(what, number(figure, "oneByOneNs")?, "ns").bar(Bar::Most(most));
    Ok(row.detail(format!("{held} held; in announced batches {} ns", digits(number(figure, "inBatchesNs")?))))
}

/// The engine on the embedded ledger, in process, and how long a rebuild takes.
pub(crate) fn engine() -> Result<Vec<Row>> {
    let figures = lines("engine")?;
    let all = figures.first().context("the engine's bench said nothing")?;
    let churn = all["churn"].as_array().context("no `churn`")?;
    let mut rows = Vec::new();
    for grouped in churn.iter().filter(|row| row["mode"] == "grouped") {
        let callers = &grouped["callers"];
        let mut singles =
            churn.iter().filter(|row| row["mode"] == "one by one" && row["callers"] == *callers);
        let single = singles.next().context("nothing was measured one by one")?;
        let what = format!("engine, release or allocate, {callers} at once");
        let row = Row::new(what, number(grouped, "callsPerSecond")?, "calls/s");
        let row = row.beside("a commit each", number(single, "callsPerSecond")?);
        let row = if *callers == 64 { row.bar(Bar::LeastTimes(20.0)) } else { row };
        let waited = |row: &Value| Ok::<_, anyhow::Error>(digits(number(row, "p99Micros")? / 1000.0));
        rows.push(row.detail(format!("p99 {} ms; {} ms", waited(grouped)?, waited(single)?)));
    }
    for rebuild in all["rebuild"].as_array().context("no `rebuild`")? {
        let what = format!("rebuild, 1 M allocations, after a {}", text(rebuild, "mode")?);
        rows.push(Row::new(what, number(rebuild, "seconds")?, "s").bar(Bar::Most(1.2)));
    }
    Ok(rows)
}

/// The bench of a crate has its name.
fn bench(name: &str) -> Command {
    let mut cargo = tree::cargo();
    cargo.args(["bench", "--quiet", "--package", &format!("allotment-{name}"), "--bench", name]);
    cargo
}

/// Runs a crate's bench; each line that it prints is an object.
fn lines(name: &str) -> Result<Vec<Value>> {
    let mut cargo = bench(name);
    cargo.args(["--", "--json"]).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = cargo.output()?;
    ensure!(output.status.success(), "`{}` failed", allotment_lab::shown(&cargo));
    let text = String::from_utf8(output.stdout)?;
    let objects = text.lines().filter(|line| line.starts_with('{')).map(serde_json::from_str);
    objects.collect::<Result<_, _>>().with_context(|| format!("`{}`", allotment_lab::shown(&cargo)))
}

fn named<'a>(figures: &'a [Value], part: &str) -> Result<&'a Value> {
    let mut figures = figures.iter();
    let found = figures.find(|figure| figure["row"].as_str().is_some_and(|name| name.contains(part)));
    found.with_context(|| format!("core's bench has no row `{part}`"))
}

fn number(figure: &Value, key: &str) -> Result<f64> {
    figure[key].as_f64().with_context(|| format!("no number `{key}` in {figure}"))
}

fn text<'a>(figure: &'a Value, key: &str) -> Result<&'a str> {
    figure[key].as_str().with_context(|| format!("no text `{key}` in {figure}"))
}
