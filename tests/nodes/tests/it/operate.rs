//! What people do to an installation: upgrade it, restore it, take it away. Commands are those of docs/operations.

use std::collections::BTreeSet;
use std::fs;

use allotment_fleet::programs::root;
use allotment_lab::wait_until;
use allotment_nodes::{Layout, Node, install, tour};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::world::{LIMIT, Test, World, pod, subnet};

pub(crate) const TESTS: &[Test] = &[
    ("operate::a_first_hour", first_hour),
    ("operate::every_object_is_judged_by_whoever_leads", judged),
    ("operate::an_upgrade_under_running_pods_loses_nothing", upgraded),
    ("operate::everything_is_lost_and_comes_back_from_a_backup_under_running_pods", restored),
    ("operate::nothing_is_left_once_it_is_removed", removed),
];

const SYSTEM: &str = "allotment-system";
const NODES: usize = 2;

/// The guide, from its first command to its last.
fn first_hour(world: &World) -> Result<()> {
    let page = fs::read_to_string(root().join("docs/guides/first-hour.md"))?;
    let mut said = Vec::new();
    let headings = page.lines().filter(|line| line.starts_with("## "));
    let played = headings
        .map(|heading| tour::steps(&page, heading))
        .try_for_each(|steps| steps?.iter().try_for_each(|step| step.play(world.layout(), &mut said)));
    let said = String::from_utf8_lossy(&said);
    played.with_context(|| said.clone().into_owned())?;
    // The doctor, a full subnet, one that may not shrink, the end.
    for words in ["0 errors", "no free IPv4 address", "refused", "Pod default/first-", "kept-0"] {
        ensure!(said.contains(words), "`{words}` was expected:\n{said}");
    }
    world.wait_free("default")
}

/// The webhook's service leads to the leader alone, also to the next one.
fn judged(world: &World) -> Result<()> {
    world.apply(&subnet("judged", "cidrs: [10.90.0.0/16]"))?;
    world.ask("wait --for=condition=Ready --timeout=1m subnet/judged")?;
    let file = world.layout().folder().join("judged.yaml");
    fs::write(&file, subnet("judged-too", "cidrs: [10.90.1.0/24]"))?;
    let refused = || {
        let said = world.ask(&format!("create --dry-run=server -f {}", file.display())).err()?;
        said.to_string().contains("overlaps 10.90.0.0/16 of subnet `judged`").then_some(())
    };
    let always = |who: &str| -> Result<()> {
        wait_until(&format!("{who} judges"), LIMIT, refused)?;
        ensure!((0..20).all(|_| refused().is_some()), "an object was not judged while {who} leads");
        Ok(())
    };
    let first = leader(world)?;
    always(&first)?;
    world.ask(&format!("delete -n {SYSTEM} pod {first}"))?;
    let next = || leader(world).ok().filter(|next| *next != first);
    let next = wait_until("another one leads", LIMIT, next)?;
    always(&next)?;
    world.ask("delete subnet judged")?;
    world.ask(&format!("rollout status -n {SYSTEM} deployment/allotment-controller --timeout=2m")).map(drop)
}

/// The pod that the webhook's service leads to.
fn leader(world: &World) -> Result<String> {
    let pods = world.ask(&format!("get pods -n {SYSTEM} -l allotment.dev/leads=true -o name"))?;
    let pods: Vec<&str> = pods.lines().collect();
    ensure!(pods.len() == 1, "they lead: {pods:?}");
    Ok(pods[0].trim_start_matches("pod/").to_owned())
}

