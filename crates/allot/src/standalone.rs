//! `allot standalone`: one machine's daemon, put together.
//!
//! The order of the start is the order in which something else may be in the way: the socket, the data folder, the
//! ledger. Calls that come meanwhile wait in the socket's queue; they are answered once the objects are read.

use std::fs::DirBuilder;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use allotment_engine::{EmbeddedLedger, Engine, Handle, LedgerError};
use allotment_node::{CniService, NodeMetrics, SWEEP_EVERY, Socket, Sweep, cni_router};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::args::StandaloneArgs;
use crate::failure::{Failure, Verdict};
use crate::metrics::{DaemonMetrics, EngineMetrics, PREFIX, Page};
use crate::objects::Follower;
use crate::serve::{Daemon, Refusals};
use crate::{logs, metrics, serve};

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(args: StandaloneArgs, socket: &Path) -> Result<Verdict, Failure> {
    logs::begin(args.log);
    let signals = Signals::new().map_err(|error| Failure::unable(format!("no signal can be heard: {error}"), ""))?;
    let socket = Socket::bind(socket).map_err(|error| Failure::unable(error.to_string(), ""))?;
    let page = match args.metrics {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let handle = open(&args.data).await?;
    let stopped = handle.clone();
    let verdict = serve(&args, socket, page, handle, signals).await;
    stopped.stop().await;
    tracing::info!("stopped");
    verdict
}

async fn serve(
    args: &StandaloneArgs,
    socket: Socket,
    page: Option<TcpListener>,
    handle: Handle,
    mut signals: Signals,
) -> Result<Verdict, Failure> {
    let mut follower = Follower::new(handle.clone(), &args.objects, &args.data).map_err(|error| {
        Failure::unable(
            format!("what {} remembers of the objects cannot be read: {error}", args.data.display()),
            "move objects-from-files.json away: objects whose files went meanwhile then stay in force",
        )
    })?;
    let node_metrics = NodeMetrics::default();
    let service = CniService::new(handle.clone(), socket.path(), &node_metrics)
        .map_err(|error| Failure::unable(format!("the folder of waiting releases cannot be made: {error}"), ""))?;
    let daemon = Arc::new(Daemon {
        handle: handle.clone(),
        problems: follower.problems(),
        refusals: Arc::new(Refusals::default()),
        serving: AtomicBool::new(false),
    });
    let (stop, stopping) = watch::channel(false);
    if let Some(listener) = page {
        let mut registry = Registry::with_prefix(PREFIX);
        let daemon_metrics = DaemonMetrics::default();
        daemon_metrics.register(&mut registry);
        node_metrics.register(&mut registry);
        EngineMetrics(handle.clone()).register(&mut registry);
        let page = Page { daemon: Arc::clone(&daemon), metrics: daemon_metrics, registry };
        let router = metrics::router(Arc::new(page));
        tokio::spawn(axum::serve(listener, router).with_graceful_shutdown(told(stopping.clone())).into_future());
    }
    tokio::select! {
        () = follower.begin() => {}
        name = signals.next() => {
            tracing::info!(signal = name, "stopping before anything was served");
            return Ok(Verdict::Done);
        }
    }
    let router = serve::router(Arc::clone(&daemon)).merge(cni_router(Arc::clone(&service)));
    let mut served = tokio::spawn(allotment_node::serve(socket, router, told(stopping)));
    daemon.serving.store(true, Ordering::Release);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "serving");
    let sweep = Sweep::new(handle.clone(), &node_metrics);
    let verdict = tokio::select! {
        name = signals.next() => {
            tracing::info!(signal = name, "stopping: calls under way are finished");
            Ok(Verdict::Done)
        }
        end = handle.ended() => Err(Failure::unable(
            format!("the engine has ended: {end:?}"),
            "start the daemon again: what was answered is in the ledger; report this with the log",
        )),
        result = &mut served => return Err(ended(result)),
        () = follower.follow() => unreachable!("the folder is followed for ever"),
        () = service.follow_pending() => unreachable!("waiting releases are followed for ever"),
        () = sweep.run(SWEEP_EVERY) => Err(Failure::unable("the engine has stopped", "see the log")),
    };
    daemon.serving.store(false, Ordering::Release);
    service.drain();
    // Nobody listens only when everybody has ended already.
    let _ = stop.send(true);
    if let Err(error) = served.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
        tracing::error!(%error, "the socket did not end well");
    }
    verdict
}

/// The socket must not end by itself.
fn ended(result: Result<io::Result<()>, tokio::task::JoinError>) -> Failure {
    let why = match result {
        Ok(Ok(())) => "nobody told it to".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    Failure::unable(format!("the socket is no longer served: {why}"), "start the daemon again")
}

/// Opens the data folder, which is made where it is missing.
async fn open(data: &Path) -> Result<Handle, Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(|error| {
        Failure::unable(
            format!("the data folder {} cannot be made: {error}", data.display()),
            "give one that can be written with --data",
        )
    })?;
    let folder = data.to_owned();
    // Reading a large ledger takes a second.
    let opened = tokio::task::spawn_blocking(move || EmbeddedLedger::open(&folder).and_then(Engine::open)).await;
    let refused = |error: LedgerError| Failure::unable(error.to_string(), error.hint());
    opened.map_err(|error| Failure::unable(format!("opening the ledger broke off: {error}"), ""))?.map_err(refused)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::unable(format!("metrics cannot be served at {address}: {error}"), "give another address with --metrics")
    })
}

async fn told(mut stopping: watch::Receiver<bool>) {
    // Without a sender nobody will tell any more, which is an end, too.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// What tells us to stop.
struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    /// The next one's name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}
