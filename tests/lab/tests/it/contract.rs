//! What a runtime may do to the plugin, in every order (CNI SPEC 1.1.0, section 4; rules R1 and O2 to O4).

use std::fs;
use std::thread;

use allotment_lab::{Call, Verb};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::world::{Test, World, add, bare, del, ipam, lan, nobody, nowhere, rows, site, the_row};

pub(crate) const TESTS: &[Test] = &[
    ("contract::add_again_returns_the_same", add_again_returns_the_same),
    ("contract::add_eight_times_at_once_returns_the_same", add_eight_times_at_once),
    ("contract::del_before_add_does_nothing", del_before_add_does_nothing),
    ("contract::del_needs_no_namespace", del_needs_no_namespace),
    ("contract::del_needs_no_more_than_the_interface", del_needs_no_more_than_the_interface),
    ("contract::del_of_an_older_sandbox_frees_nothing", del_of_an_older_sandbox_frees_nothing),
    ("contract::del_of_one_interface_keeps_the_other", del_of_one_interface_keeps_the_other),
    ("contract::del_is_kept_while_the_daemon_is_away", del_is_kept_while_the_daemon_is_away),
    ("contract::a_new_container_waits_out_the_cooling", a_new_container_waits_out_the_cooling),
    ("contract::check_wants_what_was_given", check_wants_what_was_given),
    ("contract::gc_frees_what_is_not_listed", gc_frees_what_is_not_listed),
    ("contract::gc_keeps_other_networks", gc_keeps_other_networks),
    ("contract::gc_without_a_list_does_nothing", gc_without_a_list_does_nothing),
    ("contract::owners_are_pods_or_containers", owners_are_pods_or_containers),
];

fn add_again_returns_the_same(world: &World) -> Result<()> {
    let (lab, pod, config) = site(world, &lan())?;
    let first = add(&lab, &config, "c1", &pod)?.result()?;
    let second = add(&lab, &config, "c1", &pod)?.result()?;
    ensure!(first == second, "{first} and {second}");
    the_row(&lab).map(drop)
}

fn add_eight_times_at_once(world: &World) -> Result<()> {
    let (lab, pod, config) = site(world, &lan())?;
    let answers: Vec<_> = thread::scope(|scope| {
        let calls: Vec<_> =
            (0..8).map(|_| scope.spawn(|| add(&lab, &config, "c1", &pod)?.addresses())).collect();
        calls.into_iter().map(|call| call.join().expect("no assertion in it")).collect()
    });
    let row = the_row(&lab)?;
    for answer in answers {
        let addresses = answer?;
        ensure!(addresses.len() == 1 && bare(&addresses[0]) == row["address"], "{addresses:?} and {row}");
    }
    Ok(())
}

fn del_before_add_does_nothing(world: &World) -> Result<()> {
    let (lab, pod, config) = site(world, &lan())?;
    del(&lab, &config, "never", &pod)?.ok()?;
    ensure!(lab.list(&["ip"])?.is_empty(), "a DEL of nothing left something");
    add(&lab, &config, "c1", &pod)?.ok()?;
    the_row(&lab).map(drop)
}

fn del_needs_no_namespace(world: &World) -> Result<()> {
    let (lab, pod, config) = site(world, &lan())?;
    for netns in [None, Some(String::new()), Some(nowhere().to_string_lossy().into_owned())] {
        add(&lab, &config, "c1", &pod)?.ok()?;
        let mut call = Call::new(Verb::Del, &config).interface("c1", &pod.path(), "eth0");
        call.netns = netns;
        ipam(&lab, &call)?.ok()?;
        nobody(&lab)?;
    }
    Ok(())
}

/// Runtimes that lost their cache send what they have: here no `ipam`, here no name either.
fn del_needs_no_more_than_the_interface(world: &World) -> Result<()> {
    let (lab, pod, config) = site(world, &lan())?;
    let socket = lab.socket().to_string_lossy().into_owned();
    let stripped = [
        json!({"cniVersion": "1.1.0", "name": "net", "type": "main", "ipam": {"type": "allotment"}}),
        json!({"cniVersion": "1.1.0", "name": "net", "type": "main"}),
        json!({"cniVersion": "1.1.0", "type": "main"}),
        json!({}),
    ];
    for left in stripped {
        add(&lab, &config, "c1", &pod)?.ok()?;
        let call = Call::new(Verb::Del, &left).interface("c1", &pod.path(), "eth0");
        ipam(&lab, &call.env("ALLOTMENT_SOCKET", &socket))?.ok()?;
        nobody(&lab)?;
    }
    Ok(())
}

fn pod_args(uid: &str) -> String {
    format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0;K8S_POD_UID={uid}")
}

fn del_of_an_older_sandbox_frees_nothing(world: &World) -> Result<()> {
    let (lab, pod, config) = site(world, &lan())?;
    let call = |verb, id| Call::new(verb, &config).interface(id, &pod.path(), "eth0").args(&pod_args("u1"));
    let first = ipam(&lab, &call(Verb::Add, "old"))?.addresses()?;
    let second = ipam(&lab, &call(Verb::Add, "new"))?.addresses()?;
    ensure!(first == second, "the pod keeps its address in its next sandbox: {first:?}, {second:?}");
    ipam(&lab, &call(Verb::Del, "old"))?.ok()?;
    let row = the_row(&lab)?;
    ensure!(row["attachment"]["containerId"] == "new", "{row}");
    ipam(&lab, &call(Verb::Del, "new"))?.ok()?;
    nobody(&lab)
}

