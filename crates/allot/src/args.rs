//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use allotment_api::{Principal, WebhookAddress};
use allotment_controller::request::{MULTUS_NAMESPACE, OwnerKind};
use allotment_core::IpRange;
use clap::{Args, Parser, Subcommand, ValueEnum};

mod install;

pub(crate) use install::{DoctorArgs, InstallCniArgs};

/// Where the objects are when nobody says otherwise (O1).
const OBJECTS: &str = "/etc/allotment/objects";

/// One IPAM for every network interface.
///
/// Exit codes: 0 done; 1 refused, not found, or something was found; 2 not reachable, wrong usage, could not run.
#[derive(Debug, Parser)]
#[command(name = "allot", version, max_term_width = 110)]
pub(crate) struct Cli {
    /// A daemon's socket; else `ALLOTMENT_SOCKET`, else `/run/allotment/allotment.sock`.
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// How a cluster's API server is reached; else KUBECONFIG, else `~/.kube/config`, else the pod's account.
    ///
    /// Commands that ask take the cluster where this or KUBECONFIG is given, the daemon where a socket is given or found, and
    /// else the cluster.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serves one machine: the socket, the ledger and a folder of objects, in one process.
    Standalone(StandaloneArgs),
    /// Serves a cluster: gives its pods their addresses, and keeps the ledger on its API server.
    Controller(ControllerArgs),
    /// Serves one node of a cluster: gives its pods what stands on them, and says what has ended.
    Agent(AgentArgs),
    /// Waits until the daemon serves.
    Ready {
        /// How long: `10s`, `1m 30s`.
        #[arg(long, default_value = "10s", value_parser = duration)]
        timeout: Duration,
    },
    /// Lists subnets and how full they are.
    #[command(visible_alias = "subnets")]
    Subnet(NamedArgs),
    /// Lists pools and how full they are.
    #[command(visible_alias = "pools")]
    Pool(NamedArgs),
    /// Lists reservations.
    #[command(visible_alias = "reservations")]
    Reservation(NamedArgs),
    /// Lists addresses that somebody has, or that are cooling.
    #[command(visible_alias = "ips")]
    Ip(IpArgs),
    /// Says who has an address.
    WhoHas {
        address: IpAddr,
        /// Only in this VRF.
        #[arg(long)]
        vrf: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Says by which rule an owner has what it has, or what stands in its way.
    Why {
        /// `Kind/namespace/name`, `namespace/name`, a name, a pod's UID or a container's id.
        owner: String,
        #[command(flatten)]
        output: Output,
    },
    /// Says what happened to an address or an owner: every change that the daemon remembers, oldest first.
    ///
    /// In a cluster the controller's audit log has every change.
    History {
        /// An address; or an owner as in `why`.
        #[arg(value_name = "ADDRESS|OWNER")]
        of: String,
        /// Only in this VRF.
        #[arg(long)]
        vrf: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Compares the ledger with itself and with the live network namespaces.
    Audit {
        #[command(flatten)]
        output: Output,
    },
    /// Says what is wrong with an installation in a cluster, and what to do about it.
    ///
    /// Definitions, policies and rights, controllers and agents, networks that name no subnet, subnets that overlap with services,
    /// nodes or pods. It changes nothing. `audit` looks at who has which address.
    Doctor(DoctorArgs),
    /// Says what would be wrong with these objects; changes nothing.
    ///
    /// Without a daemon the files are checked against themselves and each other; with one also against its objects and
    /// the addresses in use. All of them count as one edit. Where its own folder of objects is given, what that no longer
    /// declares would go.
    Check {
        /// YAML files, or folders of them; `-` for standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
    /// Sets addresses aside: writes the file of a Reservation.
    Reserve(ReserveArgs),
    /// Takes back what `reserve` has written.
    Unreserve(UnreserveArgs),
    /// Writes all objects and allocations as JSON lines.
    Export,
    /// Takes over what `export` wrote: all of it, or nothing.
    ///
    /// In a cluster this restores a ledger that was lost: it also begins to recover, as `allot recover` does, since a backup is
    /// older than what runs; and it prints the objects, so that they can be declared again where they are not.
    #[command(args_conflicts_with_subcommands = true)]
    Import {
        #[command(subcommand)]
        of: Option<ImportOf>,
        /// `-` for standard input.
        #[arg(default_value = "-")]
        file: PathBuf,
        #[command(flatten)]
        agreed: Agreed,
    },
    /// Begins to recover a cluster's ledger that was set back, such as by a restored backup of etcd.
    ///
    /// What is free in it is given to nobody until every node has said which addresses are in use there; what the ledger lacks
    /// is taken over. The controller begins this by itself when it sees that the API server was set back.
    Recover {
        #[command(flatten)]
        agreed: Agreed,
    },
    /// What only a person can know of a node.
    Node {
        #[command(subcommand)]
        act: NodeAct,
    },
    /// Frees an address of a cluster although nothing proves that it is no longer used.
    Release {
        address: IpAddr,
        /// Without proof: there is no other way to release by hand.
        #[arg(long, required = true)]
        force: bool,
        /// Only in this VRF.
        #[arg(long)]
        vrf: Option<String>,
        #[command(flatten)]
        agreed: Agreed,
    },
    /// Puts the CNI plugin, and a network's configuration, where a node's container runtime looks for them.
    ///
    /// Whole and at once, so that it may be run while pods start and stop; what is there already as it should be is left alone.
    InstallCni(InstallCniArgs),
    /// Prints the definitions of our objects (CRDs) as YAML: `allot crds | kubectl apply -f -`.
    ///
    /// They come before anything else in a cluster. No daemon and no cluster is asked.
    Crds,
    /// Prints the admission policies that keep our objects and annotations from others: `allot policies | kubectl apply -f -`.
    ///
    /// The controller alone writes grants, refusals and the ledger; an agent writes the object of its own node alone; nobody
    /// deletes the ledger or our definitions. Whoever is allowed by RBAC to `repair`
    /// addressblocks.allotment.dev, as administrators are, may write all of them. `allot policies | kubectl delete -f -`
    /// lifts them, before everything is removed for good. Where the API has no `MutatingAdmissionPolicy` (before Kubernetes 1.36)
    /// a copy of a pod with a grant is refused instead of stripped.
    Policies {
        /// The user that the controller is.
        #[arg(long, default_value = allotment_api::CONTROLLER, value_name = "USER")]
        controller: Principal,
        /// The user that all agents are, or a group that they are in.
        #[arg(long, default_value = allotment_api::AGENTS, value_name = "GROUP")]
        agents: Principal,
        /// Where the API server finds the webhook of `allot controller --webhook`: its service as NAMESPACE/NAME[:PORT], or
        /// <https://HOST:PORT>.
        ///
        /// Prints its configuration too: the API server then asks it about subnets, pools and reservations, and takes
        /// everything while it is away.
        #[arg(long, value_name = "WHERE")]
        webhook: Option<WebhookAddress>,
        /// Certificates, PEM, of those who signed the webhook's certificate, where it is one of yours.
        #[arg(long, value_name = "FILE", requires = "webhook")]
        webhook_ca: Option<PathBuf>,
    },
    /// Prints a page of the reference.
    #[command(hide = true)]
    Reference { page: Page },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImportOf {
    /// Takes over the addresses that Whereabouts has given, of its pools in a cluster.
    ///
    /// Without SUBNETS it changes nothing, and prints the subnets and pools that its networks would draw from. With the file of
    /// them, read and edited, it puts them in force with every address where it is: those of pods that are there are theirs
    /// in the ledger, the others are set aside by Reservations, which it prints. From then on no network may use Whereabouts.
    Whereabouts(WhereaboutsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct WhereaboutsArgs {
    /// The objects to be in force, as YAML.
    #[arg(value_name = "SUBNETS")]
    pub(crate) subnets: Option<PathBuf>,
    /// Reads Whereabouts' objects, networks, pods and nodes from this file instead of the cluster, as `kubectl get -o yaml` wrote
    /// them.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// As `allot controller` has it: whose addresses outlive their pods.
    #[arg(long = "retain", value_name = "KIND.GROUP=HOW")]
    pub(crate) retain: Vec<OwnerKind>,
    /// As `allot controller` has it.
    #[arg(long, default_value = MULTUS_NAMESPACE, value_name = "NAMESPACE")]
    pub(crate) multus_namespace: String,
    #[command(flatten)]
    pub(crate) agreed: Agreed,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeAct {
    /// Takes a machine that is gone for switched off: what its pods had there is freed once they are gone.
    ///
    /// Deleting a Node frees nothing by itself, since the machine may run on. If a node of this name is there, earlier machines of
    /// its name are meant.
    Forget {
        /// The node's name.
        name: String,
        #[command(flatten)]
        agreed: Agreed,
    },
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Agreed {
    /// Does not ask: for scripts, which have to know what they do.
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
}

/// A page of the reference that is written from this program.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Page {
    Objects,
    Annotations,
    Internal,
    Plugin,
    Codes,
    Commands,
    Metrics,
    Events,
}

#[derive(Debug, Args)]
pub(crate) struct ReserveArgs {
    /// The reservation's name.
    pub(crate) name: String,
    /// Addresses, `a-b` ranges or CIDRs of the subnet.
    #[arg(required = true, value_name = "ADDRESS")]
    pub(crate) addresses: Vec<IpRange>,
    #[arg(long)]
    pub(crate) subnet: String,
    #[command(flatten)]
    pub(crate) purpose: Purpose,
    /// The daemon's folder of objects.
    #[arg(long, default_value = OBJECTS, value_name = "DIR")]
    pub(crate) objects: PathBuf,
}

/// At least one of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Purpose {
    /// Whom they are for: `Kind/namespace/name`. Without it, nobody.
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// Why nobody else gets them.
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct UnreserveArgs {
    /// The reservation's name.
    pub(crate) name: String,
    /// The daemon's folder of objects.
    #[arg(long, default_value = OBJECTS, value_name = "DIR")]
    pub(crate) objects: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct StandaloneArgs {
    /// The folder of YAML objects; need not exist yet.
    #[arg(long, default_value = OBJECTS, value_name = "DIR")]
    pub(crate) objects: PathBuf,
    /// The folder of the ledger.
    #[arg(long, default_value = "/var/lib/allotment", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// How long changes of addresses are remembered for `allot history`, as long as they are not very many; `0s`: not at all.
    #[arg(long, default_value = "720h", value_parser = duration, value_name = "DURATION")]
    pub(crate) history: Duration,
    /// Serves /metrics, /healthz and /readyz here; off when not given.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<SocketAddr>,
    /// How log lines are written to standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log: LogFormat,
}

#[derive(Debug, Args)]
pub(crate) struct ControllerArgs {
    /// A kind of workload whose pods keep their addresses, besides a `StatefulSet` and virtual machines.
    ///
    /// `StatefulSet.apps.kruise.io=ordinal`: under the pod's name, which ends in a number. `Job.batch.volcano.sh=pod`: under
    /// the pod's name. `Machine.example.org=controller`: under the workload's own name, for one pod at a time. May be given
    /// several times.
    #[arg(long = "retain", value_name = "KIND.GROUP=HOW")]
    pub(crate) retain: Vec<OwnerKind>,
    /// The CNI configuration of the cluster's default network, where its `ipam.type` is `allotment`.
    ///
    /// Every pod is then given its address as soon as it is bound. Without it nodes ask for it as CNI is called, and only pods
    /// with annotations of ours have it before.
    #[arg(long, value_name = "FILE")]
    pub(crate) default_network: Option<PathBuf>,
    /// Where Multus looks for the networks of `v1.multus-cni.io/default-network`.
    #[arg(long, default_value = MULTUS_NAMESPACE, value_name = "NAMESPACE")]
    pub(crate) multus_namespace: String,
    /// Serves an admission webhook for subnets, pools and reservations here, which refuses what contradicts others or holders
    /// at once; off when not given. Without it the object's condition says so.
    ///
    /// Whoever leads makes the certificate, renews it, and writes it into the configuration that `allot policies --webhook`
    /// prints.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) webhook: Option<SocketAddr>,
    /// The webhook's certificate, PEM, with those between it and its authority, where it is to have one of yours; read anew
    /// for each connection.
    #[arg(long, value_name = "FILE", requires = "webhook", requires = "webhook_key")]
    pub(crate) webhook_cert: Option<PathBuf>,
    /// The certificate's key, PEM.
    #[arg(long, value_name = "FILE", requires = "webhook", requires = "webhook_cert")]
    pub(crate) webhook_key: Option<PathBuf>,
    /// Serves /metrics, /healthz and /readyz here; off when not given.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<SocketAddr>,
    /// How log lines are written to standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log: LogFormat,
}

#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// The name of the node's Node object.
    #[arg(long, env = "NODE_NAME", hide_env_values = true, value_name = "NAME")]
    pub(crate) node: String,
    /// The folder of the journal. It has to outlive the agent.
    #[arg(long, default_value = "/var/lib/allotment/agent", value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// Gives the node up: serves no new ADD, and once nothing on the node has an address of ours, deletes this file; to be
    /// given more than once, a network's configuration first and the plugin last.
    ///
    /// It is ready when they are gone, goes on until it is stopped, and takes its journal along.
    #[arg(long, value_name = "FILE")]
    pub(crate) retire: Vec<PathBuf>,
    /// Serves /metrics, /healthz and /readyz here; off when not given.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<SocketAddr>,
    /// How log lines are written to standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Output {
    /// How the answer is written.
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
    Yaml,
}

#[derive(Debug, Args)]
pub(crate) struct NamedArgs {
    /// Only these.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct IpArgs {
    /// Only these addresses.
    #[arg(value_name = "ADDRESS")]
    pub(crate) addresses: Vec<IpAddr>,
    #[arg(long)]
    pub(crate) vrf: Option<String>,
    #[arg(long)]
    pub(crate) subnet: Option<String>,
    #[arg(long)]
    pub(crate) pool: Option<String>,
    /// As in `why`.
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// Only these states, instead of active, reserved and cooling; `free` lists addresses that cooled and still remember
    /// their last owner.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) state: Vec<StateFilter>,
    #[arg(long)]
    pub(crate) node: Option<String>,
    #[arg(long)]
    pub(crate) network: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateFilter {
    Active,
    Reserved,
    Cooling,
    Free,
}

impl StateFilter {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            StateFilter::Active => "active",
            StateFilter::Reserved => "reserved",
            StateFilter::Cooling => "cooling",
            StateFilter::Free => "free",
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write it as `10s` or `1m 30s`");
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(parsed).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_as_people_write_them() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "10", "-3s", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_socket_may_stand_on_either_side_of_the_command() {
        for line in [&["allot", "--socket", "/x", "audit"], &["allot", "audit", "--socket", "/x"]] {
            assert_eq!(Cli::parse_from(line).socket, Some(PathBuf::from("/x")));
        }
    }
}
