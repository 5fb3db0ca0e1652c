//! Connections and requests.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::http::Uri;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use super::flow::{self, Answer};
use super::{Fault, Request, State};
use crate::ControlPlane;

/// The proxy as its connections see it.
#[derive(Clone)]
pub(super) struct Proxied {
    state: Arc<State>,
    acceptor: TlsAcceptor,
    upstream: Client<HttpsConnector<HttpConnector>, Incoming>,
    /// Host and port of the API server.
    authority: String,
}

impl Proxied {
    pub(super) fn new(plane: &ControlPlane, state: Arc<State>) -> Result<Proxied> {
        let (pair, root) = (plane.authority().server(&[])?, plane.authority().der.clone());
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes())?;
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())?;
        let server =
            ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key)?;
        let mut roots = RootCertStore::empty();
        roots.add(root.into())?;
        let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(client).https_only().enable_http1().build();
        Ok(Proxied {
            state,
            acceptor: TlsAcceptor::from(Arc::new(server)),
            upstream: Client::builder(TokioExecutor::new()).build(connector),
            authority: plane.url().trim_start_matches("https://").to_owned(),
        })
    }

    /// Takes connections for as long as the proxy lives.
    pub(super) async fn accept(self, listener: std::net::TcpListener) {
        let listener = TcpListener::from_std(listener).expect("a listener that does not block");
        loop {
            // It fails when there are too many open files; some of them will be closed.
            let Ok((stream, _)) = listener.accept().await else {
                sleep(Duration::from_millis(10)).await;
                continue;
            };
            if *self.state.open.borrow() {
                tokio::spawn(self.clone().connection(stream));
            }
        }
    }

    /// Serves one connection until it ends, or is cut.
    async fn connection(self, stream: TcpStream) {
        let mut cut = self.state.cut.subscribe();
        let serve = async {
            // Without it, small answers wait for the client's acknowledgements.
            stream.set_nodelay(true).ok()?;
            let stream = self.acceptor.accept(stream).await.ok()?;
            let service = service_fn(|request| self.request(request));
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok()
        };
        tokio::select! {
            _ = serve => {}
            _ = cut.changed() => {}
        }
    }

    /// An error closes the connection without an answer.
    async fn request(&self, mut request: hyper::Request<Incoming>) -> Result<hyper::Response<Answer>> {
        let about = Request::of(request.method(), request.uri());
        let (fault, latency) = {
            let mut faults = self.state.faults();
            (faults.decide(&about), faults.latency)
        };
        sleep(latency).await;
        match fault {
            Some(Fault::Answer(code)) => return Ok(failure(code, &about)),
            Some(Fault::Lose) => return Err(lost(&about)),
            Some(Fault::Delay(delay)) => sleep(delay).await,
            Some(Fault::LoseAnswer) | None => {}
        }
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = format!("https://{}{path}", self.authority).parse::<Uri>().context("the URL")?;
        let answer = self.upstream.request(request).await?;
        if fault == Some(Fault::LoseAnswer) {
            // The whole answer: only then has the API server done all that was asked.
            answer.into_body().collect().await?;
            return Err(lost(&about));
        }
        Ok(answer.map(|body| match about.verb {
            "watch" => flow::watch(body, about, &self.state),
            _ => body.boxed(),
        }))
    }
}

fn lost(request: &Request) -> anyhow::Error {
    io::Error::other(format!("{request} is lost")).into()
}

/// What the API server says in such a case (API conventions, section "Response Status Kind").
fn failure(code: u16, request: &Request) -> hyper::Response<Answer> {
    let reason = match code {
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    let message = format!("{request}: failed on purpose");
    let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code});
    let body = Full::new(Bytes::from(status.to_string())).map_err(|never| match never {}).boxed();
    let mut response = hyper::Response::new(body);
    *response.status_mut() = hyper::StatusCode::from_u16(code).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    if code == 429 {
        headers.insert("retry-after", hyper::header::HeaderValue::from_static("1"));
    }
    response
}
