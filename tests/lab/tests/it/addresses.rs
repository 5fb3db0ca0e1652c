//! Addresses, MACs, routes and DNS: asked for in every way that CNI has, and returned.

use allotment_lab::{Answer, Call, Verb};
use anyhow::{Result, ensure};
use serde_json::json;

use crate::world::{Test, World, add, ipam, object, site, subnet, the_row};

pub(crate) const TESTS: &[Test] = &[
    ("addresses::by_runtime_config", by_runtime_config),
    ("addresses::by_args_cni", by_args_cni),
    ("addresses::by_cni_args_last_key_wins", by_cni_args_last_key_wins),
    ("addresses::by_the_configuration", by_the_configuration),
    ("addresses::mac_by_runtime_config_and_cni_args", mac_by_runtime_config_and_cni_args),
    ("addresses::a_taken_one_is_refused", a_taken_one_is_refused),
    ("addresses::a_reserved_one_is_refused", a_reserved_one_is_refused),
    ("addresses::one_outside_every_subnet_is_refused", one_outside_every_subnet_is_refused),
    ("addresses::dual_stack_with_routes_and_dns", dual_stack_with_routes_and_dns),
    ("addresses::dual_stack_on_a_real_interface", dual_stack_on_a_real_interface),
    ("addresses::the_default_subnet_needs_no_name", the_default_subnet_needs_no_name),
    ("addresses::a_full_subnet_falls_through_to_the_next", a_full_subnet_falls_through_to_the_next),
    ("addresses::a_pool_has_to_be_named", a_pool_has_to_be_named),
];

fn objects() -> String {
    let dual = "cidrs: [10.9.0.0/24, \"fd00:9::/64\"], routes: [{to: 10.0.0.0/8, via: 10.9.0.1}, {to: \"::/0\"}], \
                dns: {nameservers: [10.9.0.53], search: [lab.example]}";
    [
        subnet("lan", "cidrs: [10.9.0.0/24]"),
        subnet("tiny", "cidrs: [10.8.0.0/30]"),
        subnet("dual", &dual.replace("10.9.", "10.7.").replace("fd00:9", "fd00:7")),
        subnet("usual", "cidrs: [10.6.0.0/24], default: true"),
        object("IPPool", "db", "subnet: lan, ranges: [10.9.0.128/25]"),
        object("Reservation", "printer", "subnet: lan, addresses: [10.9.0.77], reason: \"the printer\""),
    ]
    .concat()
}

fn given(answer: &Answer, expected: &[&str]) -> Result<()> {
    let addresses = answer.addresses()?;
    ensure!(addresses == expected, "{addresses:?}, not {expected:?}");
    Ok(())
}

fn by_runtime_config(world: &World) -> Result<()> {
    let (lab, pod, mut config) = site(world, &objects())?;
    config["capabilities"] = json!({"ips": true});
    config["runtimeConfig"] = json!({"ips": ["10.9.0.40/24"]});
    given(&add(&lab, &config, "c1", &pod)?, &["10.9.0.40/24"])
}

fn by_args_cni(world: &World) -> Result<()> {
    let (lab, pod, mut config) = site(world, &objects())?;
    config["args"] = json!({"cni": {"ips": ["10.9.0.41"]}});
    given(&add(&lab, &config, "c1", &pod)?, &["10.9.0.41/24"])
}

/// Multus repeats every key, and adds IP with its prefix length.
fn by_cni_args_last_key_wins(world: &World) -> Result<()> {
    let (lab, pod, config) = site(world, &objects())?;
    let args =
        "IgnoreUnknown=true;K8S_POD_NAME=a;IP=10.9.0.42;K8S_POD_NAME=b;IgnoreUnknown=1;IP=10.9.0.43/24";
    let call = Call::new(Verb::Add, &config).interface("c1", &pod.path(), "eth0").args(args);
    given(&ipam(&lab, &call)?, &["10.9.0.43/24"])?;
    let row = the_row(&lab)?;
    ensure!(row["owner"]["name"] == "b", "{row}");
    Ok(())
}

fn by_the_configuration(world: &World) -> Result<()> {
    let (lab, pod, mut config) = site(world, &objects())?;
    config["ipam"]["ips"] = json!(["10.9.0.44"]);
    given(&add(&lab, &config, "c1", &pod)?, &["10.9.0.44/24"])
}

fn mac_by_runtime_config_and_cni_args(world: &World) -> Result<()> {
    let (lab, pod, mut config) = site(world, &objects())?;
    config["type"] = json!("bridge");
    config["bridge"] = json!("br0");
    config["capabilities"] = json!({"mac": true});
    config["runtimeConfig"] = json!({"mac": "02:00:00:00:AA:01"});
    lab.call(&Call::new(Verb::Add, &config).interface("c1", &pod.path(), "eth0"))?.ok()?;
    let row = the_row(&lab)?;
    ensure!(row["mac"] == "02:00:00:00:aa:01", "{row}");

    // The same again for somebody else, this time by CNI_ARGS: unique in the VRF.
    let args = "IgnoreUnknown=1;MAC=02:00:00:00:aa:01";
    config["runtimeConfig"] = json!({});
    let call = Call::new(Verb::Add, &config).interface("c2", &pod.path(), "net1").args(args);
    let answer = ipam(&lab, &call)?;
    ensure!(answer.error_code()? == 101, "{answer}");
    Ok(())
}

