//! HTTPS: one connection after the other, a few at a time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::Certificate;
use super::review::{Review, Reviewer};

/// API servers keep their connections; a cluster has a handful of them.
const MAX_CONNECTIONS: usize = 64;
/// An object is at most 1.5 MiB in etcd, and a review has two of them.
const MAX_REVIEW: usize = 8 << 20;
/// A client that is slower than that is none of ours.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After an accept that failed, most likely for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn serve(listener: TcpListener, certificate: Certificate, reviewer: Arc<Reviewer>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the webhook cannot take a connection");
                sleep(PAUSE).await;
                continue;
            }
        };
        let (certificate, reviewer) = (certificate.clone(), Arc::clone(&reviewer));
        tokio::spawn(async move {
            if let Err(error) = connection(stream, &certificate, reviewer).await {
                tracing::debug!(%error, "a connection to the webhook has ended");
            }
            drop(place);
        });
    }
}

async fn connection(
    stream: TcpStream,
    certificate: &Certificate,
    reviewer: Arc<Reviewer>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let identity = certificate.now().inspect_err(|error| {
        tracing::warn!(%error, "the webhook has no certificate; objects are taken without being asked about");
    })?;
    let stream = timeout(HANDSHAKE, TlsAcceptor::from(identity).accept(stream)).await??;
    let service = service_fn(move |request| {
        let reviewer = Arc::clone(&reviewer);
        async move { Ok::<_, Infallible>(respond(request, &reviewer).await) }
    });
    http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await?;
    Ok(())
}

async fn respond(request: Request<Incoming>, reviewer: &Reviewer) -> Response<Full<Bytes>> {
    let refused = |status: StatusCode, why: String| {
        let mut response = Response::new(Full::from(why));
        *response.status_mut() = status;
        response
    };
    let body = match Limited::new(request.into_body(), MAX_REVIEW).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return refused(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
    };
    let review: Review = match serde_json::from_slice(&body) {
        Ok(review) => review,
        Err(error) => return refused(StatusCode::BAD_REQUEST, format!("no AdmissionReview: {error}")),
    };
    match reviewer.answer(review).await {
        Some(answer) => {
            let mut response = Response::new(Full::from(answer.to_string()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        None => refused(StatusCode::BAD_REQUEST, "an AdmissionReview without a request".to_owned()),
    }
}
