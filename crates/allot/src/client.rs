//! Asks the daemon: HTTP/1.1 over its Unix socket, one connection a question.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use allotment_wire::ErrorBody;

use crate::failure::Failure;

/// How long the daemon may be silent. An audit of a busy machine reads every namespace before its first byte.
const PATIENCE: Duration = Duration::from_mins(1);

/// An error's text is cut here; nobody reads more.
const MAX_ERROR_BYTES: usize = 1024 * 1024;

pub(crate) struct Client {
    socket: PathBuf,
}

impl Client {
    pub(crate) fn new(socket: PathBuf) -> Client {
        Client { socket }
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

    /// Asks and copies the answer to `out` as it comes.
    pub(crate) async fn copy(
        &self,
        path: &str,
        query: &[(&str, String)],
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let answer = self.ask(Method::GET, path, query, None).await?;
        let mut body = answer.into_body();
        while let Some(bytes) = self.frame(&mut body).await? {
            out.write_all(&bytes).map_err(|error| Failure::output(&error))?;
        }
        out.flush().map_err(|error| Failure::output(&error))
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

    /// Whether anybody listens on the socket; `Err` says why not.
    pub(crate) async fn answers(&self) -> Result<(), Failure> {
        UnixStream::connect(&self.socket).await.map(drop).map_err(|error| self.no_daemon(&error))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<(&'static str, Vec<u8>)>,
    ) -> Result<Response<Incoming>, Failure> {
        let query = serde_urlencoded::to_string(query).expect("pairs of strings can be encoded");
        let uri = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let mut request = Request::builder().method(method).uri(uri).header(HOST, "allotment");
        let mut bytes = Bytes::new();
        if let Some((content_type, body)) = body {
            request = request.header(CONTENT_TYPE, content_type);
            bytes = body.into();
        }
        let request = request.body(Full::new(bytes)).expect("method, path and headers are well formed");

        let answer = async {
            let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.no_daemon(&error))?;
            let (mut sender, connection) =
                http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(&error))?;
            tokio::spawn(connection);
            sender.send_request(request).await.map_err(|error| self.broken(&error))
        };
        let answer = timeout(PATIENCE, answer).await.map_err(|_| self.silent())??;
        if answer.status() == StatusCode::OK { Ok(answer) } else { Err(self.error(answer).await) }
    }

    async fn read<T: DeserializeOwned>(&self, answer: Response<Incoming>) -> Result<T, Failure> {
        let mut body = answer.into_body();
        let mut whole = Vec::new();
        while let Some(bytes) = self.frame(&mut body).await? {
            whole.extend_from_slice(&bytes);
        }
        serde_json::from_slice(&whole).map_err(|error| {
            Failure::unable(
                format!(
                    "the daemon at {} answered what this `allot` cannot read: {error}",
                    self.socket.display()
                ),
                "use an `allot` of the daemon's version",
            )
        })
    }

    /// The next piece of the answer.
    async fn frame(&self, body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
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
    async fn error(&self, answer: Response<Incoming>) -> Failure {
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
            error: format!("the daemon at {} answered {status}", self.socket.display()),
            hint: match status {
                StatusCode::FORBIDDEN => "only root may ask; run this as root",
                StatusCode::NOT_FOUND => "use an `allot` of the daemon's version",
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

    fn no_daemon(&self, error: &io::Error) -> Failure {
        let socket = self.socket.display();
        let start = "start it with `allot standalone`, or name its socket with --socket or ALLOTMENT_SOCKET";
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

    fn broken(&self, error: &hyper::Error) -> Failure {
        Failure::unable(
            format!("the connection to the daemon at {} broke: {error}", self.socket.display()),
            "see the daemon's log, then try again",
        )
    }

    fn silent(&self) -> Failure {
        Failure::unable(
            format!("the daemon at {} was silent for {} s", self.socket.display(), PATIENCE.as_secs()),
            "see the daemon's log",
        )
    }
}
