//! What an audit can find.

use allotment_wire::Severity;

/// One kind of finding.
#[derive(Debug)]
pub(crate) struct FindingCode {
    pub(crate) name: &'static str,
    pub(crate) severity: Severity,
    pub(crate) meaning: &'static str,
    /// What a person does about it.
    pub(crate) remedy: &'static str,
}

/// Constants and table come from one list, so that no finding lacks its line in the reference.
macro_rules! findings {
    ($($constant:ident = $name:literal, $severity:ident, $meaning:literal, $remedy:literal;)*) => {
        $(
            #[doc = $meaning]
            pub(crate) const $constant: FindingCode = FindingCode {
                name: $name, severity: Severity::$severity, meaning: $meaning, remedy: $remedy,
            };
        )*

        pub(crate) const ALL: &[FindingCode] = &[$($constant),*];
    };
}

pub(crate) use findings;

findings! {
    DOUBLED = "doubled", Error,
        "Somebody else has the same: an address live in another place than its holder's, one MAC on two interfaces, two \
         addresses of a family for one interface in one subnet, or two records of one address.",
        "End one of the two and start it again; the finding names them.";
    ENDING = "ending", Warning,
        "In a cluster: the address belongs to a pod that is gone or has finished, and is not released yet.",
        "The finding says what keeps it. Where its node is gone for good: the out-of-service taint, or `allot node forget NAME`.";
    NO_NAMESPACE = "no-namespace", Error,
        "The address is active, and its holder's network namespace is gone.",
        "Nothing for a minute: the sweep releases it after two looks, 30 s apart. If it stays, read the daemon's log.";
    OUTSIDE_SUBNET = "outside-subnet", Error,
        "Somebody holds an address that no subnet of its VRF has.",
        "Declare a subnet around it, or end its holder.";
    OVERDUE_COOLING = "overdue-cooling", Warning,
        "The address was released at a time that this machine's clock has not reached yet: it cools until then.",
        "Set the machine's clock right.";
    SHOWN = "shown", Error,
        "In a cluster: a pod's grant shows an address that the ledger does not give to it.",
        "Delete the pod: it is granted anew. Many of them after etcd was restored: `allot recover`.";
    UNRECORDED = "unrecorded", Error,
        "An address of a subnet is on an interface, or a node's agent says that a pod uses it, and the ledger gives it to nobody.",
        "End what uses it, or put it under the subnet's `exclude`.";
}
