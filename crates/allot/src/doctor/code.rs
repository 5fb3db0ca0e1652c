//! What the doctor can find.

use allotment_wire::Severity;

use crate::serve::audit::code::{FindingCode, findings};

findings! {
    AGENT_UNREADY = "agent-unready", Error,
        "A node's agent, or what puts the plugin on the node, is not ready; pods there may get no addresses.",
        "Read the pod's log with `kubectl logs`, of the container that the finding names.";
    AGENTS_MISSING = "agents-missing", Warning,
        "There are no agents in this namespace.",
        "Install the manifests or the chart; or name the namespace with --namespace.";
    CONTROLLER_MISSING = "controller-missing", Warning,
        "There are no controllers in this namespace.",
        "Install the manifests or the chart; or name the namespace with --namespace.";
    CONTROLLER_UNREADY = "controller-unready", Warning,
        "Fewer controllers are ready than are wanted: nobody may be there to take over.",
        "`kubectl describe` the Deployment's pods, and read their logs.";
    COPIES_REFUSED = "copies-refused", Warning,
        "The policy that strips grants from copies of pods is not in force, so copies are refused instead.",
        "From Kubernetes 1.36 on: `allot policies | kubectl apply -f -`. Before, leave the annotations out of a copy.";
    DEFINITION_MISSING = "definition-missing", Error,
        "A definition of our objects is missing.",
        "`allot crds | kubectl apply --server-side -f -`. If it was there: `allot recover` once controllers run again.";
    DEFINITION_OTHER = "definition-other", Error,
        "A definition is not that of this version of `allot`.",
        "`allot crds | kubectl apply --server-side -f -`, with the version of `allot` that the controllers have.";
    NETWORK_BROKEN = "network-broken", Error,
        "A network's configuration means Allotment and cannot be followed.",
        "Correct the NetworkAttachmentDefinition's spec.config.";
    NETWORK_UNKNOWN = "network-unknown", Error,
        "A network names a subnet or pool that there is not: its pods are refused.",
        "Declare it, or correct the `ipam` section of the network.";
    NETWORK_WITHOUT_SUBNET = "network-without-subnet", Warning,
        "Nothing says which subnet a network takes: only pods that name one get addresses there.",
        "Name a subnet in its `ipam` section, or the network under a subnet's `networks`; or make one the default.";
    NO_LEADER = "no-leader", Error,
        "No controller leads, so nobody gets an address.",
        "See that controllers run and may write their Lease; they say why in their logs.";
    NODE_GONE = "node-gone", Warning,
        "A node is gone from the API server, and its pods' addresses are not proved to be given up.",
        "If the machine is gone for good: `allot node forget NAME`.";
    NODE_SILENT = "node-silent", Error,
        "No agent has said anything for a node: its pods get no addresses.",
        "See that an agent runs there, and its log; taints keep a DaemonSet away unless it tolerates them.";
    NOT_IN_FORCE = "not-in-force", Error,
        "A subnet, pool or reservation is not in force as it is declared.",
        "Its condition says why; correct the object.";
    NOT_INSTALLED = "not-installed", Error,
        "Nothing of Allotment is in this cluster.",
        "`kubectl apply --server-side -f deploy/manifests/allotment.yaml`, or install the chart. Is it the right cluster?";
    OVERLAPS_NODES = "overlaps-nodes", Error,
        "A subnet would hand out a node's own address.",
        "Put it under the subnet's `exclude`, or reserve it.";
    OVERLAPS_PODS = "overlaps-pods", Warning,
        "A subnet overlaps with what the cluster's own network hands out on a node.",
        "Take another CIDR, or another VRF if they can never meet. Harmless where Allotment serves that network itself.";
    OVERLAPS_SERVICES = "overlaps-services", Error,
        "A subnet overlaps with the addresses of services: what is sent to them never arrives.",
        "Take another CIDR, or another VRF if they can never meet.";
    POLICY_MISSING = "policy-missing", Error,
        "A policy is not in force: others may write what only controllers and agents may.",
        "`allot policies | kubectl apply -f -`.";
    POLICY_OTHER = "policy-other", Error,
        "A policy is not that of this version, or names other accounts than those that controllers and agents run as.",
        "`allot policies --controller USER --agents USER | kubectl apply -f -`, with the accounts that they run as.";
    RIGHT_MISSING = "right-missing", Error,
        "An account lacks a right that its program needs.",
        "Apply the roles of the manifests, or of the chart, again.";
    UNSEEN = "unseen", Error,
        "This could not be looked at, so nothing is known of it.",
        "Run it as somebody who may read it, such as an administrator.";
    WEBHOOK_UNASKED = "webhook-unasked", Warning,
        "The webhook is not asked about subnets, pools and reservations: what is wrong with one is said by its condition alone.",
        "Apply the manifests or the chart again; the log of the controller that leads says what stands in its way.";
}
