//! The controller's one loop: it owns the world, takes in what is told and what was done, and has done what follows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_cluster::Backoff;
use allotment_core::{Object, ObjectKey};
use allotment_engine::{Engine, EngineError, Handle, LedgerError, Options, Pace};
use jiff::Timestamp;
use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};

use crate::execute::{Executor, Outcome};
use crate::feed::{Feed, Input};
use crate::health::Health;
use crate::leader::Elector;
use crate::ledger::{Keeper, KubeLedger};
use crate::owners::families;
use crate::request::Settings;
use crate::world::World;

/// An object written costs the API server some milliseconds, and pods come one every few: so they share. A job whose pods
/// have 16 networks writes 16 blocks at each commit, and its pods are longer in starting.
const PACE: Pace = Pace {
    first: Duration::from_millis(40),
    more: Duration::from_millis(24),
    longest: Duration::from_millis(400),
    enough: 64,
};

/// The loop turns at least this often, so that it can be seen to live.
const BEAT: Duration = Duration::from_secs(5);

/// Gauges are counted this far apart at least, as that goes through all that is known.
const COUNT: Duration = Duration::from_secs(1);

/// What is under way when the controller is told to stop has that long to end.
const FAREWELL: Duration = Duration::from_secs(3);

/// Outcomes taken in at once.
const OUTCOMES: usize = 1024;

/// Leads when it is its turn and stands by otherwise, until `stop` says so.
pub async fn run(client: Client, settings: Settings, health: Arc<Health>, mut stop: watch::Receiver<bool>) {
    let (terms, term) = watch::channel(false);
    let (end, ended) = watch::channel(false);
    let elector = Elector::new(client.clone());
    tracing::info!(identity = elector.identity(), "standing by");
    let election = tokio::spawn(elect(elector, terms, ended));
    let mut controller = Controller {
        feed: Feed::start(&client, &families(&settings)),
        client,
        world: World::new(settings),
        pods_started: false,
        term,
        lead: Lead::None,
        health,
        count_at: Instant::now(),
        is_counted: true,
        backoff: Backoff::default(),
    };
    tokio::select! {
        () = controller.run() => {}
        () = told(&mut stop) => {}
    }
    controller.farewell().await;
    // Only now: whoever leads next finds everything written.
    let _ = end.send(true);
    let _ = election.await;
}

/// Tells when this process leads, until it is to end.
async fn elect(mut elector: Elector, terms: watch::Sender<bool>, mut end: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = elector.acquire() => { let _ = terms.send(true); }
            () = told(&mut end) => return,
        }
        tokio::select! {
            () = elector.keep() => { let _ = terms.send(false); }
            () = told(&mut end) => return elector.release().await,
        }
    }
}

/// Returns once it is said, or nobody can say it any more.
async fn told(what: &mut watch::Receiver<bool>) {
    let _ = what.wait_for(|is| *is).await;
}

struct Controller {
    client: Client,
    feed: Feed,
    world: World,
    pods_started: bool,
    term: watch::Receiver<bool>,
    lead: Lead,
    health: Arc<Health>,
    /// When gauges may be counted again, and whether nothing has happened since they were.
    count_at: Instant,
    is_counted: bool,
    backoff: Backoff,
}

/// How far this process is with leading.
enum Lead {
    None,
    /// The ledger is being read.
    Opening(JoinHandle<Result<Opened, Unopened>>),
    /// It could not be read; tried again then.
    Failed(tokio::time::Instant),
    Leading(Box<Term>),
}

struct Opened {
    handle: Handle,
    keeper: Keeper,
    in_force: BTreeMap<ObjectKey, Object>,
}

#[derive(Debug, thiserror::Error)]
enum Unopened {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What there is while leading.
struct Term {
    executor: Executor,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
    keeper: Keeper,
    _keeping: Keeping,
}

/// Watches over the ledger's objects, as long as it is kept.
struct Keeping(JoinHandle<()>);

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What woke the loop.
enum Woken {
    Inputs,
    Outcomes,
    Opened(Result<Opened, Unopened>),
    EngineEnded,
    /// Somebody else has written to the ledger, and the state has it.
    News,
    Time,
}

impl Controller {
    async fn run(&mut self) {
        let mut inputs = Vec::new();
        let mut outcomes = Vec::new();
        loop {
            self.follow_term();
            self.report();
            let woken = self.wait(&mut inputs, &mut outcomes).await;
            self.take(woken, &mut inputs, &mut outcomes).await;
            self.act().await;
        }
    }

    /// Begins or ends a term, as the lease has it.
    fn follow_term(&mut self) {
        let leads = *self.term.borrow_and_update();
        match (&self.lead, leads) {
            (Lead::None, true) => {
                tracing::info!("leading: reading the ledger");
                self.open();
            }
            (Lead::None, false) | (_, true) => {}
            (_, false) => {
                tracing::warn!("no longer leading: standing by");
                if let Lead::Leading(term) = std::mem::replace(&mut self.lead, Lead::None) {
                    let handle = term.executor.handle().clone();
                    tokio::spawn(async move { handle.stop().await });
                }
            }
        }
    }

