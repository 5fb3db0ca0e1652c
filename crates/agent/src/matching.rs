//! Which of a pod's attachments an ADD is (K3).

use allotment_api::annotation::GrantedAttachment;

/// The pod's primary interface, as every runtime calls it.
pub(crate) const PRIMARY: &str = "eth0";

/// The entry for `interface` on the network that its configuration calls `network`; `taken` are the entries' interfaces
/// that the sandbox's other interfaces were given.
///
/// The network decides. Of several uses of one network the interface's name decides if a person gave it, else the order:
/// the numbers in `net1`, `net2` are shifted by networks that all pods get.
pub(crate) fn find<'a>(
    entries: &'a [GrantedAttachment],
    network: &str,
    interface: &str,
    taken: &[&str],
) -> Option<&'a GrantedAttachment> {
    let is_primary = interface == PRIMARY;
    let free = |entry: &&GrantedAttachment| {
        (entry.interface == PRIMARY) == is_primary && !taken.contains(&entry.interface.as_str())
    };
    let mut uses = entries.iter().filter(|entry| entry.config == network).filter(free);
    let exact = uses.clone().find(|entry| entry.interface == interface);
    match exact {
        Some(entry) if !is_numbered(interface) => Some(entry),
        _ => uses.next().or_else(|| {
            // Nobody but the node knows what the default network is called.
            let mut unnamed = entries.iter().filter(|entry| entry.config.is_empty()).filter(free);
            unnamed.find(|entry| entry.interface == interface)
        }),
    }
}

/// `net1`, `net2`, …: a name that Multus made of the network's place.
fn is_numbered(interface: &str) -> bool {
    let number = interface.strip_prefix("net");
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries, network, interface, taken, found.
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str, &'a [&'a str], Option<&'a str>);

    fn entries(list: &[(&str, &str)]) -> Vec<GrantedAttachment> {
        let entry = |&(config, interface): &(&str, &str)| GrantedAttachment {
            interface: interface.to_owned(),
            config: config.to_owned(),
            ..GrantedAttachment::default()
        };
        list.iter().map(entry).collect()
    }

    #[test]
    fn k3_by_network_then_its_nth_use_then_the_interface() {
        let two = [("lan", "net1"), ("lan", "net2"), ("wan", "net3")];
        let named = [("lan", "data0"), ("lan", "net2"), ("lan", "data1")];
        let primary = [("", "eth0"), ("lan", "net1")];
        let rows: [Row<'_>; 15] = [
            (&two, "lan", "net1", &[], Some("net1")),
            (&two, "lan", "net2", &["net1"], Some("net2")),
            (&two, "wan", "net3", &["net1", "net2"], Some("net3")),
            // A network that all pods get came first.
            (&two, "lan", "net2", &[], Some("net1")),
            (&two, "lan", "net3", &["net1"], Some("net2")),
            (&two, "wan", "net4", &["net1", "net2"], Some("net3")),
            (&two, "lan", "net4", &["net1", "net2"], None),
            (&two, "man", "net1", &[], None),
            (&named, "lan", "data1", &[], Some("data1")),
            (&named, "lan", "data0", &["data1"], Some("data0")),
            (&named, "lan", "net2", &["data0"], Some("net2")),
            (&primary, "cbr0", "eth0", &[], Some("eth0")),
            (&primary, "cbr0", "net2", &[], None),
            // The default network may be called as one of the others is.
            (&primary, "lan", "eth0", &[], Some("eth0")),
            (&[("lan", "net1")], "lan", "eth0", &[], None),
        ];
        for (given, network, interface, taken, expect) in rows {
            let given = entries(given);
            let found = find(&given, network, interface, taken).map(|entry| entry.interface.as_str());
            assert_eq!(found, expect, "{network} {interface} {taken:?}");
        }
    }
}
