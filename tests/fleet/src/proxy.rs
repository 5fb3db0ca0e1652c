//! A proxy before the API server, which fails as it is told to.
//!
//! It ends the TLS of its clients with a certificate that they trust, reads every request, and sends it on, or not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{broadcast, watch};

use crate::{ControlPlane, ports};

mod faults;
mod flow;
mod request;
mod serve;

use faults::Faults;
pub use faults::{Fault, Rule};
pub use request::{Request, Which};

/// How many expiries a watch may be behind; a test sends one at a time.
const EXPIRIES: usize = 64;

/// What clients may do, and what is done to them.
struct State {
    faults: Mutex<Faults>,
    /// Counted up to close every connection; no more connections are taken while it is closed.
    cut: watch::Sender<u64>,
    open: watch::Sender<bool>,
    /// Sent when the list of held watches has changed.
    held: watch::Sender<()>,
    expiry: broadcast::Sender<Which>,
}

impl State {
    fn new() -> State {
        State {
            faults: Mutex::default(),
            cut: watch::Sender::new(0),
            open: watch::Sender::new(true),
            held: watch::Sender::new(()),
            expiry: broadcast::Sender::new(EXPIRIES),
        }
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running proxy, on threads of its own. One for each process that is to see a world of its own.
pub struct Proxy<'a> {
    plane: &'a ControlPlane,
    url: String,
    state: Arc<State>,
    runtime: Option<Runtime>,
}

impl<'a> Proxy<'a> {
    /// Begins to serve; nothing fails yet.
    pub fn start(plane: &'a ControlPlane) -> Result<Proxy<'a>> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let port = ports::free()?;
        let state = Arc::new(State::new());
        let server = serve::Proxied::new(plane, Arc::clone(&state))?;
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).context("the proxy's port")?;
        listener.set_nonblocking(true)?;
        runtime.spawn(server.accept(listener));
        Ok(Proxy { plane, url: format!("https://127.0.0.1:{port}"), state, runtime: Some(runtime) })
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// An administrator's file whose server is this proxy.
    pub fn kubeconfig(&self) -> Result<PathBuf> {
        self.through(&self.plane.kubeconfig())
    }

    /// The same user as in another file, through this proxy.
    pub fn through(&self, kubeconfig: &std::path::Path) -> Result<PathBuf> {
        self.plane.kubeconfig_through(kubeconfig, &self.url)
    }

    /// Every request, and every event of a watch, comes so much later.
    pub fn latency(&self, latency: Duration) {
        self.state.faults().latency = latency;
    }

    /// Adds a rule; the first that meets a request decides.
    pub fn inject(&self, rule: Rule) {
        self.state.faults().rules.push(rule);
    }

    /// Closes every connection. Clients may connect again.
    pub fn cut(&self) {
        self.state.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Closes every connection, and each new one at once.
    pub fn refuse(&self) {
        self.state.open.send_replace(false);
        self.cut();
    }

    /// Holds back what such watches bring, while all else flows: events of several watches then arrive in another order
    /// than they happened in.
    pub fn hold(&self, which: Which) {
        self.state.faults().held.push(which);
    }

    /// Ends such watches as the API server does when the history that they want is compacted.
    pub fn expire(&self, which: Which) {
        // Nobody listens when there is no watch.
        let _ = self.state.expiry.send(which);
    }

    /// Takes back whatever was done: rules, latency, held watches, refused connections.
    pub fn heal(&self) {
        {
            let mut faults = self.state.faults();
            faults.rules.clear();
            faults.held.clear();
            faults.latency = Duration::ZERO;
        }
        self.state.open.send_replace(true);
        self.state.held.send_replace(());
    }

    /// Every request that was made through it, with how often.
    pub fn requests(&self) -> BTreeMap<Request, u64> {
        self.state.faults().seen.clone()
    }

    /// How many such requests were made through it.
    pub fn count(&self, which: &Which) -> u64 {
        let faults = self.state.faults();
        faults.seen.iter().filter(|(request, _)| which.matches(request)).map(|(_, count)| count).sum()
    }

    /// Forgets the requests that it has seen.
    pub fn forget(&self) {
        self.state.faults().seen.clear();
    }
}

impl Drop for Proxy<'_> {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A test may drop it on a runtime of its own, where waiting is not allowed.
            runtime.shutdown_background();
        }
    }
}
