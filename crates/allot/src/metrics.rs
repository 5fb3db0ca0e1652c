//! What is counted, and the page it is read from: Prometheus text at `/metrics`, `/healthz` and `/readyz`.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::serve::Daemon;

mod engine;
mod table;

pub(crate) use engine::EngineMetrics;
pub(crate) use table::SECTIONS;

/// Every metric's name begins with it.
pub(crate) const PREFIX: &str = "allotment";

pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the daemon itself counts; node and engine have their own.
#[derive(Clone, Default)]
pub(crate) struct DaemonMetrics {
    addresses: Family<AddressLabels, Gauge<f64, std::sync::atomic::AtomicU64>>,
    problems: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AddressLabels {
    vrf: String,
    subnet: String,
    family: String,
    state: &'static str,
}

impl DaemonMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let DaemonMetrics { addresses, problems } = self.clone();
        registry.register(
            "addresses",
            "Addresses of each subnet and family by state: held, cooling, free",
            addresses,
        );
        registry.register(
            "object_problems",
            "Faults that keep files, or objects in them, from being in force",
            problems,
        );
        let build = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The program's version", Info::new(build));
    }

    /// Reads what is not counted as it happens.
    async fn refresh(&self, daemon: &Daemon) -> Result<(), allotment_engine::EngineError> {
        self.problems.set(i64::try_from(daemon.problems.borrow().len()).unwrap_or(i64::MAX));
        let used = daemon.handle.read(crate::serve::subnet_usage).await?;
        self.addresses.clear();
        for (subnet, usages) in used {
            for usage in usages {
                let states = [
                    ("held", u128::from(usage.held)),
                    ("cooling", usage.cooling.into()),
                    ("free", usage.free()),
                ];
                for (state, count) in states {
                    let labels = AddressLabels {
                        vrf: subnet.vrf.clone(),
                        subnet: subnet.name.clone(),
                        family: usage.family.to_string(),
                        state,
                    };
                    #[expect(clippy::cast_precision_loss, reason = "a metric of a /64 need not be exact")]
                    self.addresses.get_or_create(&labels).set(count as f64);
                }
            }
        }
        Ok(())
    }
}

/// What the page needs.
pub(crate) struct Page {
    pub(crate) daemon: Arc<Daemon>,
    pub(crate) metrics: DaemonMetrics,
    pub(crate) registry: Registry,
}

pub(crate) fn router(page: Arc<Page>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(page)
}

async fn metrics(State(page): State<Arc<Page>>) -> Response {
    if let Err(error) = page.metrics.refresh(&page.daemon).await {
        return (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response();
    }
    let mut text = String::new();
    encode(&mut text, &page.registry).expect("a string takes all that is written to it");
    ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response()
}

/// The engine answers.
async fn healthz(State(page): State<Arc<Page>>) -> Response {
    match page.daemon.handle.read(|_, _| ()).await {
        Ok(()) => "ok\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

async fn readyz(State(page): State<Arc<Page>>) -> Response {
    if page.daemon.serves() {
        return "ok\n".into_response();
    }
    let mut text = String::new();
    let problems = page.daemon.problems.borrow().len();
    writeln!(text, "not serving; {problems} problems in the objects folder").expect("a string takes all");
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}