    fn open(&mut self) {
        let (client, runtime) = (self.client.clone(), tokio::runtime::Handle::current());
        self.lead = Lead::Opening(tokio::spawn(async move {
            let ledger = KubeLedger::new(client, runtime);
            let keeper = ledger.keeper();
            let options = Options { pace: PACE, ..Options::default() };
            let opening = tokio::task::spawn_blocking(move || Engine::open_with(ledger, options));
            let handle = opening.await.map_err(|error| LedgerError::Unavailable {
                place: "the ledger".to_owned(),
                why: error.to_string(),
            })??;
            let in_force = handle
                .read(|state, _| state.objects().map(|object| (object.key(), object)).collect())
                .await?;
            Ok(Opened { handle, keeper, in_force })
        }));
    }

    async fn wait(&mut self, inputs: &mut Vec<Input>, outcomes: &mut Vec<Outcome>) -> Woken {
        let now = Instant::now();
        let beat = if self.is_counted { now + BEAT } else { self.count_at };
        let due = match &self.lead {
            Lead::Leading(_) => self.world.due(now).map_or(beat, |due| due.min(beat)),
            Lead::Failed(until) => until.into_std().min(beat),
            Lead::None | Lead::Opening(_) => beat,
        };
        let lead = &mut self.lead;
        tokio::select! {
            () = self.feed.next(inputs) => Woken::Inputs,
            woken = led(lead, outcomes) => woken,
            _ = self.term.changed() => Woken::Time,
            () = sleep_until(due.into()) => Woken::Time,
        }
    }

    async fn take(&mut self, woken: Woken, inputs: &mut Vec<Input>, outcomes: &mut Vec<Outcome>) {
        match woken {
            Woken::Inputs => {
                for input in inputs.drain(..) {
                    self.world.input(input);
                }
                if self.world.around.are_known() && !std::mem::replace(&mut self.pods_started, true) {
                    self.feed.start_pods();
                }
            }
            Woken::Outcomes => {
                let now = Instant::now();
                for outcome in outcomes.drain(..) {
                    let actions = self.world.outcome(outcome, now);
                    self.start(actions).await;
                }
            }
            Woken::Opened(Ok(Opened { handle, keeper, in_force })) => {
                tracing::info!(objects = in_force.len(), "the ledger is read");
                self.backoff.reset();
                let (sender, outcomes) = mpsc::unbounded_channel();
                self.health.opened(&handle, &keeper);
                let (engine, watching) = (handle.clone(), keeper.clone());
                let keeping = tokio::spawn(async move { watching.run(&engine).await });
                let metrics = Arc::clone(self.health.metrics());
                let executor = Executor::new(self.client.clone(), handle, sender, metrics);
                self.lead =
                    Lead::Leading(Box::new(Term { executor, outcomes, keeper, _keeping: Keeping(keeping) }));
                self.world.begin(in_force);
            }
            Woken::Opened(Err(error)) => {
                tracing::error!(%error, "the ledger cannot be read; trying again");
                self.lead = Lead::Failed(tokio::time::Instant::now() + self.backoff.failed());
            }
            Woken::EngineEnded => {
                tracing::error!("the engine has ended; the ledger is read anew");
                self.lead = Lead::Failed(tokio::time::Instant::now() + self.backoff.failed());
            }
            Woken::News => self.world.releases.others_wrote(Instant::now()),
            Woken::Time => {
                if let Lead::Failed(until) = self.lead
                    && until <= tokio::time::Instant::now()
                {
                    self.open();
                }
            }
        }
    }

    async fn act(&mut self) {
        if matches!(self.lead, Lead::Leading(_)) {
            let actions = self.world.next(Instant::now(), Timestamp::now());
            self.start(actions).await;
        }
    }

    async fn start(&mut self, actions: Vec<crate::world::Action>) {
        let Lead::Leading(term) = &mut self.lead else { return };
        for action in actions {
            term.executor.start(action).await;
        }
    }

    fn report(&mut self) {
        let leading = matches!(self.lead, Lead::Leading(_));
        self.health.report(&self.world, leading, *self.term.borrow());
        let now = Instant::now();
        self.is_counted = self.count_at <= now;
        if self.is_counted {
            self.health.metrics().count(&mut self.world);
            self.count_at = now + COUNT;
        }
    }

    /// Ends what is under way, as far as that goes in short time.
    async fn farewell(&mut self) {
        if let Lead::Leading(term) = std::mem::replace(&mut self.lead, Lead::None) {
            self.report();
            let Term { executor, .. } = *term;
            if timeout(FAREWELL, executor.finish()).await.is_err() {
                tracing::warn!("not everything under way has ended; it is found by whoever leads next");
            }
        }
    }
}

/// What happens for the one who leads, or is about to.
async fn led(lead: &mut Lead, outcomes: &mut Vec<Outcome>) -> Woken {
    match lead {
        Lead::None | Lead::Failed(_) => std::future::pending().await,
        Lead::Opening(opening) => Woken::Opened(opening.await.unwrap_or_else(|error| {
            let why = error.to_string();
            Err(LedgerError::Unavailable { place: "the ledger".to_owned(), why }.into())
        })),
        Lead::Leading(term) => {
            let handle = term.executor.handle().clone();
            tokio::select! {
                _ = term.outcomes.recv_many(outcomes, OUTCOMES) => Woken::Outcomes,
                _ = handle.ended() => Woken::EngineEnded,
                () = term.keeper.news() => Woken::News,
            }
        }
    }
}
