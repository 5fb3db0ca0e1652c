//! Every metric by name, for the reference. A test compares it with what a daemon shows.

pub(crate) struct Metric {
    /// Without the prefix, with what its type adds.
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) labels: &'static [&'static str],
    pub(crate) meaning: &'static str,
}

const fn metric(
    name: &'static str,
    kind: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    Metric { name, kind, labels, meaning }
}

/// Of `allot standalone`.
pub(crate) const ALL: [Metric; 23] = [
    metric(
        "addresses",
        "gauge",
        &["vrf", "subnet", "family", "state"],
        "addresses by state: `held`, `cooling`, `free`",
    ),
    metric("build_info", "gauge", &["version"], "always 1"),
    metric(
        "cni_adds_unseen_total",
        "counter",
        &[],
        "ADDs whose network namespace the daemon could not see; the sweep never releases them",
    ),
    metric("cni_call_duration_seconds", "histogram", &["command"], "from a CNI call's arrival to its answer"),
    metric("cni_calls_total", "counter", &["command", "code"], "CNI calls answered; code 0 is success"),
    metric(
        "commit_conflicts_total",
        "counter",
        &[],
        "commits planned again because somebody else had written",
    ),
    metric("commit_decisions", "histogram", &[], "decisions in a commit"),
    metric("commit_duration_seconds", "histogram", &[], "until a commit is durable"),
    metric("commit_failures_total", "counter", &[], "commits that failed"),
    metric("commits_total", "counter", &[], "commits that reached the ledger"),
    metric(
        "deadlines_missed_total",
        "counter",
        &[],
        "requests not decided because their deadline had passed",
    ),
    metric("decisions_total", "counter", &[], "requests, releases and object changes decided"),
    metric(
        "object_problems",
        "gauge",
        &[],
        "faults that keep files, or objects in them, from being in force",
    ),
    metric(
        "pending_bad_total",
        "counter",
        &[],
        "files in `pending-del` that made no sense and were moved aside",
    ),
    metric("pending_releases", "gauge", &[], "files in `pending-del` that wait"),
    metric("pending_replayed_total", "counter", &[], "releases replayed from `pending-del`"),
    metric("queue_full_total", "counter", &[], "requests turned away because the queue was full"),
    metric("queue_length", "gauge", &[], "requests that wait now"),
    metric("refusals_total", "counter", &["code"], "requests refused"),
    metric(
        "sweep_failures_total",
        "counter",
        &[],
        "looks for vanished containers that could not be finished",
    ),
    metric("sweep_passes_total", "counter", &[], "looks for vanished containers"),
    metric(
        "sweep_released_addresses_total",
        "counter",
        &[],
        "addresses released because their container had vanished",
    ),
    metric("withdrawn_total", "counter", &[], "requests not decided because their caller had gone"),
];

/// Of `allot agent`.
pub(crate) const AGENT: [Metric; 14] = [
    metric(
        "adds_waiting",
        "gauge",
        &[],
        "ADDs that wait for their pod, its grant, or an answer of the controller",
    ),
    metric(
        "asks",
        "gauge",
        &[],
        "interfaces that the controller was asked for because no pod announces them",
    ),
    metric("attachments", "gauge", &[], "interfaces that have what an ADD was answered with"),
    metric(
        "attachments_ending",
        "gauge",
        &[],
        "interfaces whose end is awaited: a DEL came, or their pod has ended",
    ),
    metric("cni_call_duration_seconds", "histogram", &["command"], "from a CNI call's arrival to its answer"),
    metric("cni_calls_total", "counter", &["command", "code"], "CNI calls answered; code 0 is success"),
    metric(
        "journal_bytes",
        "gauge",
        &[],
        "length of the journal; it is rewritten when most of it is of no use any more",
    ),
    metric("looks_total", "counter", &[], "looks into network namespaces for the end of attachments"),
    metric(
        "pending_bad_total",
        "counter",
        &[],
        "files in `pending-del` that made no sense and were moved aside",
    ),
    metric("pending_releases", "gauge", &[], "files in `pending-del` that wait"),
    metric("pending_replayed_total", "counter", &[], "releases replayed from `pending-del`"),
    metric("pods", "gauge", &[], "pods of the node that have a network of their own"),
    metric("publication_failures_total", "counter", &[], "writes of the node's object that failed"),
    metric("publications_total", "counter", &[], "writes of the node's object"),
];
