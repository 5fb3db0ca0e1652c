//! What stands on pods and namespaces: the keys, what people write under them, and what the controller does.

use allotment_api::annotation::{GRANT, IPS, MAC, POOLS, REFUSAL, REQUEST, SUBNETS};

use super::table;

/// A key, who writes it where, and what it says.
const KEYS: [(&str, &str, &str); 7] = [
    (
        SUBNETS,
        "you, on a pod, a pod template or a namespace",
        "Subnets for the primary interface, in the order in which they are tried: `rack-a, rack-b`. On a namespace: for all \
         its pods that name none themselves; also on networks whose definition names none and that no subnet names.",
    ),
    (POOLS, "you, on a pod or pod template", "Pools for the primary interface, in order."),
    (
        IPS,
        "you, on a pod or pod template",
        "Addresses for the primary interface: `10.40.3.7, fd00:40::7`. On a pod of its own: all of them. On a StatefulSet: the \
         one at the ordinal's place in the list. On any other owner, such as a Deployment: each pod takes one of the list.",
    ),
    (
        MAC,
        "you, on a pod or pod template",
        "The MAC of the primary interface, or a list of them, of which each pod takes one.",
    ),
    (REQUEST, "you, on a pod or pod template", "What each interface or network wants; see below."),
    (GRANT, "the controller, on the pod", "What the pod was given; see [PodGrant](#podgrant)."),
    (
        REFUSAL,
        "the controller, on the pod",
        "Why the pod has nothing yet; see [PodRefusal](#podrefusal). It goes when the pod is granted.",
    ),
];

/// The keys of an entry of `allotment.dev/request`.
const ENTRY: [(&str, &str, &str); 10] = [
    ("interface", "text", "The interface that it is about, by its name in the pod."),
    (
        "network",
        "name of a network",
        "Or the network: every interface on it. A name without namespace is in the pod's. With neither, the primary interface is \
         meant.",
    ),
    ("subnets", "list of text", "Subnets, in the order in which they are tried."),
    ("pools", "list of text", "Pools, in the order in which they are tried."),
    (
        "ips",
        "list of addresses",
        "Addresses, as with the short form. With a prefix length it has to be the subnet's.",
    ),
    ("mac", "MAC, or list of MACs", "The interface's MAC."),
    ("family", "`IPv4`, `IPv6`", "Addresses of this family only."),
    (
        "familyPolicy",
        "`require`, `prefer`",
        "With `prefer` the other family serves where this one is full. `require` unless given.",
    ),
    (
        "keep.onScaleDown",
        "`free`, `keep`",
        "Of owners whose addresses outlive their pods: what becomes of them when the owner is scaled below this pod for good. \
         `free` unless given.",
    ),
    (
        "keep.onOwnerGone",
        "`free`, `keep`",
        "The same for when the owner itself is gone, as its last pod said it: `keep` until an owner of the same kind and name is \
         there again, or a person releases it. `free` unless given.",
    ),
];

const EXAMPLE: &str = r"metadata:
  annotations:
    allotment.dev/request: |
      - interface: net1
        subnets: [rack-a, rack-b]
        ips: [10.40.3.7]
      - network: telecom/macvlan-b
        pools: [media]
        family: IPv6
        keep: {onScaleDown: keep}
";

pub(super) fn page() -> String {
    let mut page = "# Annotations\n\n\
         What a pod asks for, and what it was given. A key is written by one side alone: nobody but the controller can \
         write a grant or a refusal once the policies of `allot policies` are in force. Multus' own `ips`, `mac`, \
         `interface` and `cni-args` in `k8s.v1.cni.cncf.io/networks` are honoured too.\n\n"
        .to_owned();
    let rows = KEYS.map(|(key, who, what)| [format!("`{key}`"), who.to_owned(), what.to_owned()]);
    table(&mut page, ["key", "who writes it", "what it says"], rows);
    page.push_str(
        "\n## Request\n\nA list, as JSON or YAML. A key that is not known is refused, and so is an entry for an interface or \
         network that the pod does not have. A list in it has at most 1024 items, and 64 KiB of any annotation are read.\n\n",
    );
    let rows = ENTRY.map(|(key, form, what)| [format!("`{key}`"), form.to_owned(), what.to_owned()]);
    table(&mut page, ["key", "value", "meaning"], rows);
    page.push_str("\n```yaml\n");
    page.push_str(EXAMPLE);
    page.push_str("```\n");
    page.push_str(&allotment_api::annotation_reference());
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use allotment_wire::cni::Wish;

    use super::*;

    #[test]
    fn every_key_of_a_wish_is_told() {
        let told: BTreeSet<&str> = ENTRY.iter().map(|(key, ..)| *key).collect();
        for key in Wish::KEYS {
            assert!(told.contains(key), "{key}");
        }
    }

    /// What reads the entries is asked for the keys that it knows.
    #[test]
    fn the_controller_reads_these_keys() {
        let source = include_str!("../../../controller/src/request/entry.rs");
        for (key, ..) in ENTRY.iter().filter(|(key, ..)| !Wish::KEYS.contains(key)) {
            let last = key.rsplit('.').next().unwrap_or(key);
            assert!(source.contains(&format!("\"{last}\"")), "{key}");
        }
    }
}
