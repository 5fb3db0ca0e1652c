//! Every metric by name, for the reference. Tests compare it with what the programs show.

pub(crate) struct Metric {
    /// Without the prefix, with what its type adds.
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) labels: &'static [&'static str],
    pub(crate) meaning: &'static str,
}

/// What one of the programs shows.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    parts: &'static [&'static [Metric]],
}

impl Section {
    /// By name.
    pub(crate) fn metrics(&self) -> Vec<&'static Metric> {
        let mut metrics: Vec<&Metric> = self.parts.iter().copied().flatten().collect();
        metrics.sort_by_key(|metric| metric.name);
        metrics
    }
}

pub(crate) const SECTIONS: [Section; 3] = [
    Section {
        title: "One machine",
        about: "`allot standalone --metrics ADDR:PORT`. `/healthz` answers 200 while the engine works, `/readyz` while calls are \
                served.",
        parts: &[STANDALONE, ENGINE, NODE, SWEEP],
    },
    Section {
        title: "Controller",
        about: "`allot controller --metrics ADDR:PORT`. `/healthz` answers 200 while its loop turns; `/readyz` while it serves, or \
                stands by and could take over at once. The engine's and the ledger's are there while it leads, or once it has.",
        parts: &[CONTROLLER, ENGINE],
    },
    Section {
        title: "Agent",
        about: "`allot agent --metrics ADDR:PORT`. `/readyz` answers 200 once something was published for the node, without which \
                no pod there is granted anything.",
        parts: &[AGENT, NODE],
    },
];

macro_rules! metrics {
    ($($name:literal, $kind:literal, [$($label:literal),*], $meaning:literal;)*) => {
        &[$(Metric { name: $name, kind: $kind, labels: &[$($label),*], meaning: $meaning }),*]
    };
}

const STANDALONE: &[Metric] = metrics! {
    "addresses", "gauge", ["vrf", "subnet", "family", "state"], "addresses by state: `held`, `cooling`, `free`";
    "build_info", "gauge", ["version"], "always 1";
    "object_problems", "gauge", [], "faults that keep files, or objects in them, from being in force";
};

const ENGINE: &[Metric] = metrics! {
    "commit_conflicts_total", "counter", [], "commits planned again because somebody else had written";
    "commit_decisions", "histogram", [], "decisions in a commit";
    "commit_duration_seconds", "histogram", [], "until a commit is durable";
    "commit_failures_total", "counter", [], "commits that failed";
    "commits_total", "counter", [], "commits that reached the ledger";
    "deadlines_missed_total", "counter", [], "requests not decided because their deadline had passed";
    "decisions_total", "counter", [], "requests, releases and object changes decided";
    "queue_full_total", "counter", [], "requests turned away because the queue was full";
    "queue_length", "gauge", [], "requests that wait now";
    "refusals_total", "counter", ["code"], "requests refused";
    "withdrawn_total", "counter", [], "requests not decided because their caller had gone";
};

const SWEEP: &[Metric] = metrics! {
    "cni_adds_unseen_total", "counter", [],
        "ADDs whose network namespace the daemon could not see; the sweep never releases them";
    "sweep_failures_total", "counter", [], "looks for vanished containers that could not be finished";
    "sweep_passes_total", "counter", [], "looks for vanished containers";
    "sweep_released_addresses_total", "counter", [], "addresses released because their container had vanished";
};

const NODE: &[Metric] = metrics! {
    "cni_call_duration_seconds", "histogram", ["command"], "from a CNI call's arrival to its answer";
    "cni_calls_total", "counter", ["command", "code"], "CNI calls answered; code 0 is success";
    "pending_bad_total", "counter", [], "files in `pending-del` that made no sense and were moved aside";
    "pending_releases", "gauge", [], "files in `pending-del` that wait";
    "pending_replayed_total", "counter", [], "releases replayed from `pending-del`";
};

const CONTROLLER: &[Metric] = metrics! {
    "addresses", "gauge", ["subnet", "family", "state"], "addresses by state: `held`, `cooling`, `free`";
    "addresses_lost", "gauge", [],
        "addresses that stay held because their node is gone and nobody can say that they are not used there";
    "leader", "gauge", [], "1 while this process leads";
    "ledger_bytes_total", "counter", [], "bytes in the ledger's objects that were written";
    "ledger_conflicts_total", "counter", [], "objects of the ledger that somebody else had written";
    "ledger_lost_total", "counter", [], "objects of the ledger that were lost, and written again from memory";
    "ledger_set_back_total", "counter", [], "how often the ledger was found set back";
    "ledger_writes_total", "counter", [], "objects of the ledger written";
    "object_problems", "gauge", [], "objects that are not in force as they are declared";
    "objects_undeclared", "gauge", [], "objects in force that nobody declares";
    "pods", "gauge", ["state"], "bound pods: `known`, `open` (something is to be done), `waiting` (refused)";
    "write_duration_seconds", "histogram", [], "until the API server has answered a write";
    "writes_total", "counter", ["what", "outcome"], "writes to the API server, ledger and lease aside";
};

const AGENT: &[Metric] = metrics! {
    "adds_waiting", "gauge", [], "ADDs that wait for their pod, its grant, or an answer of the controller";
    "asks", "gauge", [], "interfaces that the controller was asked for because no pod announces them";
    "attachments", "gauge", [], "interfaces that have what an ADD was answered with";
    "attachments_ending", "gauge", [], "interfaces whose end is awaited: a DEL came, or their pod has ended";
    "journal_bytes", "gauge", [], "length of the journal; it is rewritten when most of it is of no use any more";
    "looks_total", "counter", [], "looks into network namespaces for the end of attachments";
    "pods", "gauge", [], "pods of the node that have a network of their own";
    "publication_failures_total", "counter", [], "writes of the node's object that failed";
    "publications_total", "counter", [], "writes of the node's object";
};
