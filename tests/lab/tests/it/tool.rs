//! `allot` beside a real daemon: what it lists and the codes that it exits with (O7, O8).

use std::fs;

use allotment_lab::Lab;
use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::world::{Test, World, add, config, lan, object};

pub(crate) const TESTS: &[Test] = &[
    ("tool::exit_codes", exit_codes),
    ("tool::rows_have_every_field", rows_have_every_field),
    ("tool::who_has_and_why", who_has_and_why),
    ("tool::audit_is_clean_around_a_container_s_life", audit_is_clean),
    ("tool::a_bad_edit_changes_nothing_and_is_told", a_bad_edit),
    ("tool::an_edit_is_followed", an_edit_is_followed),
    ("tool::export_goes_into_an_empty_machine", export_and_import),
];

/// The exit code and everything that was said.
fn exit(lab: &Lab, args: &[&str]) -> Result<(i32, String)> {
    let output = lab.tool(args).output()?;
    let words = [output.stdout, output.stderr].concat();
    Ok((output.status.code().context("a signal")?, String::from_utf8_lossy(&words).into_owned()))
}

fn exits(lab: &Lab, args: &[&str], code: i32) -> Result<String> {
    let (found, words) = exit(lab, args)?;
    ensure!(found == code, "`allot {}` exited {found}, not {code}: {words}", args.join(" "));
    Ok(words)
}

fn exit_codes(world: &World) -> Result<()> {
    let mut lab = world.lab(&lan())?;
    let good = lab.dir().join("good.yaml");
    let bad = lab.dir().join("bad.yaml");
    fs::write(&good, crate::world::subnet("new", "cidrs: [10.20.0.0/24]"))?;
    fs::write(&bad, crate::world::subnet("new", "cidrs: [10.20.0.7/24]"))?;
    exits(&lab, &["ready"], 0)?;
    exits(&lab, &["audit"], 0)?;
    exits(&lab, &["who-has", "10.9.0.200"], 1)?;
    exits(&lab, &["who-has", "ten"], 2)?;
    exits(&lab, &["subnet", "--no-such-flag"], 2)?;
    exits(&lab, &["check", &good.to_string_lossy()], 0)?;
    let words = exits(&lab, &["check", &bad.to_string_lossy()], 1)?;
    ensure!(words.contains("bad.yaml") && words.contains("cidrs"), "file and field are named: {words}");
    lab.daemon()?.stop()?;
    exits(&lab, &["ip"], 2)?;
    exits(&lab, &["ready", "--timeout", "10ms"], 2)?;
    Ok(())
}

fn rows_have_every_field(world: &World) -> Result<()> {
    let lab = world.lab(&lan())?;
    let pod = lab.netns("pod")?;
    add(&lab, &config(&lab, json!({"subnets": ["lan"]})), "c1", &pod)?.ok()?;
    let rows = lab.list(&["ip"])?;
    let row = rows.first().context("a row")?.as_object().context("an object")?;
    let fields = ["address", "subnet", "vrf", "state", "mac", "owner", "attachment", "node", "since"];
    for field in fields {
        ensure!(row.contains_key(field), "`{field}` is absent, not null: {row:?}");
    }
    let since = row["since"].as_str().context("since")?;
    ensure!(since.len() >= 20 && since.ends_with('Z') && since.contains('T'), "RFC 3339 in UTC: {since}");
    let subnets = lab.list(&["subnet"])?;
    ensure!(subnets[0]["name"] == "lan" && subnets[0]["active"] == "1", "{subnets:?}");
    // A /24 less its network, broadcast and gateway address.
    ensure!(subnets[0]["total"] == "253" && subnets[0]["free"] == "252", "{subnets:?}");
    Ok(())
}

fn who_has_and_why(world: &World) -> Result<()> {
    let lab = world.lab(&lan())?;
    let pod = lab.netns("pod")?;
    add(&lab, &config(&lab, json!({"subnets": ["lan"]})), "c1", &pod)?.ok()?;
    let words = exits(&lab, &["who-has", "10.9.0.2"], 0)?;
    ensure!(words.contains("c1"), "{words}");
    let words = exits(&lab, &["why", "c1"], 0)?;
    ensure!(words.contains("10.9.0.2") && words.contains("lan"), "{words}");
    Ok(())
}