/// New agents and controllers, while pods run, come and go.
fn upgraded(world: &World) -> Result<()> {
    let space = "upgraded";
    world.namespace(space)?;
    world.apply(&deployment(space, "calm", 3))?;
    world.apply(&deployment(space, "busy", 1))?;
    world.wait_ready(space, 4)?;
    let calm = |world: &World| -> Result<Vec<_>> {
        let held = world.active(space)?.into_values();
        Ok(held.filter(|row| row.owner.contains("/calm-")).collect())
    };
    let before = calm(world)?;
    let ids = || pod_ids(world);
    let (old, layout) = (ids()?, world.layout());
    std::thread::scope(|scope| {
        let upgrade = scope.spawn(|| install(layout, NODES, &["controller.log=text", "agent.log=text"]));
        for replicas in [4, 0, 3, 1].into_iter().cycle() {
            world.ask(&format!("-n {space} scale deployment/busy --replicas={replicas}"))?;
            world.ask(&format!("-n {space} rollout status deployment/busy --timeout=2m"))?;
            if upgrade.is_finished() && replicas == 1 {
                break;
            }
        }
        upgrade.join().expect("the upgrade does not panic")
    })?;
    ensure!(old.is_disjoint(&ids()?), "not every program was replaced");
    let settled = || world.active(space).is_ok_and(|held| held.len() == 4).then_some(());
    wait_until("those that ended hold nothing", LIMIT, settled)?;
    let after = calm(world)?;
    ensure!(before == after, "{before:?}\n{after:?}");
    world.audit()?;
    world.leave(space)?;
    // And back again.
    install(layout, NODES, &[])
}

/// Our own pods.
fn pod_ids(world: &World) -> Result<BTreeSet<String>> {
    let pods = world.ask_json(&format!("get pods -n {SYSTEM}"))?;
    let pods = pods["items"].as_array().context("a list")?;
    Ok(pods.iter().filter_map(|pod| Some(pod["metadata"]["uid"].as_str()?.to_owned())).collect())
}

/// All objects and the whole ledger are gone, pods run on; a backup brings back who has what.
fn restored(world: &World) -> Result<()> {
    let space = "restored";
    world.namespace(space)?;
    world.apply(&deployment(space, "calm", 4))?;
    world.wait_ready(space, 4)?;
    let before = world.active(space)?;
    let page = fs::read_to_string(root().join("docs/operations/operate.md"))?;
    let steps = tour::steps(&page, "## Back up and restore")?;
    let [backup, stop, restore] = steps.as_slice() else { anyhow::bail!("{steps:?}") };
    let mut said = Vec::new();
    backup.play(world.layout(), &mut said)?;
    stop.play(world.layout(), &mut said)?;
    lose_everything(world)?;
    restore.play(world.layout(), &mut said).with_context(|| String::from_utf8_lossy(&said).into_owned())?;
    world.wait_nodes()?;
    let after = world.active(space)?;
    ensure!(before == after, "{before:?}\n{after:?}");
    world.ask(&format!("-n {space} scale deployment/calm --replicas=6"))?;
    world.wait_ready(space, 6)?;
    ensure!(world.active(space)?.len() == 6, "{:?}", world.active(space)?);
    world.audit()?;
    world.leave(space)
}

/// As if somebody had lifted the policies and deleted our definitions, with all that is of them.
fn lose_everything(world: &World) -> Result<()> {
    world.ask("delete validatingadmissionpolicybinding allotment-keep")?;
    for kind in ["subnets", "ippools", "reservations"] {
        let objects = world.ask(&format!("get {kind} -o name"))?;
        for object in objects.lines() {
            world.ask(&format!("patch {object} --type=merge -p {{\"metadata\":{{\"finalizers\":null}}}}"))?;
        }
    }
    let kinds = ["addressblocks", "nodeattachments", "subnets", "ippools", "reservations"];
    let names = kinds.map(|kind| format!("{kind}.allotment.dev")).join(" ");
    // The policy that was lifted is asked for a moment longer.
    let deleted = || world.ask(&format!("delete crd {names} --ignore-not-found")).ok();
    wait_until("the definitions are gone", LIMIT, deleted).map(drop)
}

