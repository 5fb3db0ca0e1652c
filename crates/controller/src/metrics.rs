//! What is counted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use allotment_core::ObjectKind;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::health::Health;
use crate::world::World;

#[derive(Debug)]
pub(crate) struct Metrics {
    leading: Gauge,
    pods: Family<PodLabels, Gauge>,
    object_problems: Gauge,
    objects_undeclared: Gauge,
    addresses_lost: Gauge,
    addresses: Family<AddressLabels, Gauge<f64, AtomicU64>>,
    writes: Family<WriteLabels, Counter>,
    write_duration: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PodLabels {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AddressLabels {
    subnet: String,
    family: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    what: &'static str,
    outcome: &'static str,
}

/// What is written to the API server, apart from the ledger and the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Grant,
    Refusal,
    Status,
    Finalizer,
    Answers,
    Node,
    Event,
}

impl Written {
    fn as_str(self) -> &'static str {
        match self {
            Written::Grant => "grant",
            Written::Refusal => "refusal",
            Written::Status => "status",
            Written::Finalizer => "finalizer",
            Written::Answers => "answers",
            Written::Node => "node",
            Written::Event => "event",
        }
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            leading: Gauge::default(),
            pods: Family::default(),
            object_problems: Gauge::default(),
            objects_undeclared: Gauge::default(),
            addresses_lost: Gauge::default(),
            addresses: Family::default(),
            writes: Family::default(),
            // 1 ms to 16 s.
            write_duration: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
        }
    }
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("leader", "1 while this process leads", self.leading.clone());
        let help = "Bound pods by state: known, open (something is to be done), waiting (refused)";
        registry.register("pods", help, self.pods.clone());
        let help = "Objects that are not in force as they are declared";
        registry.register("object_problems", help, self.object_problems.clone());
        let help = "Objects in force that nobody declares";
        registry.register("objects_undeclared", help, self.objects_undeclared.clone());
        let help = "Addresses that stay held because their node is gone and nobody can say that they are not used there";
        registry.register("addresses_lost", help, self.addresses_lost.clone());
        let help = "Addresses of each subnet and family by state: held, cooling, free";
        registry.register("addresses", help, self.addresses.clone());
        let help =
            "Writes to the API server, ledger and lease aside, by what was written and what came of it";
        registry.register("writes", help, self.writes.clone());
        let help = "Time that a write to the API server takes";
        let took = self.write_duration.clone();
        registry.register_with_unit("write_duration", help, Unit::Seconds, took);
    }

    pub(crate) fn wrote(&self, what: Written, outcome: &'static str, took: Duration) {
        self.writes.get_or_create(&WriteLabels { what: what.as_str(), outcome }).inc();
        self.write_duration.observe(took.as_secs_f64());
    }

    pub(crate) fn leads(&self, leading: bool) {
        self.leading.set(i64::from(leading));
    }

    /// Goes through all that is known.
    pub(crate) fn count(&self, world: &mut World) {
        let counts = [
            ("known", world.pods.known()),
            ("open", world.pods.open()),
            ("waiting", world.pods.waiting.len()),
        ];
        for (state, count) in counts {
            self.pods.get_or_create(&PodLabels { state }).set(count_of(count));
        }
        self.object_problems.set(count_of(world.objects.problems()));
        self.objects_undeclared.set(count_of(world.objects.undeclared()));
        self.addresses_lost.set(count_of(world.releases.lost()));
        self.report_usage(world);
    }

    fn report_usage(&self, world: &mut World) {
        let Some(usage) = world.objects.new_usage() else { return };
        self.addresses.clear();
        let subnets = usage.iter().filter(|(key, _)| key.kind == ObjectKind::Subnet);
        for (key, usage) in subnets.flat_map(|(key, all)| all.iter().map(move |usage| (key, usage))) {
            let states = [
                ("held", u128::from(usage.held)),
                ("cooling", u128::from(usage.cooling)),
                ("free", usage.free()),
            ];
            for (state, count) in states {
                let labels =
                    AddressLabels { subnet: key.name.clone(), family: usage.family.to_string(), state };
                #[expect(clippy::cast_precision_loss, reason = "a metric of a /64 need not be exact")]
                self.addresses.get_or_create(&labels).set(count as f64);
            }
        }
    }
}

/// What the ledger of this term, or of the last one, counts for itself.
pub(crate) struct LedgerMetrics(pub(crate) Arc<Health>);

impl fmt::Debug for LedgerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LedgerMetrics")
    }
}

impl Collector for LedgerMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some((_, keeper)) = self.0.engine() else { return Ok(()) };
        let counts = keeper.counts();
        let all = [
            ("ledger_writes", "Objects of the ledger written", &counts.writes),
            ("ledger_bytes", "Bytes in them", &counts.bytes),
            ("ledger_conflicts", "Objects of the ledger that somebody else had written", &counts.conflicts),
            (
                "ledger_lost",
                "Objects of the ledger that were lost, and written again from memory",
                &counts.lost,
            ),
            ("ledger_set_back", "How often the ledger was found set back", &counts.set_back),
        ];
        for (name, help, count) in all {
            let counter = ConstCounter::new(count.get());
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        Ok(())
    }
}

fn count_of(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
