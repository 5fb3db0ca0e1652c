//! What the agent counts, beside what every node does. The daemon owns the registry.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::shared::Shared;

/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct AgentMetrics {
    pub(crate) waiting: Gauge,
    pub(crate) published: Counter,
    pub(crate) unpublished: Counter,
    pub(crate) looks: Counter,
}

impl AgentMetrics {
    pub(crate) fn register(&self, shared: Shared, registry: &mut Registry) {
        let AgentMetrics { waiting, published, unpublished, looks } = self.clone();
        registry.register("adds_waiting", "ADDs that wait for their grant", waiting);
        registry.register("publications", "Writes of the node's object", published);
        registry.register("publication_failures", "Writes of the node's object that failed", unpublished);
        registry.register("looks", "Looks into namespaces for the end of attachments", looks);
        registry.register_collector(Box::new(Known(shared)));
    }
}

/// What is counted when it is asked for.
struct Known(Shared);

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known")
    }
}

impl Collector for Known {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts = self.0.with(|desk| desk.counts());
        let gauges = [
            ("pods", "Pods of the node that have a network of their own", counts.pods as u64),
            ("attachments", "Interfaces that have what an ADD was answered with", counts.served as u64),
            ("attachments_ending", "Interfaces whose end is awaited", counts.ending as u64),
            ("asks", "Interfaces that the controller was asked for", counts.asks as u64),
            ("journal_bytes", "Length of the journal", counts.journal),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}