/// A node stays as it is while a pod there has an address; then nothing of ours is left anywhere.
fn removed(world: &World) -> Result<()> {
    let space = "removed";
    world.namespace(space)?;
    world.apply(&pod(space, "stays", &json!({}), "nodeName: node-2"))?;
    world.wait_ready(space, 1)?;
    let addresses: Vec<String> = world.active(space)?.into_keys().collect();
    world.apply(&fs::read_to_string(root().join("deploy/manifests/retire.yaml"))?)?;
    let says = || {
        let log = world.ask(&format!("logs -n {SYSTEM} {}", agent(world, "node-2").ok()?)).ok()?;
        (log.contains("as long as addresses are in use here") && log.contains(&addresses[0])).then_some(())
    };
    wait_until("the agent of node-2 says why it stays", LIMIT, says)?;
    let has_plugin = |node: &Node| Ok::<_, anyhow::Error>(node.file("/opt/cni/bin/allotment")?.exists());
    ensure!(world.with(|cluster| has_plugin(&cluster.nodes()[1]))?, "the plugin is needed for the pod's end");

    world.ask(&format!("delete namespace {space} --timeout=2m"))?;
    let page = fs::read_to_string(root().join("docs/operations/remove.md"))?;
    let mut said = Vec::new();
    for step in tour::steps(&page, "# Remove")? {
        let played = step.play(world.layout(), &mut said);
        played.with_context(|| String::from_utf8_lossy(&said).into_owned())?;
    }
    world.with(|cluster| {
        for node in cluster.nodes() {
            let left = left_on(node)?;
            ensure!(left.is_empty(), "{} still has {left:?}", node.name);
        }
        Ok(())
    })?;
    let left = left_in(world.layout())?;
    ensure!(left.is_empty(), "the cluster still has {left:?}");
    install(world.layout(), NODES, &[])?;
    world.wait_nodes()
}

/// The pod of a node's agent.
fn agent(world: &World, node: &str) -> Result<String> {
    let label = "app.kubernetes.io/component=agent";
    let fields = format!("spec.nodeName={node}");
    let pods = world.ask(&format!("get pods -n {SYSTEM} -l {label} --field-selector={fields} -o name"))?;
    pods.lines().next().map(str::to_owned).with_context(|| format!("no agent runs on {node}"))
}

/// Files of ours; the two folders that kubelet has made are empty.
fn left_on(node: &Node) -> Result<Vec<String>> {
    let mut left = Vec::new();
    if node.file("/opt/cni/bin/allotment")?.exists() {
        left.push("/opt/cni/bin/allotment".to_owned());
    }
    for folder in ["/var/lib/allotment", "/run/allotment", "/opt/cni/bin", "/etc/cni/net.d"] {
        let is_ours = |name: &str| folder.ends_with("allotment") || name.contains("allotment");
        for entry in fs::read_dir(node.file(folder)?)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            left.extend(is_ours(&name).then(|| format!("{folder}/{name}")));
        }
    }
    Ok(left)
}

/// Objects of ours, of every kind that is not in a namespace; the namespace itself is one.
fn left_in(layout: &Layout) -> Result<Vec<String>> {
    let kinds = layout.ask("api-resources --namespaced=false --verbs=list -o name")?;
    let mut left = Vec::new();
    for kind in kinds.lines().filter(|kind| !kind.starts_with("componentstatuses")) {
        let objects = layout.ask_json(&format!("get {kind}"))?;
        let names = objects["items"].as_array().into_iter().flatten();
        let names = names.filter_map(|object: &Value| object["metadata"]["name"].as_str());
        left.extend(names.filter(|name| name.contains("allotment")).map(|name| format!("{kind}/{name}")));
    }
    Ok(left)
}

fn deployment(namespace: &str, name: &str, replicas: usize) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  \
         replicas: {replicas}\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    \
         metadata: {{labels: {{app: {name}}}}}\n    spec:\n      terminationGracePeriodSeconds: 0\n      containers:\n      \
         - {{name: main, image: \"registry.local/busybox:1\", args: [sleep, infinity]}}\n"
    )
}
