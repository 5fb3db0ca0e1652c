//! Asks: a daemon over its Unix socket, in HTTP/1.1 with one connection a question; or a cluster, with the same endpoints in
//! this process.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tower::ServiceExt;

use allotment_wire::ErrorBody;

use crate::cluster;
use crate::failure::Failure;
use crate::target::Target;

/// How long the daemon may be silent. An audit of a busy machine reads every namespace before its first byte.
const PATIENCE: Duration = Duration::from_mins(1);

/// An error's text is cut here; nobody reads more.
const MAX_ERROR_BYTES: usize = 1024 * 1024;

pub(crate) struct Client {
    target: Target,
    /// A cluster's endpoints, once its ledger is read.
    here: OnceCell<Router>,
}

impl Client {
    /// Nobody is asked yet.
    pub(crate) fn new(target: Target) -> Client {
        Client { target, here: OnceCell::new() }
    }

    /// Asks and reads the whole answer as JSON. `query` is left out where empty.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        let answer = self.ask(Method::GET, path, query, None).await?;
        self.read(answer).await
    }

    /// Asks and copies the answer to `out` as it comes; returns how many bytes it had.
    pub(crate) async fn copy(
        &self,
        path: &str,
        query: &[(&str, String)],
        out: &mut dyn Write,
    ) -> Result<usize, Failure> {
        let answer = self.ask(Method::GET, path, query, None).await?;
        let mut body = answer.into_body();
        let mut length = 0;
        while let Some(bytes) = self.frame(&mut body).await? {
            length += bytes.len();
            out.write_all(&bytes).map_err(|error| Failure::output(&error))?;
        }
        out.flush().map_err(|error| Failure::output(&error))?;
        Ok(length)
    }

    /// Sends a body and reads the answer as JSON.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Result<T, Failure> {
        let answer = self.ask(Method::POST, path, query, Some((content_type, body))).await?;
        self.read(answer).await
    }

    /// Whether the daemon serves; `Err` says why not yet.
    pub(crate) async fn ready(&self) -> Result<(), Failure> {
        self.ask(Method::GET, "/v1/ready", &[], None).await.map(drop)
    }

    /// Whether anybody is there to be asked; `Err` says why not.
    pub(crate) async fn answers(&self) -> Result<(), Failure> {
        match &self.target {
            Target::Daemon(socket) => {
                UnixStream::connect(socket).await.map(drop).map_err(|error| no_daemon(socket, &error))
            }
            Target::Cluster(_) | Target::Unsaid(_) => self.cluster().await.map(drop),
        }
    }

    async fn cluster(&self) -> Result<&Router, Failure> {
        let open = || async {
            match &self.target {
                Target::Cluster(file) => cluster::open(file.as_deref()).await,
                Target::Daemon(socket) | Target::Unsaid(socket) => cluster::open_unsaid(socket).await,
            }
        };
        self.here.get_or_try_init(open).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<(&'static str, Vec<u8>)>,
    ) -> Result<Response<Body>, Failure> {
        let query = serde_urlencoded::to_string(query).expect("pairs of strings can be encoded");
        let uri = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let mut request = Request::builder().method(method).uri(uri).header(HOST, "allotment");
        let mut bytes = Bytes::new();
        if let Some((content_type, body)) = body {
            request = request.header(CONTENT_TYPE, content_type);
            bytes = body.into();
        }
        let request = request.body(Body::from(bytes)).expect("method, path and headers are well formed");
        let answer = match &self.target {
            Target::Daemon(socket) => {
                timeout(PATIENCE, self.send(socket, request)).await.map_err(|_| self.silent())??
            }
            Target::Cluster(_) | Target::Unsaid(_) => {
                let Ok(answer) = self.cluster().await?.clone().oneshot(request).await;
                answer
            }
        };
        if answer.status() == StatusCode::OK { Ok(answer) } else { Err(self.error(answer).await) }
    }

    async fn send(&self, socket: &Path, request: Request<Body>) -> Result<Response<Body>, Failure> {
        let stream = UnixStream::connect(socket).await.map_err(|error| no_daemon(socket, &error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(&error))?;
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(|error| self.broken(&error))?;
        Ok(answer.map(Body::new))
    }

    /// Whom we ask, for people.
    fn whom(&self) -> String {
        match &self.target {
            Target::Daemon(socket) => format!("the daemon at {}", socket.display()),
            Target::Cluster(_) | Target::Unsaid(_) => "the cluster".to_owned(),
        }
    }

    async fn read<T: DeserializeOwned>(&self, answer: Response<Body>) -> Result<T, Failure> {
        let mut body = answer.into_body();
        let mut whole = Vec::new();
        while let Some(bytes) = self.frame(&mut body).await? {
            whole.extend_from_slice(&bytes);
        }
        serde_json::from_slice(&whole).map_err(|error| {
            Failure::unable(
                format!("{} answered what this `allot` cannot read: {error}", self.whom()),
                "use an `allot` of the daemon's version",
            )
        })
    }

    /// The next piece of the answer.
    async fn frame(&self, body: &mut Body) -> Result<Option<Bytes>, Failure> {
        loop {
            match timeout(PATIENCE, body.frame()).await.map_err(|_| self.silent())? {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.broken(&error)),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// What an answer other than 200 means: 409 is a refusal, everything else is trouble.
    async fn error(&self, answer: Response<Body>) -> Failure {
        let status = answer.status();
        let mut body = answer.into_body();
        let mut whole = Vec::new();
        while let Ok(Some(bytes)) = self.frame(&mut body).await {
            whole.extend_from_slice(&bytes);
            if whole.len() > MAX_ERROR_BYTES {
                break;
            }
        }
        let body = serde_json::from_slice(&whole).unwrap_or_else(|_| ErrorBody {
            error: format!("{} answered {status}", self.whom()),
            hint: match status {
                StatusCode::FORBIDDEN => "only root may ask; run this as root",
                StatusCode::NOT_FOUND => {
                    "use an `allot` of the daemon's version; of a cluster's agent, whose socket this may be, nothing is \
                     asked: name the cluster with --kubeconfig"
                }
                _ => "see the daemon's log",
            }
            .to_owned(),
            details: Vec::new(),
        });
        match status {
            StatusCode::CONFLICT => {
                Failure::Refused { text: body.error, details: body.details, hint: body.hint }
            }
            _ => Failure::unable(body.error, body.hint),
        }
    }

    fn broken(&self, error: &dyn std::error::Error) -> Failure {
        Failure::unable(
            format!("the connection to {} broke: {error}", self.whom()),
            "see the daemon's log, then try again",
        )
    }

    fn silent(&self) -> Failure {
        Failure::unable(
            format!("{} was silent for {} s", self.whom(), PATIENCE.as_secs()),
            "see the daemon's log",
        )
    }
}

fn no_daemon(socket: &Path, error: &io::Error) -> Failure {
    let socket = socket.display();
    let start = "start it with `allot standalone`, or name its socket with --socket or ALLOTMENT_SOCKET, or a cluster with \
                 --kubeconfig or KUBECONFIG";
    match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::unable(format!("no daemon: there is no socket at {socket}"), start)
        }
        io::ErrorKind::ConnectionRefused => {
            Failure::unable(format!("no daemon: nobody answers at {socket}"), start)
        }
        io::ErrorKind::PermissionDenied => Failure::unable(
            format!("the socket {socket} may not be opened: {error}"),
            "the socket is root's alone; run this as root",
        ),
        _ => Failure::unable(format!("the socket {socket} cannot be reached: {error}"), start),
    }
}
