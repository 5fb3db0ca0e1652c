//! Sections written for `host-local` and `static`: only the type has to be changed (rule O5).

use allotment_lab::{Call, Lab, Verb};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::world::{Test, World, add, config, del, ipam, lan};

pub(crate) const TESTS: &[Test] = &[
    ("compat::host_local_hands_out_the_next_after_the_last", next_after_last),
    ("compat::host_local_stays_within_its_range", within_its_range),
    ("compat::host_local_networks_do_not_meet", networks_do_not_meet),
    ("compat::host_local_has_several_ranges", several_ranges),
    ("compat::static_addresses_are_given_once", static_addresses),
    ("compat::sections_do_not_mix", sections_do_not_mix),
];

/// A `host-local` section with one range.
fn host_local(lab: &Lab, range: &Value) -> Value {
    config(lab, json!({"ranges": [[range]], "routes": [{"dst": "0.0.0.0/0"}]}))
}

fn next_after_last(world: &World) -> Result<()> {
    let lab = world.lab("")?;
    let pod = lab.netns("pod")?;
    let config = host_local(&lab, &json!({"subnet": "10.5.0.0/24"}));
    let result = add(&lab, &config, "c1", &pod)?.result()?;
    ensure!(result["ips"] == json!([{"address": "10.5.0.2/24", "gateway": "10.5.0.1"}]), "{result}");
    ensure!(result["routes"][0]["dst"] == "0.0.0.0/0", "{result}");
    del(&lab, &config, "c1", &pod)?.ok()?;
    for (id, address) in [("c2", "10.5.0.3/24"), ("c3", "10.5.0.4/24")] {
        let addresses = add(&lab, &config, id, &pod)?.addresses()?;
        ensure!(addresses == [address], "{id}: {addresses:?}");
    }
    Ok(())
}

fn within_its_range(world: &World) -> Result<()> {
    let lab = world.lab("")?;
    let pod = lab.netns("pod")?;
    let range = json!({"subnet": "10.5.0.0/24", "rangeStart": "10.5.0.20", "rangeEnd": "10.5.0.21", "gateway": "10.5.0.254"});
    let config = host_local(&lab, &range);
    let result = add(&lab, &config, "c1", &pod)?.result()?;
    ensure!(result["ips"] == json!([{"address": "10.5.0.20/24", "gateway": "10.5.0.254"}]), "{result}");
    add(&lab, &config, "c2", &pod)?.ok()?;
    let full = add(&lab, &config, "c3", &pod)?;
    ensure!(full.error_code()? == 100, "{full}");
    // Nothing cools: round and round, as its users know it.
    del(&lab, &config, "c1", &pod)?.ok()?;
    let again = add(&lab, &config, "c3", &pod)?.addresses()?;
    ensure!(again == ["10.5.0.20/24"], "{again:?}");
    Ok(())
}

/// Each network has files of its own with `host-local`, and so addresses of its own.
fn networks_do_not_meet(world: &World) -> Result<()> {
    let lab = world.lab("")?;
    let pod = lab.netns("pod")?;
    let mut config = host_local(&lab, &json!({"subnet": "10.5.0.0/24"}));
    for (name, folder) in [("one", None), ("two", None), ("two", Some("/var/lib/other"))] {
        config["name"] = json!(name);
        if let Some(folder) = folder {
            config["ipam"]["dataDir"] = json!(folder);
        }
        let id = format!("{name}-{}", folder.is_some());
        let addresses = add(&lab, &config, &id, &pod)?.addresses()?;
        ensure!(addresses == ["10.5.0.2/24"], "{id}: {addresses:?}");
    }
    Ok(())
}

/// One address of each set; within a set the first range that has one.
fn several_ranges(world: &World) -> Result<()> {
    let lab = world.lab("")?;
    let pod = lab.netns("pod")?;
    let sets = json!([[{"subnet": "10.5.0.0/30"}, {"subnet": "10.5.1.0/24"}], [{"subnet": "fd00:5::/64"}]]);
    let config = config(&lab, json!({"ranges": sets}));
    let first = add(&lab, &config, "c1", &pod)?.addresses()?;
    ensure!(first == ["10.5.0.2/30", "fd00:5::2/64"], "{first:?}");
    let second = add(&lab, &config, "c2", &pod)?.addresses()?;
    ensure!(second == ["10.5.1.2/24", "fd00:5::3/64"], "{second:?}");
    Ok(())
}

fn static_addresses(world: &World) -> Result<()> {
    let lab = world.lab("")?;
    let pod = lab.netns("pod")?;
    let addresses = json!([{"address": "10.5.0.9/24", "gateway": "10.5.0.1"}, {"address": "fd00:5::9/64"}]);
    let config = config(&lab, json!({"addresses": addresses}));
    let result = add(&lab, &config, "c1", &pod)?.result()?;
    let expected = json!([{"address": "10.5.0.9/24", "gateway": "10.5.0.1"}, {"address": "fd00:5::9/64"}]);
    ensure!(result["ips"] == expected, "{result}");
    let twice = add(&lab, &config, "c2", &pod)?;
    ensure!(twice.error_code()? == 101, "{twice}");
    del(&lab, &config, "c1", &pod)?.ok()?;
    add(&lab, &config, "c2", &pod)?.ok().map(drop)
}

fn sections_do_not_mix(world: &World) -> Result<()> {
    let lab = world.lab(&lan())?;
    let pod = lab.netns("pod")?;
    let mixed = config(&lab, json!({"subnets": ["lan"], "ranges": [[{"subnet": "10.5.0.0/24"}]]}));
    let answer = ipam(&lab, &Call::new(Verb::Add, &mixed).interface("c1", &pod.path(), "eth0"))?;
    ensure!(answer.error_code()? == 7 && answer.stdout.contains("ranges"), "{answer}");
    Ok(())
}
