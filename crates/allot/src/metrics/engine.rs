//! Shows what the engine counts for itself.

use std::fmt;

use allotment_core::Code;
use allotment_engine::{Counter, Handle, Histogram};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// The engine's counts. A controller has one engine after another; between them there is nothing to show.
pub(crate) struct EngineMetrics(pub(crate) Box<dyn Fn() -> Option<Handle> + Send + Sync>);

impl EngineMetrics {
    pub(crate) fn register(self, registry: &mut Registry) {
        registry.register_collector(Box::new(self));
    }
}

impl fmt::Debug for EngineMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineMetrics")
    }
}

impl Collector for EngineMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(handle) = (self.0)() else { return Ok(()) };
        let metrics = handle.metrics();
        let counters: [(&str, &str, &Counter); 7] = [
            ("decisions", "Requests, releases and object changes decided", &metrics.decided),
            ("queue_full", "Requests turned away because the queue was full", &metrics.busy),
            ("deadlines_missed", "Requests not decided because their deadline had passed", &metrics.late),
            ("withdrawn", "Requests not decided because their caller had gone", &metrics.withdrawn),
            ("commits", "Commits that reached the ledger", &metrics.commits),
            (
                "commit_conflicts",
                "Commits planned again because somebody else had written",
                &metrics.conflicts,
            ),
            ("commit_failures", "Commits that failed", &metrics.failures),
        ];
        for (name, help, counter) in counters {
            let counter = ConstCounter::new(counter.get());
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            counter.encode(metric)?;
        }
        let mut refusals =
            encoder.encode_descriptor("refusals", "Requests refused, by code", None, MetricType::Counter)?;
        for code in Code::ALL {
            let labels = [("code", code.as_str())];
            ConstCounter::new(metrics.refusals(code)).encode(refusals.encode_family(&labels)?)?;
        }
        let queued = ConstGauge::new(i64::try_from(metrics.queued()).unwrap_or(i64::MAX));
        queued.encode(encoder.encode_descriptor(
            "queue_length",
            "Requests that wait now",
            None,
            MetricType::Gauge,
        )?)?;
        let batch = encoder.encode_descriptor(
            "commit_decisions",
            "Decisions in a commit",
            None,
            MetricType::Histogram,
        )?;
        histogram(batch, &metrics.batch, 1.0)?;
        let help = "Time that a commit takes until it is durable";
        let unit = Unit::Seconds;
        let took = encoder.encode_descriptor("commit_duration", help, Some(&unit), MetricType::Histogram)?;
        histogram(took, &metrics.commit_micros, 1e-6)
    }
}

/// Each of the engine's values is `unit` of ours.
#[expect(clippy::cast_precision_loss, reason = "a metric need not be exact beyond 2^53")]
fn histogram<const N: usize>(mut encoder: MetricEncoder<'_>, from: &Histogram<N>, unit: f64) -> fmt::Result {
    let buckets: Vec<(f64, u64)> = from
        .buckets()
        .map(|(bound, count)| (bound.map_or(f64::INFINITY, |bound| bound as f64 * unit), count))
        .collect();
    let count = buckets.iter().map(|(_, count)| count).sum();
    encoder.encode_histogram::<NoLabelSet>(from.sum() as f64 * unit, count, &buckets, None)
}
