//! The demo, step by step.

use std::process::Command;
use std::time::Duration;

use allotment_lab::{Daemon, Lab, Netns, Verb, run, wait_until};
use anyhow::{Context, Result, ensure};

use super::crash;
use super::pods::{INTERFACES, PODS, Pod, STORAGE};
use super::screen::{self, Screen};

/// The storage box's addresses; nobody else may get them.
const NAS: [&str; 2] = ["10.50.0.10", "fd00:50::10"];
/// Asked for by one pod.
const STATIC: [&str; 2] = ["10.50.0.77/24", "fd00:50::77/64"];

const LIMIT: Duration = Duration::from_secs(20);

/// A machine with a wire, a storage box at its other end, and pods.
pub(super) struct Stage {
    // Dropped in this order: whoever uses something goes before it.
    daemon: Option<Daemon>,
    pods: Vec<Pod>,
    _nas: Netns,
    lab: Lab,
    screen: Screen,
}

impl Stage {
    pub(super) fn new(lab: Lab) -> Result<Stage> {
        let nas = lab.netns("nas")?;
        lab.host().wire("nic1", &nas, "nic0")?;
        for address in NAS {
            let length = if address.contains(':') { "64 nodad" } else { "24" };
            nas.ip(&format!("addr add {address}/{length} dev nic0"))?;
        }
        Ok(Stage { daemon: None, pods: Vec::new(), _nas: nas, lab, screen: Screen::default() })
    }

    pub(super) fn log(&self) -> String {
        self.lab.log()
    }

    pub(super) fn play(&mut self) -> Result<()> {
        self.objects()?;
        self.daemon()?;
        self.containers()?;
        self.pings()?;
        self.tables()?;
        self.refusal()?;
        self.crash()?;
        self.end()
    }

    fn objects(&mut self) -> Result<()> {
        let about = "Two dual-stack subnets, and a reservation for a machine that asks nobody.\n\
                     The same objects that a cluster will take.";
        self.screen.step("Subnets are YAML", about);
        screen::show(Command::new("cat").arg(self.lab.objects()))
    }

    fn daemon(&mut self) -> Result<()> {
        self.screen.step("One daemon", "It keeps the ledger in one file and serves CNI on a Unix socket.");
        screen::command_line(&format!("{} &", allotment_lab::shown(&self.lab.standalone())));
        self.daemon = Some(self.lab.daemon_serving()?);
        screen::show(&mut self.lab.tool(&["ready"]))
    }

    fn containers(&mut self) -> Result<()> {
        let about = "Each pod gets eth0 from the stock `bridge` plugin and net1 from the stock `macvlan` plugin.\n\
                     Both ask Allotment; that is all that a network's configuration needs to say:";
        self.screen.step("Pods with two interfaces", about);
        screen::text(&format!("{PODS}\n{STORAGE}"));
        let lab = &self.lab;
        self.pods =
            vec![Pod::new(lab, "cart-0")?, Pod::new(lab, "cart-1")?, Pod::new(lab, "db-0")?.asking(&STATIC)];
        for pod in &self.pods {
            for (interface, plugin, network) in INTERFACES {
                let given = pod.add(&self.lab, interface, network)?;
                let (first, rest) = given.addresses.split_first().context("an address")?;
                let note = if given.addresses == STATIC { "   (asked for)" } else { "" };
                screen::row(&format!(
                    "ADD {:<7} {interface} by {plugin:<8} {first:<15} {:<18} in {:>4} ms{note}",
                    pod.name,
                    rest.join(" "),
                    given.time.as_millis()
                ));
            }
        }
        Ok(())
    }

