//! `allot standalone`: one machine's daemon, put together.
//!
//! The order of the start is the order in which something else may be in the way: the socket, the metrics' address, the
//! data folder. Calls that come meanwhile wait in the socket's queue; they are answered once the objects are read.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use allotment_engine::{EmbeddedLedger, Engine, Handle, LedgerError, check_room};
use allotment_node::{CniService, EngineVerbs, NodeMetrics, SWEEP_EVERY, Socket, Sweep, cni_router};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::args::StandaloneArgs;
use crate::daemon::{listen, told, unserved};
use crate::failure::{Failure, Verdict};
use crate::metrics::{DaemonMetrics, EngineMetrics, PREFIX, Page};
use crate::objects::Follower;
use crate::serve::{Daemon, Refusals};
use crate::signals::Signals;
use crate::{logs, metrics, serve};

/// How often the folder of waiting releases is looked at when no ADD does.
const PENDING_EVERY: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(args: StandaloneArgs, socket: &Path) -> Result<Verdict, Failure> {
    logs::begin(args.log);
    let signals =
        Signals::new().map_err(|error| Failure::unable(format!("no signal can be heard: {error}"), ""))?;
    let socket = Socket::bind(socket).map_err(|error| Failure::unable(error.to_string(), ""))?;
    let page = match args.metrics {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let handle = open(&args.data, args.history).await?;
    let verdict = match Standalone::assemble(&args, &handle, &socket) {
        Ok(standalone) => standalone.serve(socket, page, signals).await,
        Err(failure) => Err(failure),
    };
    handle.stop().await;
    tracing::info!("stopped");
    verdict
}

/// The parts, once everything is there.
struct Standalone {
    handle: Handle,
    follower: Follower,
    service: Arc<CniService<EngineVerbs>>,
    daemon: Arc<Daemon>,
    node_metrics: NodeMetrics,
}

impl Standalone {
    fn assemble(args: &StandaloneArgs, handle: &Handle, socket: &Socket) -> Result<Standalone, Failure> {
        let follower = Follower::new(handle.clone(), &args.objects, &args.data).map_err(|error| {
            Failure::unable(
                format!("what {} remembers of the objects cannot be read: {error}", args.data.display()),
                "move objects-from-files.json away: objects whose files went meanwhile then stay in force",
            )
        })?;
        let (refusals, node_metrics) = (Arc::new(Refusals::default()), NodeMetrics::default());
        let decided = Box::new(Refusals::follow(&refusals));
        let data = args.data.clone();
        let writable = Box::new(move || check_room(&data));
        let verbs = EngineVerbs::new(handle.clone(), &node_metrics, decided, writable);
        let service = CniService::new(verbs, socket.path(), &node_metrics).map_err(|error| {
            Failure::unable(format!("the folder of waiting releases cannot be made: {error}"), "")
        })?;
        let daemon = Arc::new(Daemon {
            handle: handle.clone(),
            problems: follower.problems(),
            sources: follower.sources(),
            refusals,
            serving: AtomicBool::new(false),
        });
        Ok(Standalone { handle: handle.clone(), follower, service, daemon, node_metrics })
    }

    async fn serve(
        mut self,
        socket: Socket,
        page: Option<TcpListener>,
        mut signals: Signals,
    ) -> Result<Verdict, Failure> {
        let (stop, stopping) = watch::channel(false);
        if let Some(listener) = page {
            let router = metrics::router(Arc::new(self.page()));
            let served = axum::serve(listener, router).with_graceful_shutdown(told(stopping.clone()));
            tokio::spawn(served.into_future());
        }
        tokio::select! {
            () = self.begin() => {}
            name = signals.next() => {
                tracing::info!(signal = name, "stopping before anything was served");
                return Ok(Verdict::Done);
            }
        }
        let router = serve::router(Arc::clone(&self.daemon)).merge(cni_router(Arc::clone(&self.service)));
        let mut served = tokio::spawn(allotment_node::serve(socket, router, told(stopping)));
        self.daemon.serving.store(true, Ordering::Release);
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "serving");
        let sweep = Sweep::new(self.handle.clone(), &self.node_metrics);
        let verdict = tokio::select! {
            name = signals.next() => {
                tracing::info!(signal = name, "stopping: calls under way are finished");
                Ok(Verdict::Done)
            }
            end = self.handle.ended() => Err(broken(&format!("the engine has ended: {end:?}"))),
            result = &mut served => return Err(broken(&unserved(result))),
            () = self.follower.follow() => Err(broken("the objects folder is no longer followed")),
            () = self.service.follow_pending(PENDING_EVERY) => Err(broken("waiting releases are no longer done")),
            () = sweep.run(SWEEP_EVERY) => Err(broken("vanished containers are no longer looked for")),
        };
        self.daemon.serving.store(false, Ordering::Release);
        self.service.drain();
        // Nobody listens only when everybody has ended already.
        let _ = stop.send(true);
        if let Err(error) = served.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            tracing::error!(%error, "the socket did not end well");
        }
        verdict
    }

    /// What has to be done before anything is served.
    async fn begin(&mut self) {
        self.follower.begin().await;
        if let Err(error) = self.service.replay_pending().await {
            tracing::warn!(
                error = error.msg,
                "waiting releases cannot be done yet; until they are, no ADD is"
            );
        }
    }

    fn page(&self) -> Page {
        let mut registry = Registry::with_prefix(PREFIX);
        let metrics = DaemonMetrics::default();
        metrics.register(&mut registry);
        self.node_metrics.register(&mut registry);
        let handle = self.handle.clone();
        EngineMetrics(Box::new(move || Some(handle.clone()))).register(&mut registry);
        Page { daemon: Arc::clone(&self.daemon), metrics, registry }
    }
}

/// Something that runs for ever has ended.
fn broken(what: &str) -> Failure {
    Failure::unable(
        what,
        "start the daemon again: what was answered is in the ledger; report this with the log",
    )
}

/// Opens the data folder, which is made where it is missing.
async fn open(data: &Path, history: Duration) -> Result<Handle, Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(|error| {
        Failure::unable(
            format!("the data folder {} cannot be made: {error}", data.display()),
            "give one that can be written with --data",
        )
    })?;
    let folder = data.to_owned();
    // Reading a large ledger takes a second.
    let open = move || Engine::open(EmbeddedLedger::open(&folder)?.with_history(history));
    let opened = tokio::task::spawn_blocking(open).await;
    let refused = |error: LedgerError| Failure::unable(error.to_string(), error.hint());
    opened
        .map_err(|error| Failure::unable(format!("opening the ledger broke off: {error}"), ""))?
        .map_err(refused)
}
