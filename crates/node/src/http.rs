//! `POST /v1/cni`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use allotment_wire::CniCall;
use allotment_wire::cni::{Error, code};

use crate::service::{CniService, Verbs};

/// The longest body: a configuration of 4 MiB, which the plugin does not exceed, and the environment.
pub const MAX_BODY: usize = (4 << 20) + (128 << 10);

/// The route that the plugin asks.
pub fn cni_router<V: Verbs>(service: Arc<CniService<V>>) -> Router {
    Router::new()
        .route("/v1/cni", post(answer_call::<V>))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(service)
}

async fn answer_call<V: Verbs>(
    State(service): State<Arc<CniService<V>>>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let call = match body {
        Ok(body) => serde_json::from_slice::<CniCall>(&body).map_err(|error| error.to_string()),
        Err(rejection) => Err(rejection.body_text()),
    };
    let answer = match call {
        Ok(call) => service.call(call).await,
        Err(why) => Err(Error::new(
            code::DECODE,
            format!("the daemon cannot read the call: {why}"),
            "plugin and daemon have to be of the same or of neighbouring minor versions",
        )),
    };
    match answer {
        Ok(None) => StatusCode::OK.into_response(),
        Ok(Some(result)) => json(StatusCode::OK, &result),
        Err(error) => json(status_of(error.code), &error),
    }
}

fn json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    let body =
        serde_json::to_vec(body).expect("results and errors have no maps with keys that are not strings");
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The plugin looks at CNI's code; the status is for whoever else listens in.
fn status_of(error: u32) -> StatusCode {
    match error {
        code::TRY_AGAIN_LATER | code::NOT_AVAILABLE => StatusCode::SERVICE_UNAVAILABLE,
        code::FULL | code::TAKEN | code::NOT_ALLOWED | code::CHECK_DIFFERS => StatusCode::CONFLICT,
        _ => StatusCode::BAD_REQUEST,
    }
}
