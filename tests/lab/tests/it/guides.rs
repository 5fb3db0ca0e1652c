//! The guides in `docs`: what they show is run.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use allotment_lab::{Call, Verb};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::world::{Test, World, ipam, nobody};

pub(crate) const TESTS: &[Test] = &[
    ("guides::one_machine_from_its_first_command_to_its_last", one_machine),
    ("guides::every_network_works", networks),
    ("guides::calico_asks_us_as_its_plugin_does", calico),
    ("guides::readme_works_in_five_minutes", readme),
];

/// Where the networks of the guide take their addresses from.
const NETWORKS: [(&str, &str); 9] = [
    ("pods", "10.88.0."),
    ("lan", "192.168.50."),
    ("cameras", "192.168.50.2"),
    ("routed", "10.88.0."),
    ("vms", "10.88.0."),
    ("nic", "192.168.50."),
    ("ipvlan-lan", "192.168.50."),
    ("vlan-7", "192.168.50."),
    ("old", "10.99.0.2"),
];

/// As much of systemd as the guide uses, for its one service.
const SYSTEMCTL: &str = r#"#!/bin/sh
set -eu
unit=/etc/systemd/system/allotment.service
start() {
    $(sed -n 's/^ExecStart=//p' $unit) >> /run/daemon.log 2>&1 &
    echo $! > /run/daemon.pid
    $(sed -n 's/^ExecStartPost=//p' $unit)
}
stop() {
    kill -s "$1" "$(cat /run/daemon.pid)"
    tail --pid="$(cat /run/daemon.pid)" -s 0.05 -f /dev/null
}
case "$*" in
    daemon-reload) ;;
    "enable --now allotment" | "start allotment") start ;;
    "stop allotment") stop TERM ;;
    "restart allotment") stop TERM; start ;;
    "kill --signal=KILL allotment") stop KILL; start ;;
    *) echo "systemctl $*: the guide has something new" >&2; exit 1 ;;
esac
"#;

/// It is root already.
const SUDO: &str = "#!/bin/sh\nexec \"$@\"\n";

/// What `cargo xtask dist` makes is there already.
const CARGO: &str = "#!/bin/sh\n[ \"$*\" = \"xtask dist\" ]\n";

