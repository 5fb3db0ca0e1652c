//! Every version of CNI from 0.3.0 on, and what is said to those who get it wrong.

use allotment_lab::{Call, Verb};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::world::{Test, World, add, del, ipam, lan, nobody, site};

pub(crate) const TESTS: &[Test] = &[
    ("runtimes::every_version_gets_its_own_result", every_version_gets_its_own_result),
    ("runtimes::every_version_through_a_stock_plugin", every_version_through_a_stock_plugin),
    ("runtimes::version_without_the_daemon", version_without_the_daemon),
    ("runtimes::an_unknown_version_is_refused", an_unknown_version_is_refused),
    ("runtimes::a_broken_call_is_refused_with_the_codes_of_the_spec", a_broken_call_is_refused),
    ("runtimes::unknown_keys_are_tolerated", unknown_keys_are_tolerated),
    ("runtimes::the_socket_by_environment", the_socket_by_environment),
    ("runtimes::only_the_socket_s_owner_may_ask", only_the_sockets_owner_may_ask),
];

const VERSIONS: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

fn every_version_gets_its_own_result(world: &World) -> Result<()> {
    let (lab, pod, mut config) = site(world, &lan())?;
    for version in VERSIONS {
        config["cniVersion"] = json!(version);
        let result = add(&lab, &config, "c1", &pod)?.result()?;
        ensure!(result["cniVersion"] == version, "{result}");
        let ip = &result["ips"][0];
        ensure!(ip["address"] == "10.9.0.2/24" && ip["gateway"] == "10.9.0.1", "{result}");
        let family = ip.get("version").and_then(Value::as_str);
        let expected = version.starts_with("0.").then_some("4");
        ensure!(family == expected, "`version` in `ips` is of 0.x only: {result}");
        ensure!(result.get("interfaces").is_none(), "an IPAM plugin names no interfaces: {result}");
    }
    Ok(())
}

fn every_version_through_a_stock_plugin(world: &World) -> Result<()> {
    let (lab, pod, mut config) = site(world, &lan())?;
    config["type"] = json!("ptp");
    for version in VERSIONS {
        config["cniVersion"] = json!(version);
        let call = |verb| Call::new(verb, &config).interface("c1", &pod.path(), "eth0");
        let addresses = lab.call(&call(Verb::Add))?.addresses()?;
        ensure!(addresses == ["10.9.0.2/24"], "{version}: {addresses:?}");
        lab.call(&call(Verb::Del))?.ok()?;
        nobody(&lab)?;
    }
    Ok(())
}

fn version_without_the_daemon(world: &World) -> Result<()> {
    let lab = world.machine("")?;
    let answer = ipam(&lab, &Call::new(Verb::Version, &json!({"cniVersion": "1.0.0"})))?.result()?;
    let supported = answer["supportedVersions"].as_array().context("supportedVersions")?;
    for version in VERSIONS {
        ensure!(supported.contains(&json!(version)), "{version} is not in {answer}");
    }
    Ok(())
}

fn an_unknown_version_is_refused(world: &World) -> Result<()> {
    let (lab, pod, mut config) = site(world, &lan())?;
    for version in ["0.1.0", "0.2.0", "2.0.0", "newest"] {
        config["cniVersion"] = json!(version);
        let answer = add(&lab, &config, "c1", &pod)?;
        ensure!(answer.error_code()? == 1, "{version}: {answer}");
    }
    nobody(&lab)
}

fn a_broken_call_is_refused(world: &World) -> Result<()> {
    let (lab, pod, config) = site(world, &lan())?;
    let good = Call::new(Verb::Add, &config).interface("c1", &pod.path(), "eth0");
    let broken = [
        (4, "CNI_CONTAINERID", Call { container_id: None, ..good.clone() }),
        (4, "CNI_CONTAINERID", Call { container_id: Some("../etc".to_owned()), ..good.clone() }),
        (4, "CNI_NETNS", Call { netns: None, ..good.clone() }),
        (4, "CNI_IFNAME", Call { ifname: None, ..good.clone() }),
        (4, "CNI_IFNAME", Call { ifname: Some("sixteen-and-more".to_owned()), ..good.clone() }),
        (6, "", Call { stdin: "{\"cniVersion\": ".to_owned(), ..good.clone() }),
        (6, "", Call { stdin: String::new(), ..good.clone() }),
    ];
    for (code, word, call) in broken {
        let answer = ipam(&lab, &call)?;
        ensure!(answer.error_code()? == code, "code {code} was expected: {answer}");
        ensure!(answer.stdout.contains(word), "`{word}` is not named: {answer}");
    }
    let mut wrong = config.clone();
    wrong["ipam"]["subnets"] = json!("lan");
    let answer = add(&lab, &wrong, "c1", &pod)?;
    ensure!(answer.error_code()? == 6 && answer.stdout.contains("ipam.subnets"), "{answer}");
    let mut unknown = config.clone();
    unknown["ipam"]["subnets"] = json!(["nowhere"]);
    let answer = add(&lab, &unknown, "c1", &pod)?;
    ensure!(!answer.is_ok() && answer.stdout.contains("nowhere"), "{answer}");
    nobody(&lab)
}

fn unknown_keys_are_tolerated(world: &World) -> Result<()> {
    let (lab, pod, mut config) = site(world, &lan())?;
    config["capabilities"] = json!({"ips": true});
    config["cni.dev/future"] = json!([1, 2]);
    config["mtu"] = json!(1400);
    add(&lab, &config, "c1", &pod)?.ok()?;
    let traced = Call::new(Verb::Del, &config).interface("c1", &pod.path(), "eth0");
    ipam(&lab, &traced.env("TRACEPARENT", "00-0-0-00").args("IgnoreUnknown=1;NEW=1"))?.ok()?;
    nobody(&lab)
}

fn the_socket_by_environment(world: &World) -> Result<()> {
    let (lab, pod, mut config) = site(world, &lan())?;
    config["ipam"] = json!({"type": "allotment", "subnets": ["lan"]});
    let call = Call::new(Verb::Add, &config).interface("c1", &pod.path(), "eth0");
    let missing = ipam(&lab, &call)?;
    ensure!(missing.error_code()? == 11 && missing.stdout.contains("/run/allotment"), "{missing}");
    ipam(&lab, &call.env("ALLOTMENT_SOCKET", &lab.socket().to_string_lossy()))?.ok()?;
    del(&lab, &crate::world::config(&lab, json!({})), "c1", &pod)?.ok()?;
    nobody(&lab)
}

fn only_the_sockets_owner_may_ask(world: &World) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let (lab, ..) = site(world, &lan())?;
    let mode = std::fs::metadata(lab.socket())?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "the socket's mode is {mode:o}");
    Ok(())
}
