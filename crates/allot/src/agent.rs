//! `allot agent`: one node's end in a cluster, put together.
//!
//! What is in the way of a start comes first: the socket, the metrics' address, the state folder. The API server is not: what
//! the journal knows is served without it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use allotment_agent::{Agent, Settings};
use allotment_node::{CniService, NodeMetrics, Socket, cni_router};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::args::AgentArgs;
use crate::daemon::{listen, told, unserved};
use crate::failure::{Failure, Verdict};
use crate::logs;
use crate::metrics::PREFIX;
use crate::page::Page;
use crate::retire::{self, Retirement};
use crate::signals::Signals;

/// How often the folder of waiting releases is looked at when no ADD does: a plugin leaves something there only while the
/// agent is away, and then it is looked at as soon as the agent is back.
const PENDING_EVERY: Duration = Duration::from_secs(30);

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(
    args: AgentArgs,
    socket: &Path,
    kubeconfig: Option<&Path>,
) -> Result<Verdict, Failure> {
    logs::begin(args.log);
    let mut signals =
        Signals::new().map_err(|error| Failure::unable(format!("no signal can be heard: {error}"), ""))?;
    let socket = Socket::bind(socket).map_err(|error| Failure::unable(error.to_string(), ""))?;
    let listener = match args.metrics {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let client = allotment_cluster::connect(kubeconfig).await.map_err(|error| {
        Failure::unable(error.to_string(), "give a kubeconfig with --kubeconfig, or run it as a pod")
    })?;
    let settings = Settings { node: args.node, state: args.state };
    let retirement = Arc::new(Retirement::of(args.retire));
    let agent = Agent::open(&settings, client)
        .map_err(|error| Failure::unable(error.to_string(), "give another folder with --state"))?;
    let (agent, node_metrics) = (Arc::new(agent), NodeMetrics::default());
    let service = CniService::new(agent.verbs(), socket.path(), &node_metrics).map_err(|error| {
        Failure::unable(format!("the folder of waiting releases cannot be made: {error}"), "")
    })?;
    let place = socket.path().to_owned();
    let (stop, stopping) = watch::channel(false);
    if let Some(listener) = listener {
        let page = page(&agent, &node_metrics, Arc::clone(&retirement)).router();
        tokio::spawn(
            axum::serve(listener, page).with_graceful_shutdown(told(stopping.clone())).into_future(),
        );
    }
    let router = cni_router(Arc::clone(&service)).merge(ready(Arc::clone(&agent)));
    let mut served = tokio::spawn(allotment_node::serve(socket, router, told(stopping)));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), node = settings.node, "serving");
    let verdict = tokio::select! {
        name = signals.next() => {
            tracing::info!(signal = name, "stopping: calls under way are finished");
            Ok(Verdict::Done)
        }
        result = &mut served => return Err(broken(&unserved(result))),
        () = agent.run() => Err(broken("the cluster is no longer watched")),
        () = service.follow_pending(PENDING_EVERY) => Err(broken("waiting releases are no longer done")),
        failure = retirement.follow(&agent) => Err(failure),
    };
    service.drain();
    agent.drain();
    // Nobody listens only when everybody has ended already.
    let _ = stop.send(true);
    if let Err(error) = served.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
        tracing::error!(%error, "the socket did not end well");
    }
    if retirement.is_over() {
        retire::forget(&settings.state, &place)?;
    }
    tracing::info!("stopped");
    verdict
}

fn page(agent: &Arc<Agent>, node_metrics: &NodeMetrics, retirement: Arc<Retirement>) -> Page {
    let mut registry = Registry::with_prefix(PREFIX);
    node_metrics.register_calls(&mut registry);
    agent.register(&mut registry);
    let agent = Arc::clone(agent);
    let readiness = move || {
        let line = if !agent.is_ready() {
            Err("nothing has been published for this node yet")
        } else if retirement.is_awaited() {
            Err("addresses are still in use on this node; the log says which")
        } else {
            Ok("ok")
        };
        line.map(str::to_owned).map_err(str::to_owned)
    };
    Page { registry, health: Box::new(|| Ok("ok".to_owned())), readiness: Box::new(readiness) }
}

/// `GET /v1/ready`.
fn ready(agent: Arc<Agent>) -> Router {
    let answer = async move || {
        if agent.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
    };
    Router::new().route("/v1/ready", get(answer))
}

/// Something that runs for ever has ended.
fn broken(what: &str) -> Failure {
    Failure::unable(
        what,
        "start the agent again: what was answered is in its journal; report this with the log",
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::metrics::SECTIONS;

    #[tokio::test]
    async fn the_reference_has_every_metric_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let client =
            kube::Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
        let settings = Settings { node: "n".to_owned(), state: folder.path().to_owned() };
        let agent = Arc::new(Agent::open(&settings, client).unwrap());
        let metrics = NodeMetrics::default();
        let service = CniService::new(agent.verbs(), &folder.path().join("s"), &metrics).unwrap();
        // What has labels shows once something was counted.
        let call = serde_json::json!({"command": "STATUS", "config": {"cniVersion": "1.1.0", "name": "lan"}});
        service.call(serde_json::from_value(call).unwrap()).await.unwrap();
        let page = page(&agent, &metrics, Arc::default());
        let mut text = String::new();
        encode(&mut text, &page.registry).unwrap();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE allotment_")?.split_once(' '));
        let name = |(name, kind): (&str, &str)| match kind {
            "counter" => format!("{name}_total"),
            _ => name.to_owned(),
        };
        let shown: BTreeSet<String> = types.map(name).collect();
        let section = SECTIONS.iter().find(|section| section.title == "Agent").unwrap();
        let told: BTreeSet<String> = section.metrics().iter().map(|metric| metric.name.to_owned()).collect();
        assert_eq!(shown, told);
        assert!((page.health)().is_ok() && (page.readiness)().is_err());
    }
}