fn del_of_one_interface_keeps_the_other(world: &World) -> Result<()> {
    let (lab, pod, config) = site(world, &lan())?;
    add(&lab, &config, "c1", &pod)?.ok()?;
    ipam(&lab, &Call::new(Verb::Add, &config).interface("c1", &pod.path(), "net1"))?.ok()?;
    del(&lab, &config, "c1", &pod)?.ok()?;
    let row = the_row(&lab)?;
    ensure!(row["attachment"]["interface"] == "net1", "{row}");
    Ok(())
}

fn del_is_kept_while_the_daemon_is_away(world: &World) -> Result<()> {
    let (mut lab, pod, config) = site(world, &lan())?;
    add(&lab, &config, "c1", &pod)?.ok()?;
    add(&lab, &config, "c2", &pod)?.ok()?;
    lab.kill()?;
    let away = add(&lab, &config, "c3", &pod)?;
    ensure!(away.error_code()? == 11, "{away}");
    del(&lab, &config, "c1", &pod)?.ok()?;
    del(&lab, &config, "c1", &pod)?.ok()?;
    let pending = lab.dir().join("pending-del");
    ensure!(fs::read_dir(&pending)?.count() > 0, "no file in {}", pending.display());
    lab.start()?;
    ensure!(fs::read_dir(&pending)?.count() == 0, "files are left in {}", pending.display());
    let row = the_row(&lab)?;
    ensure!(row["attachment"]["containerId"] == "c2", "{row}");
    Ok(())
}

/// The interface may still be up when DEL is answered: nobody else gets the address before it has cooled.
fn a_new_container_waits_out_the_cooling(world: &World) -> Result<()> {
    let (lab, pod, config) = site(world, &lan())?;
    let first = add(&lab, &config, "c1", &pod)?.addresses()?;
    del(&lab, &config, "c1", &pod)?.ok()?;
    let second = add(&lab, &config, "c2", &pod)?.addresses()?;
    ensure!(first != second, "{first:?} was given away at once");
    let back = add(&lab, &config, "c1", &pod)?.addresses()?;
    ensure!(first == back, "the same attachment gets its cooling address back: {first:?}, {back:?}");
    Ok(())
}

fn check_wants_what_was_given(world: &World) -> Result<()> {
    let (lab, pod, config) = site(world, &lan())?;
    let result = add(&lab, &config, "c1", &pod)?.result()?;
    let check = |result: &Value| {
        let mut config = config.clone();
        config["prevResult"] = result.clone();
        ipam(&lab, &Call::new(Verb::Check, &config).interface("c1", &pod.path(), "eth0"))
    };
    let answer = check(&result)?.ok()?;
    ensure!(answer.stdout.is_empty(), "CHECK has no output: {answer}");
    let mut other = result.clone();
    other["ips"][0]["address"] = json!("10.9.0.99/24");
    ensure!(check(&other)?.error_code()? == 103, "another address passed");
    Ok(())
}

fn valid(config: &Value, list: Value) -> Call {
    let mut config = config.clone();
    config["cni.dev/valid-attachments"] = list;
    Call::new(Verb::Gc, &config)
}

fn gc_frees_what_is_not_listed(world: &World) -> Result<()> {
    let (lab, pod, config) = site(world, &lan())?;
    for id in ["c1", "c2", "c3"] {
        add(&lab, &config, id, &pod)?.ok()?;
    }
    let listed = json!([{"containerID": "c2", "ifname": "eth0"}, {"containerID": "c3", "ifname": "net9"}]);
    ipam(&lab, &valid(&config, listed))?.ok()?;
    let row = the_row(&lab)?;
    ensure!(row["attachment"]["containerId"] == "c2", "{row}");
    Ok(())
}

fn gc_keeps_other_networks(world: &World) -> Result<()> {
    let (lab, pod, config) = site(world, &lan())?;
    add(&lab, &config, "c1", &pod)?.ok()?;
    let mut other = config.clone();
    other["name"] = json!("other");
    add(&lab, &other, "c1", &pod)?.ok()?;
    ipam(&lab, &valid(&config, json!([])))?.ok()?;
    let row = the_row(&lab)?;
    ensure!(row["attachment"]["network"] == "other", "{row}");
    Ok(())
}

fn gc_without_a_list_does_nothing(world: &World) -> Result<()> {
    let (lab, pod, config) = site(world, &lan())?;
    add(&lab, &config, "c1", &pod)?.ok()?;
    ipam(&lab, &Call::new(Verb::Gc, &config))?.ok()?;
    ipam(&lab, &valid(&config, Value::Null))?.ok()?;
    the_row(&lab).map(drop)
}

fn owners_are_pods_or_containers(world: &World) -> Result<()> {
    let (lab, pod, config) = site(world, &lan())?;
    let call = |id, args: &str| Call::new(Verb::Add, &config).interface(id, &pod.path(), "eth0").args(args);
    ipam(&lab, &call("c1", &pod_args("u1")))?.ok()?;
    ipam(&lab, &call("c2", "IgnoreUnknown=1;K8S_POD_NAME=web"))?.ok()?;
    add(&lab, &config, "c3", &pod)?.ok()?;
    let mut owners: Vec<Value> = rows(&lab, "active")?.iter().map(|row| row["owner"].clone()).collect();
    owners.sort_by_key(|owner| owner["uid"].to_string());
    let expected = json!([
        {"kind": "Container", "namespace": null, "name": "web", "uid": "c2"},
        {"kind": "Container", "namespace": null, "name": "c3", "uid": "c3"},
        {"kind": "Pod", "namespace": "shop", "name": "cart-0", "uid": "u1"},
    ]);
    ensure!(json!(owners) == expected, "{owners:?}");
    Ok(())
}