fn audit_is_clean(world: &World) -> Result<()> {
    let lab = world.lab(&lan())?;
    let pod = lab.netns("pod")?;
    let mut config = config(&lab, json!({"subnets": ["lan"]}));
    config["type"] = json!("bridge");
    config["bridge"] = json!("br0");
    let call = |verb| allotment_lab::Call::new(verb, &config).interface("c1", &pod.path(), "eth0");
    exits(&lab, &["audit"], 0)?;
    lab.call(&call(allotment_lab::Verb::Add))?.ok()?;
    exits(&lab, &["audit"], 0)?;
    lab.call(&call(allotment_lab::Verb::Del))?.ok()?;
    exits(&lab, &["audit"], 0)?;
    Ok(())
}

/// A subnet that shrinks below a holder stays as it was, and the daemon says where and why (O6).
fn a_bad_edit(world: &World) -> Result<()> {
    let mut lab = world.lab(&lan())?;
    let pod = lab.netns("pod")?;
    let mut wants = config(&lab, json!({"subnets": ["lan"]}));
    wants["ipam"]["ips"] = json!(["10.9.0.200"]);
    add(&lab, &wants, "c1", &pod)?.ok()?;
    fs::write(lab.objects(), crate::world::subnet("lan", "cidrs: [10.9.0.0/25], cooling: 1h"))?;
    let told = || lab.log().contains("lab.yaml").then_some(());
    allotment_lab::wait_until("the log names the file", std::time::Duration::from_secs(20), told)?;
    let subnets = lab.list(&["subnet"])?;
    ensure!(subnets[0]["cidr"] == "10.9.0.0/24", "{subnets:?}");
    lab.kill()?;
    lab.start()?;
    let subnets = lab.list(&["subnet"])?;
    ensure!(subnets[0]["cidr"] == "10.9.0.0/24", "across a restart: {subnets:?}");
    let usual = config(&lab, json!({"subnets": ["lan"]}));
    add(&lab, &usual, "c2", &pod)?.ok()?;
    Ok(())
}

fn an_edit_is_followed(world: &World) -> Result<()> {
    let lab = world.lab(&lan())?;
    let grown = crate::world::subnet("lan", "cidrs: [10.9.0.0/23], cooling: 1h");
    let printer =
        object("Reservation", "printer", "subnet: lan, addresses: [10.9.1.7], reason: \"the printer\"");
    fs::write(lab.objects(), format!("{grown}{printer}"))?;
    allotment_lab::wait_until("the edit is followed", std::time::Duration::from_secs(20), || {
        let reservations = lab.list(&["reservation"]).ok()?;
        reservations.iter().any(|row| row["name"] == "printer").then_some(())
    })?;
    let subnets = lab.list(&["subnet"])?;
    ensure!(subnets[0]["cidr"] == "10.9.0.0/23", "{subnets:?}");
    Ok(())
}

fn export_and_import(world: &World) -> Result<()> {
    let lab = world.lab(&lan())?;
    let pod = lab.netns("pod")?;
    let config = config(&lab, json!({"subnets": ["lan"]}));
    for id in ["c1", "c2"] {
        add(&lab, &config, id, &pod)?.ok()?;
    }
    let lines = allotment_lab::run(&mut lab.tool(&["export"]))?;
    let file = lab.dir().join("export.jsonl");
    fs::write(&file, &lines)?;
    let other = world.lab("")?;
    let output = other.tool(&["import"]).stdin(fs::File::open(&file)?).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let both = |lab: &Lab| -> Result<Vec<String>> {
        lab.list(&["ip"])?.iter().map(|row| Ok(format!("{} {}", row["address"], row["owner"]))).collect()
    };
    ensure!(both(&lab)? == both(&other)?, "{:?} became {:?}", both(&lab)?, both(&other)?);
    Ok(())
}
