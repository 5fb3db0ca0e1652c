//! `allot controller`: a cluster's controller, put together.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use allotment_controller::{Health, Settings};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::args::ControllerArgs;
use crate::failure::{Failure, Verdict};
use crate::logs;
use crate::metrics::{EngineMetrics, OPEN_METRICS, PREFIX};
use crate::signals::Signals;
use crate::standalone::listen;

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(args: ControllerArgs, kubeconfig: Option<&Path>) -> Result<Verdict, Failure> {
    logs::begin(args.log);
    let mut signals =
        Signals::new().map_err(|error| Failure::unable(format!("no signal can be heard: {error}"), ""))?;
    let page = match args.metrics {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let client = allotment_cluster::connect(kubeconfig).await.map_err(|error| {
        Failure::unable(error.to_string(), "give a kubeconfig with --kubeconfig, or run it as a pod")
    })?;
    let health = Arc::new(Health::default());
    if let Some(listener) = page {
        let mut registry = Registry::with_prefix(PREFIX);
        health.register(&mut registry);
        let engine = Arc::clone(&health);
        EngineMetrics(Box::new(move || engine.engine())).register(&mut registry);
        let page = Arc::new(Page { health: Arc::clone(&health), registry });
        tokio::spawn(axum::serve(listener, router(page)).into_future());
    }
    let (stop, stopping) = watch::channel(false);
    let mut controller =
        tokio::spawn(allotment_controller::run(client, Settings::default(), health, stopping));
    let ended = tokio::select! {
        name = signals.next() => {
            tracing::info!(signal = name, "stopping: what is under way is finished");
            // Whoever does not listen has ended.
            let _ = stop.send(true);
            controller.await
        }
        ended = &mut controller => ended,
    };
    ended.map_err(|error| {
        Failure::unable(format!("the controller has ended: {error}"), "report this with the log")
    })?;
    tracing::info!("stopped");
    Ok(Verdict::Done)
}

/// What the page needs.
struct Page {
    health: Arc<Health>,
    registry: Registry,
}

fn router(page: Arc<Page>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(page)
}

async fn metrics(State(page): State<Arc<Page>>) -> Response {
    let mut text = String::new();
    encode(&mut text, &page.registry).expect("a string takes all that is written to it");
    ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response()
}

async fn healthz(State(page): State<Arc<Page>>) -> Response {
    if page.health.is_alive() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "the controller's loop is stuck\n").into_response()
}

async fn readyz(State(page): State<Arc<Page>>) -> Response {
    let Some(why) = page.health.unready() else {
        return if page.health.leads() { "ok, leading\n" } else { "ok, standing by\n" }.into_response();
    };
    let mut text = String::new();
    writeln!(text, "not ready: {why}").expect("a string takes all that is written to it");
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}