fn a_taken_one_is_refused(world: &World) -> Result<()> {
    let (lab, pod, mut config) = site(world, &objects())?;
    config["ipam"]["ips"] = json!(["10.9.0.44"]);
    add(&lab, &config, "c1", &pod)?.ok()?;
    let answer = add(&lab, &config, "c2", &pod)?;
    ensure!(answer.error_code()? == 101, "{answer}");
    ensure!(
        answer.stdout.contains("10.9.0.44") && answer.stdout.contains("c1"),
        "it says who has it: {answer}"
    );
    the_row(&lab).map(drop)
}

fn a_reserved_one_is_refused(world: &World) -> Result<()> {
    let (lab, pod, mut config) = site(world, &objects())?;
    config["ipam"]["ips"] = json!(["10.9.0.77"]);
    let answer = add(&lab, &config, "c1", &pod)?;
    ensure!(answer.error_code()? == 102, "{answer}");
    ensure!(answer.stdout.contains("printer"), "it names the reservation: {answer}");
    Ok(())
}

fn one_outside_every_subnet_is_refused(world: &World) -> Result<()> {
    let (lab, pod, mut config) = site(world, &objects())?;
    config["ipam"]["ips"] = json!(["192.0.2.7"]);
    let answer = add(&lab, &config, "c1", &pod)?;
    ensure!(!answer.is_ok() && answer.error_code()? != 999, "{answer}");
    ensure!(answer.stdout.contains("192.0.2.7"), "{answer}");
    ensure!(lab.list(&["ip"])?.iter().all(|row| row["state"] != "active"), "something was left");
    Ok(())
}

fn dual_stack_with_routes_and_dns(world: &World) -> Result<()> {
    let (lab, pod, mut config) = site(world, &objects())?;
    config["ipam"]["subnets"] = json!(["dual"]);
    let result = add(&lab, &config, "c1", &pod)?.result()?;
    let expected = json!({
        "cniVersion": "1.1.0",
        "ips": [
            {"address": "10.7.0.2/24", "gateway": "10.7.0.1"},
            {"address": "fd00:7::2/64", "gateway": "fd00:7::1"},
        ],
        "routes": [{"dst": "10.0.0.0/8", "gw": "10.7.0.1"}, {"dst": "::/0", "gw": "fd00:7::1"}],
        "dns": {"nameservers": ["10.7.0.53"], "search": ["lab.example"]},
    });
    ensure!(result == expected, "{result}\nis not\n{expected}");
    Ok(())
}

/// Through `bridge`, which keeps everything: both addresses and both routes are in the namespace.
fn dual_stack_on_a_real_interface(world: &World) -> Result<()> {
    let (lab, pod, mut config) = site(world, &objects())?;
    config["type"] = json!("bridge");
    config["bridge"] = json!("br0");
    config["ipam"]["subnets"] = json!(["dual"]);
    lab.call(&Call::new(Verb::Add, &config).interface("c1", &pod.path(), "eth0"))?.ok()?;
    let addresses = pod.ip("-br addr show dev eth0")?;
    ensure!(addresses.contains("10.7.0.2/24") && addresses.contains("fd00:7::2/64"), "{addresses}");
    let routes = format!("{}{}", pod.ip("-4 route")?, pod.ip("-6 route")?);
    ensure!(routes.contains("10.0.0.0/8 via 10.7.0.1"), "{routes}");
    ensure!(routes.contains("default via fd00:7::1"), "{routes}");
    Ok(())
}

fn the_default_subnet_needs_no_name(world: &World) -> Result<()> {
    let (lab, pod, mut config) = site(world, &objects())?;
    config["ipam"]["subnets"] = json!([]);
    given(&add(&lab, &config, "c1", &pod)?, &["10.6.0.2/24"])
}

fn a_full_subnet_falls_through_to_the_next(world: &World) -> Result<()> {
    let (lab, pod, mut config) = site(world, &objects())?;
    config["ipam"]["subnets"] = json!(["tiny", "lan"]);
    given(&add(&lab, &config, "c1", &pod)?, &["10.8.0.2/30"])?;
    given(&add(&lab, &config, "c2", &pod)?, &["10.9.0.2/24"])
}

fn a_pool_has_to_be_named(world: &World) -> Result<()> {
    let (lab, pod, mut config) = site(world, &objects())?;
    config["ipam"]["ips"] = json!(["10.9.0.200"]);
    let answer = add(&lab, &config, "c1", &pod)?;
    ensure!(answer.error_code()? == 102, "a pool is a boundary: {answer}");
    config["ipam"] = json!({"type": "allotment", "socket": lab.socket(), "pools": ["db"]});
    given(&add(&lab, &config, "c1", &pod)?, &["10.9.0.128/24"])
}