    fn pings(&mut self) -> Result<()> {
        let about = "Across the bridge, across the wire, and to the storage box; IPv4 and IPv6.";
        self.screen.step("They reach each other", about);
        let rows = self.lab.list(&["ip"])?;
        let of = |pod: &str, interface: &str| -> Vec<String> {
            let here = rows
                .iter()
                .filter(|row| row["owner"]["name"] == pod && row["attachment"]["interface"] == interface);
            here.filter_map(|row| Some(row["address"].as_str()?.to_owned())).collect()
        };
        let mut targets: Vec<(&str, Vec<String>)> =
            vec![("the storage box", NAS.map(str::to_owned).to_vec())];
        for pod in ["cart-1", "db-0"] {
            targets.push((pod, [of(pod, "eth0"), of(pod, "net1")].concat()));
        }
        for pod in &self.pods {
            settled(&pod.netns)?;
        }
        let from = &self.pods[0];
        for (to, addresses) in targets {
            ensure!(addresses.len() >= 2, "{to} has too few addresses: {addresses:?}");
            for address in addresses {
                let time = ping(&from.netns, &address)?;
                screen::row(&format!("{} → {to:<16} {address:<16} {time}", from.name));
            }
        }
        Ok(())
    }

    fn tables(&mut self) -> Result<()> {
        self.screen.step("Who has what, and why", "One place knows it all.");
        screen::show(&mut self.lab.tool(&["subnet"]))?;
        screen::show(&mut self.lab.tool(&["ip"]))?;
        screen::show(&mut self.lab.tool(&["why", "db-0"]))
    }

    fn refusal(&mut self) -> Result<()> {
        let about = "A pod asks for the storage box's address. The runtime gets the reason, and what to do.";
        self.screen.step("No is an answer, too", about);
        let thief = Pod::new(&self.lab, "thief")?.asking(&["10.50.0.10/24"]);
        let answer = thief.call(&self.lab, Verb::Add, "net1", STORAGE)?;
        let error = answer.error()?;
        for field in ["code", "msg", "details"] {
            let text = error[field].as_str().map_or_else(|| error[field].to_string(), str::to_owned);
            screen::row(&format!("{field:<8} {text}"));
        }
        thief.call(&self.lab, Verb::Del, "net1", STORAGE)?.ok().map(drop)
    }

    fn crash(&mut self) -> Result<()> {
        let about = "More pods, 8 at once; in the middle the daemon gets SIGKILL and is started again.\n\
                     What was answered is durable; who was not answered is told to try again, and does.";
        self.screen.step("The daemon dies", about);
        screen::command_line("kill -9 $(pidof allot); allot standalone … &");
        let outcome = crash::run(&self.lab, &mut self.daemon)?;
        screen::text(&format!(
            "ADDs answered before it died: {}. Told to try again, and served after it was back: {}.\n\
             {} addresses of {} pods: each is in the ledger for whom it was given, none was given twice.",
            outcome.before,
            outcome.retried,
            outcome.addresses,
            outcome.pods.len()
        ));
        self.pods.extend(outcome.pods);
        screen::show(&mut self.lab.tool(&["subnet"]))
    }

    fn end(&mut self) -> Result<()> {
        self.screen.step(
            "Everything goes",
            "DEL for every interface. The addresses cool before anybody else gets them.",
        );
        for pod in &self.pods {
            pod.delete(&self.lab).with_context(|| format!("pod {}", pod.name))?;
        }
        screen::row(&format!(
            "DEL {} interfaces of {} pods",
            self.pods.len() * INTERFACES.len(),
            self.pods.len()
        ));
        let held = self.lab.list(&["ip"])?.into_iter().filter(|row| row["state"] == "active").count();
        ensure!(held == 0, "{held} addresses are still held");
        screen::show(&mut self.lab.tool(&["subnet"]))?;
        screen::show(&mut self.lab.tool(&["audit"]))?;
        let status = self.daemon.as_mut().context("a daemon runs")?.stop()?;
        ensure!(status.success(), "the daemon ended with {status}");
        Ok(())
    }
}

/// IPv6 addresses on a macvlan are usable once the kernel has looked for others that have them, two seconds after ADD.
fn settled(netns: &Netns) -> Result<()> {
    wait_until("no address is tentative any more", LIMIT, || {
        netns.ip("-6 addr show tentative").is_ok_and(|text| text.trim().is_empty()).then_some(())
    })
}

/// The round trip, as `ping` says it.
fn ping(from: &Netns, address: &str) -> Result<String> {
    let text = from.enter(|| run(Command::new("ping").args(["-c", "1", "-W", "5", address])))??;
    let time = text.split("time=").nth(1).and_then(|rest| rest.lines().next());
    time.map(str::to_owned).with_context(|| format!("ping says no time: {text}"))
}
