//! What every test starts from.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use allotment_lab::wait_until;
use allotment_nodes::{Cluster, Layout};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A test of a module's list: its name and what it does.
pub(crate) type Test = (&'static str, fn(&World) -> Result<()>);

/// For what a cluster does by itself, on a machine with all cores busy.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);

/// The one cluster of these tests.
pub(crate) struct World {
    layout: Layout,
    cluster: Mutex<Option<Cluster>>,
}

/// What one address is, as `allot ip -o json` tells it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) address: String,
    pub(crate) state: String,
    /// `namespace/name` of the owner.
    pub(crate) owner: String,
    pub(crate) interface: String,
    pub(crate) mac: Option<String>,
}

impl World {
    pub(crate) fn new(cluster: Cluster) -> World {
        World { layout: cluster.layout.clone(), cluster: Mutex::new(Some(cluster)) }
    }

    /// Ends the cluster; its files stay.
    pub(crate) fn end(&self) {
        drop(self.lock().take());
    }

    /// Does something to the machines.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&Cluster) -> Result<T>) -> Result<T> {
        act(self.lock().as_ref().context("the cluster runs")?)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Cluster>> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn apply(&self, yaml: &str) -> Result<()> {
        self.layout.apply(yaml)
    }

    pub(crate) fn ask(&self, line: &str) -> Result<String> {
        self.layout.ask(line)
    }

    pub(crate) fn ask_json(&self, line: &str) -> Result<Value> {
        self.layout.ask_json(line)
    }

    /// A namespace for one test; what is left of an earlier run of it goes first.
    pub(crate) fn namespace(&self, name: &str) -> Result<()> {
        self.apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}"))
    }

    /// Waits until every pod of a namespace is ready, and there are so many of them.
    pub(crate) fn wait_ready(&self, namespace: &str, count: usize) -> Result<()> {
        let ready = || {
            let pods = self.ask_json(&format!("get pods -n {namespace}")).ok()?;
            let pods = pods["items"].as_array()?;
            (pods.len() == count && pods.iter().all(is_ready)).then_some(())
        };
        wait_until(&format!("{count} pods of {namespace} are ready"), LIMIT, ready)
    }

    /// Waits until every node is ready again, and its agent with it.
    pub(crate) fn wait_nodes(&self) -> Result<()> {
        self.with(Cluster::wait_ready)?;
        let limit = LIMIT.as_secs();
        self.ask(&format!("rollout status -n allotment-system daemonset/allotment-agent --timeout={limit}s"))
            .map(drop)
    }

    /// Deletes a namespace, and waits until the ledger holds nothing for anybody in it. What else is in it may take its time.
    pub(crate) fn leave(&self, namespace: &str) -> Result<()> {
        self.ask(&format!("delete namespace {namespace} --wait=false"))?;
        self.wait_free(namespace)
    }

    /// Waits until nobody of a namespace holds an address.
    pub(crate) fn wait_free(&self, namespace: &str) -> Result<()> {
        let held = || Ok::<_, anyhow::Error>(self.active(namespace)?.into_values().collect::<Vec<_>>());
        let free = || held().is_ok_and(|held| held.is_empty()).then_some(());
        wait_until(&format!("nobody in {namespace} holds an address"), LIMIT, free)
            .with_context(|| format!("{:?}", held()))
    }

    /// What pods of a namespace have, by address.
    pub(crate) fn active(&self, namespace: &str) -> Result<BTreeMap<String, Row>> {
        let rows = self.rows()?.into_iter().filter(|row| {
            row.state == "active" && row.owner.split('/').next().is_some_and(|owner| owner == namespace)
        });
        Ok(rows.map(|row| (row.address.clone(), row)).collect())
    }

    /// The whole ledger.
    pub(crate) fn rows(&self) -> Result<Vec<Row>> {
        let rows = self.ask_json("allot ip")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let row = |row: &Value| Row {
            address: text(&row["address"]),
            state: text(&row["state"]),
            owner: format!("{}/{}", text(&row["owner"]["namespace"]), text(&row["owner"]["name"])),
            interface: text(&row["attachment"]["interface"]),
            mac: row["mac"].as_str().map(str::to_owned),
        };
        Ok(rows.as_array().context("a list")?.iter().map(row).collect())
    }

    /// `allot audit` has to find nothing that is wrong.
    pub(crate) fn audit(&self) -> Result<()> {
        self.ask("allot audit").map(drop)
    }

    /// A ping from a pod to an address.
    pub(crate) fn ping(&self, namespace: &str, pod: &str, address: &str) -> Result<()> {
        // The first one may be lost to a neighbour that is not known yet.
        let said = self.ask(&format!("exec -n {namespace} {pod} -- ping -c 3 -W 5 {address}"))?;
        ensure!(!said.contains("100% packet loss"), "{said}");
        Ok(())
    }

    /// What the cluster looks like, for a failure.
    pub(crate) fn state(&self) -> String {
        let questions = [
            "get nodes,pods -A -o wide",
            "allot ip",
            "allot audit",
            "get events -A --sort-by=.lastTimestamp --field-selector=type=Warning",
            "logs -n allotment-system -l app.kubernetes.io/component=controller --prefix --tail=10",
            "logs -n allotment-system -l app.kubernetes.io/component=agent --prefix --tail=10",
        ];
        let answers = questions.map(|question| {
            let answer = self.ask(question).unwrap_or_else(|error| format!("{error:#}"));
            let lines: Vec<&str> = answer.lines().collect();
            let tail = lines[lines.len().saturating_sub(30)..].join("\n");
            format!("--- {question}\n{tail}\n")
        });
        answers.concat()
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    pod["metadata"]["deletionTimestamp"].is_null()
        && conditions.into_iter().flatten().any(|entry| entry["type"] == "Ready" && entry["status"] == "True")
}

/// One object's annotation, as JSON.
pub(crate) fn annotation(object: &Value, name: &str) -> Result<Value> {
    let text = object["metadata"]["annotations"][name].as_str();
    let text = text.with_context(|| format!("{} has no annotation {name}", object["metadata"]["name"]))?;
    Ok(serde_json::from_str(text)?)
}

/// A pod of busybox that does nothing.
pub(crate) fn pod(namespace: &str, name: &str, annotations: &Value, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  namespace: {namespace}\n  annotations: {annotations}\n\
         spec:\n  terminationGracePeriodSeconds: 0\n  {spec}\n  containers:\n  \
         - {{name: main, image: \"registry.local/busybox:1\", args: [sleep, infinity]}}\n"
    )
}

/// A network of `wire`, or of another main plugin, that takes its addresses from this subnet.
pub(crate) fn network(namespace: &str, name: &str, mut config: Value, subnet: &str) -> String {
    config["cniVersion"] = "1.0.0".into();
    config["ipam"] = serde_json::json!({"type": "allotment", "subnets": [subnet]});
    let config = serde_json::to_string(&config.to_string()).expect("text is JSON");
    format!(
        "---\napiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {{name: {name}, \
         namespace: {namespace}}}\nspec: {{config: {config}}}\n"
    )
}

pub(crate) fn subnet(name: &str, spec: &str) -> String {
    object("Subnet", name, spec)
}

/// One of our objects.
pub(crate) fn object(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: allotment.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
    )
}
