//! The page of a daemon in a cluster: Prometheus text at `/metrics`, `/healthz` and `/readyz`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::metrics::OPEN_METRICS;

/// What a daemon says of itself: a line, good or bad.
type Says = Box<dyn Fn() -> Result<String, String> + Send + Sync>;

/// What the page shows.
pub(crate) struct Page {
    pub(crate) registry: Registry,
    /// It is not stuck; else a new start may help.
    pub(crate) health: Says,
    /// It serves.
    pub(crate) readiness: Says,
}

impl Page {
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(async |State(page): State<Arc<Page>>| told((page.health)())))
            .route("/readyz", get(async |State(page): State<Arc<Page>>| told((page.readiness)())))
            .with_state(Arc::new(self))
    }
}

async fn metrics(State(page): State<Arc<Page>>) -> Response {
    let mut text = String::new();
    encode(&mut text, &page.registry).expect("a string takes all that is written to it");
    ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response()
}

fn told(says: Result<String, String>) -> Response {
    match says {
        Ok(line) => format!("{line}\n").into_response(),
        Err(line) => (StatusCode::SERVICE_UNAVAILABLE, format!("{line}\n")).into_response(),
    }
}
