//! `allot controller`: a cluster's controller, put together.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use allotment_controller::{Certificate, Health, OwnCertificate, Settings};
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::args::ControllerArgs;
use crate::daemon::listen;
use crate::failure::{Failure, Verdict};
use crate::logs;
use crate::metrics::{EngineMetrics, PREFIX};
use crate::page::Page;
use crate::signals::Signals;

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(args: ControllerArgs, kubeconfig: Option<&Path>) -> Result<Verdict, Failure> {
    logs::begin(args.log);
    let mut signals =
        Signals::new().map_err(|error| Failure::unable(format!("no signal can be heard: {error}"), ""))?;
    let listener = match args.metrics {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let settings = settings(&args)?;
    let webhook = match webhook(&args)? {
        Some((address, certificate)) => Some((listen(address).await?, certificate)),
        None => None,
    };
    let client = allotment_cluster::connect(kubeconfig).await.map_err(|error| {
        Failure::unable(error.to_string(), "give a kubeconfig with --kubeconfig, or run it as a pod")
    })?;
    let health = Arc::new(Health::default());
    if let Some(listener) = listener {
        let router = page(Arc::clone(&health)).router();
        tokio::spawn(axum::serve(listener, router).into_future());
    }
    if let Some((listener, certificate)) = webhook {
        let health = Arc::clone(&health);
        tokio::spawn(allotment_controller::webhook(listener, certificate, health, client.clone()));
    }
    let (stop, stopping) = watch::channel(false);
    let mut controller = tokio::spawn(allotment_controller::run(client, settings, health, stopping));
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

fn settings(args: &ControllerArgs) -> Result<Settings, Failure> {
    let mut settings = Settings {
        owners: args.retain.clone(),
        multus_namespace: args.multus_namespace.clone(),
        ..Settings::default()
    };
    if let Some(file) = &args.default_network {
        let wrong = |why: String| {
            let text =
                format!("the default network's configuration {} cannot be used: {why}", file.display());
            Failure::unable(
                text,
                "name the file with the default network's CNI configuration with --default-network",
            )
        };
        let config = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
        settings.set_primary(&config).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(settings)
}

/// Where the webhook is to listen, and as whom.
fn webhook(args: &ControllerArgs) -> Result<Option<(SocketAddr, Certificate)>, Failure> {
    let Some(address) = args.webhook else { return Ok(None) };
    let certificate = match (&args.webhook_cert, &args.webhook_key) {
        (Some(chain), Some(key)) => Certificate::Files { chain: chain.clone(), key: key.clone() },
        _ => Certificate::Own(OwnCertificate::default()),
    };
    certificate.check().map_err(|error| {
        Failure::unable(
            error.to_string(),
            "give files that hold the webhook's certificate and its key as PEM",
        )
    })?;
    Ok(Some((address, certificate)))
}

fn page(health: Arc<Health>) -> Page {
    let mut registry = Registry::with_prefix(PREFIX);
    health.register(&mut registry);
    let engine = Arc::clone(&health);
    EngineMetrics(Box::new(move || engine.engine().map(|(handle, _)| handle))).register(&mut registry);
    let alive = {
        let health = Arc::clone(&health);
        move || {
            let line = if health.is_alive() { Ok("ok") } else { Err("the controller's loop is stuck") };
            line.map(str::to_owned).map_err(str::to_owned)
        }
    };
    let readiness = move || match health.unready() {
        None => Ok(if health.leads() { "ok, leading" } else { "ok, standing by" }.to_owned()),
        Some(why) => Err(format!("not ready: {why}")),
    };
    Page { registry, health: Box::new(alive), readiness: Box::new(readiness) }
}
