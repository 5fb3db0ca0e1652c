//! What the node counts. The daemon owns the registry.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use allotment_wire::Command;

/// Everything the node counts; cheap to clone.
#[derive(Clone, Default)]
pub struct NodeMetrics {
    pub(crate) cni: CniMetrics,
    pub(crate) pending: PendingMetrics,
    pub(crate) sweep: SweepMetrics,
}

#[derive(Clone)]
pub(crate) struct CniMetrics {
    calls: Family<CallLabels, Counter>,
    pub(crate) unseen: Counter,
    seconds: Family<CommandLabels, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Default)]
pub(crate) struct PendingMetrics {
    pub(crate) waiting: Gauge,
    pub(crate) replayed: Counter,
    pub(crate) bad: Counter,
}

#[derive(Clone, Default)]
pub(crate) struct SweepMetrics {
    pub(crate) passes: Counter,
    pub(crate) failures: Counter,
    pub(crate) released: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    command: &'static str,
    /// 0: done.
    code: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CommandLabels {
    command: &'static str,
}

/// From a tenth of a millisecond, the round trip alone, to the deadline.
const BUCKETS: [f64; 14] =
    [0.000_1, 0.000_2, 0.000_4, 0.000_8, 0.001_6, 0.003, 0.006, 0.012, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];

impl Default for CniMetrics {
    fn default() -> CniMetrics {
        CniMetrics {
            calls: Family::default(),
            unseen: Counter::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
        }
    }
}

impl CniMetrics {
    pub(crate) fn count(&self, command: Command, code: u32, took: Duration) {
        let command = name(command);
        self.calls.get_or_create(&CallLabels { command, code }).inc();
        self.seconds.get_or_create(&CommandLabels { command }).observe(took.as_secs_f64());
    }
}

fn name(command: Command) -> &'static str {
    match command {
        Command::Add => "ADD",
        Command::Del => "DEL",
        Command::Check => "CHECK",
        Command::Gc => "GC",
        Command::Status => "STATUS",
    }
}

impl NodeMetrics {
    /// Adds everything to the daemon's registry, which has the prefix.
    pub fn register(&self, registry: &mut Registry) {
        self.register_calls(registry);
        let NodeMetrics { cni, sweep, .. } = self.clone();
        registry.register(
            "cni_adds_unseen",
            "ADDs whose network namespace could not be seen, so that the sweep cannot tell when it is gone",
            cni.unseen,
        );
        registry.register("sweep_passes", "Looks at the namespaces of all active attachments", sweep.passes);
        registry.register("sweep_failures", "Looks that could not be finished", sweep.failures);
        registry.register(
            "sweep_released_addresses",
            "Addresses released because their network namespace was gone for good",
            sweep.released,
        );
    }

    /// Adds what is counted of CNI's calls alone: an agent makes no sweeps.
    pub fn register_calls(&self, registry: &mut Registry) {
        let NodeMetrics { cni, pending, .. } = self.clone();
        registry.register(
            "cni_calls",
            "CNI calls answered, by command and CNI code; code 0 is success",
            cni.calls,
        );
        registry.register_with_unit(
            "cni_call_duration",
            "Time from a CNI call's arrival to its answer",
            Unit::Seconds,
            cni.seconds,
        );
        registry.register(
            "pending_releases",
            "Files in pending-del that wait to be replayed",
            pending.waiting,
        );
        registry.register("pending_replayed", "Releases replayed from pending-del", pending.replayed);
        registry.register(
            "pending_bad",
            "Files in pending-del that made no sense and were moved aside",
            pending.bad,
        );
    }
}