/// Folders of the machine's own that the guide writes into, for this process alone.
const PRELUDE: &str = r#"set -eu
mkdir etc-copy
cp -a /etc/. etc-copy
mount --bind etc-copy /etc
for folder in /run /var/lib /opt /usr/local/bin; do mount -t tmpfs tmpfs $folder; done
mkdir -p /run/netns /opt/cni/bin /etc/systemd/system
cp "$STOCK"/* /opt/cni/bin
install systemctl sudo cargo /usr/local/bin
ip link set lo up
export PATH="/usr/local/bin:$PATH"
set -x
"#;

fn one_machine(world: &World) -> Result<()> {
    let blocks = blocks("guides/one-machine.md")?.into_iter().filter(|block| block.language == "sh");
    let script: String = blocks.map(|block| block.text).collect();
    let words = [
        "10.88.0.2 in subnet `pods`",
        "Container try: has 10.88.0.2",
        "0 errors",
        "cooling  pods",
        "imported 0 objects and 2 addresses",
    ];
    played(world, &script, &words)
}

/// What README says before a container is started, what its runtime does then, and what README says after that.
fn readme(world: &World) -> Result<()> {
    let text = fs::read_to_string(docs().join("../README.md"))?;
    let section = text.split_once("\n## Five minutes with it\n").context("the section")?.1;
    let section = section.split("\n## ").next().unwrap_or(section);
    let mut blocks = blocks_of(section)?;
    let look = blocks.pop().context("a last block")?.text;
    let list: Value = serde_json::from_str(&blocks.pop().context("a configuration")?.text)?;
    let mut network = list["plugins"][0].clone();
    network["cniVersion"] = list["cniVersion"].clone();
    network["name"] = list["name"].clone();
    let begin: String = blocks.into_iter().map(|block| block.text).collect();
    // The daemon stays in the foreground: the rest is for another terminal.
    let begin = begin.replace("allot standalone\n", "allot standalone &\n");
    let runtime = format!(
        "dist/bin/allot ready --timeout 60s\nip netns add try\n\
         export CNI_COMMAND=ADD CNI_CONTAINERID=try CNI_NETNS=/run/netns/try CNI_IFNAME=eth0 CNI_PATH=/opt/cni/bin\n\
         /opt/cni/bin/bridge <<'END'\n{network}\nEND\n"
    );
    played(
        world,
        &format!("{begin}{runtime}{look}"),
        &["10.40.0.2 in subnet `blue`", "Container try has it", "0 errors"],
    )
}

/// Enters all of it in one shell on a machine of its own; these words are to be seen.
fn played(world: &World, script: &str, words: &[&str]) -> Result<()> {
    let lab = world.machine("")?;
    let dir = lab.dir();
    let (bin, stock) = lab.cni_path().split_once(':').context("two folders of plugins")?;
    fs::create_dir(dir.join("dist"))?;
    symlink(bin, dir.join("dist/bin"))?;
    for (name, text) in [("systemctl", SYSTEMCTL), ("sudo", SUDO), ("cargo", CARGO)] {
        fs::write(dir.join(name), text)?;
    }
    fs::write(dir.join("guide.sh"), format!("{PRELUDE}{script}"))?;
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "guide.sh"]);
    let output = shell.current_dir(dir).env("STOCK", stock).output()?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "the guide broke off:\n{said}");
    for words in words {
        ensure!(said.contains(words), "`{words}` was expected:\n{said}");
    }
    Ok(())
}

fn networks(world: &World) -> Result<()> {
    let blocks = blocks("guides/networks.md")?;
    let of =
        |language| blocks.iter().filter(move |block| block.language == language).map(|block| &block.text);
    let objects: Vec<&str> = of("yaml").map(String::as_str).collect();
    let lab = world.lab(&objects.join("---\n"))?;
    let problems = allotment_lab::run(&mut lab.tool(&["check", &lab.objects().to_string_lossy()]))?;
    for nic in ["eth1", "eth2"] {
        lab.host().ip(&format!("link add {nic} type veth peer name far-{nic}"))?;
        lab.host().ip(&format!("link set {nic} up"))?;
    }
    let mut expected = BTreeMap::from(NETWORKS);
    for text in of("json") {
        let mut config: Value = serde_json::from_str(text).with_context(|| text.clone())?;
        config["ipam"]["socket"] = json!(lab.socket());
        let name = config["name"].as_str().context("a name")?.to_owned();
        let prefix = expected.remove(name.as_str()).with_context(|| format!("network `{name}` is new"))?;
        let pod = lab.netns(&name)?;
        let call = |verb| Call::new(verb, &config).interface(&name, &pod.path(), "net1");
        // Where the kernel has no such interfaces, the configuration goes to `allotment` alone.
        let runs = match config["type"].as_str() {
            Some("ipvlan") => lab.host().ip("link add probe0 link eth1 type ipvlan mode l2").is_ok(),
            Some("vlan") => lab.host().ip("link add probe1 link eth1 type vlan id 5").is_ok(),
            _ => true,
        };
        if !runs {
            let before = lab.list(&["ip"])?;
            let refused = lab.call(&call(Verb::Add))?;
            ensure!(!refused.is_ok(), "the kernel was not expected to have {name}: {refused}");
            let after = lab.list(&["ip"])?;
            ensure!(after == before, "what the kernel refused has left something: {after:?}");
        }
        let answer = if runs { lab.call(&call(Verb::Add))? } else { ipam(&lab, &call(Verb::Add))? };
        let addresses = answer.addresses()?;
        ensure!(addresses[0].starts_with(prefix), "{name}: {addresses:?}");
        if runs {
            lab.call(&call(Verb::Del))?.ok()?
        } else {
            ipam(&lab, &call(Verb::Del))?.ok()?
        };
        nobody(&lab)?;
    }
    ensure!(expected.is_empty(), "the guide no longer shows {:?}; {problems}", expected.keys());
    Ok(())
}

/// Calico's plugin hands its own configuration on as it is; guides/calico.md says what it makes of the answer.
fn calico(world: &World) -> Result<()> {
    let blocks = blocks("guides/calico.md")?;
    let is_ours = |block: &&Block| block.language == "yaml" && block.text.contains("allotment.dev");
    let objects = &blocks.iter().find(is_ours).context("the guide shows a subnet")?.text;
    let json = blocks.iter().find(|block| block.language == "json").context("and a configuration")?;
    let list: Value = serde_json::from_str(&json.text)?;
    let mut config = list["plugins"][0].clone();
    config["cniVersion"] = list["cniVersion"].clone();
    config["name"] = list["name"].clone();
    let lab = world.lab(objects)?;
    config["ipam"]["socket"] = json!(lab.socket());
    let pod = lab.netns("calico")?;
    let call = |verb| Call::new(verb, &config).interface("c1", &pod.path(), "eth0");
    let addresses = ipam(&lab, &call(Verb::Add))?.addresses()?;
    ensure!(addresses.len() == 1 && addresses[0].starts_with("10.46."), "one of the family: {addresses:?}");
    ipam(&lab, &call(Verb::Del))?.ok()?;
    nobody(&lab)
}

/// A fenced block.
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) text: String,
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

pub(crate) fn blocks(page: &str) -> Result<Vec<Block>> {
    let text = fs::read_to_string(docs().join(page)).with_context(|| page.to_owned())?;
    blocks_of(&text).with_context(|| page.to_owned())
}

fn blocks_of(text: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some(Block { language: language.to_owned(), text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    if open.is_some() {
        bail!("a block has no end");
    }
    Ok(blocks)
}
