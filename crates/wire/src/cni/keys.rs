//! Every key that is read, for the reference. Tests hold the tables against the code that reads.

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyDoc {
    /// Where it stands; `[]` is each item of a list.
    pub path: &'static str,
    /// What its value is.
    pub form: &'static str,
    pub meaning: &'static str,
}

/// Keys that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyGroup {
    pub title: &'static str,
    pub about: &'static str,
    pub keys: &'static [KeyDoc],
    /// A configuration with these keys in it; empty where another group's has them.
    pub example: &'static str,
}

macro_rules! keys {
    ($($path:literal: $form:literal, $meaning:literal;)*) => {
        &[$(KeyDoc { path: $path, form: $form, meaning: $meaning }),*]
    };
}

/// The network configuration.
pub const CONFIG: &[KeyGroup] = &[
    KeyGroup {
        title: "Our own keys",
        about: "The network takes its addresses from Subnets and IPPools. Every key but `type` may be left out: without \
                `subnets` and `pools` those Subnets serve that name the network, else those bound to the namespace, else \
                the default one.",
        keys: keys! {
            "ipam.type": "text",
                "The plugin's file name, `allotment`.";
            "ipam.subnets": "list of names",
                "Subnets, in the order in which they are tried: when one is full, the next one serves.";
            "ipam.pools": "list of names",
                "IPPools, tried after `subnets`. A pool without selectors serves only those who name it.";
            "ipam.ips": "list of addresses",
                "Addresses for those who use the network: each takes the first in each family that it can have. A prefix \
                 length may follow; it has to be the subnet's.";
            "ipam.family": "`IPv4`, `IPv6`",
                "Addresses of this family only; without it one of each family that the subnet has.";
            "ipam.familyPolicy": "`require`, `prefer`",
                "`require`, the default: refused when the family is full. `prefer`: the other one serves then.";
            "ipam.socket": "absolute path",
                "The daemon's socket; else `ALLOTMENT_SOCKET`, else `/run/allotment/allotment.sock`.";
        },
        example: include_str!("keys/ours.json"),
    },
    KeyGroup {
        title: "Keys of `host-local`",
        about: "A section with any of these keys, or with `runtimeConfig.ipRanges`, is `host-local`'s, and is done as \
                `host-local` does it: one address from each set of ranges, the next after the last handed out, nothing \
                cools. Addresses are unique for each network name and `dataDir`, in a VRF of their own \
                (`host-local/NETWORK`), whose Subnet is made from the ranges and follows them when they are edited. These \
                keys cannot be mixed with our own (code 7). `gateway` keeps that address back.",
        keys: keys! {
            "ipam.ranges": "list of lists of ranges",
                "One address comes from each set. A set has ranges of one family.";
            "ipam.ranges[][].subnet": "CIDR",
                "The network of the range.";
            "ipam.ranges[][].rangeStart": "address",
                "The first address; the network's first usable one unless given.";
            "ipam.ranges[][].rangeEnd": "address",
                "The last address; the network's last usable one unless given.";
            "ipam.ranges[][].gateway": "address",
                "The gateway; the network's first usable address unless given.";
            "ipam.subnet": "CIDR",
                "With `rangeStart`, `rangeEnd` and `gateway`: one more set of one range, before those of `ranges`.";
            "ipam.rangeStart": "address", "As in a range.";
            "ipam.rangeEnd": "address", "As in a range.";
            "ipam.gateway": "address", "As in a range.";
            "ipam.routes": "list of routes",
                "Routes for the result, passed on with every key that they have.";
            "ipam.routes[].dst": "CIDR", "Where to.";
            "ipam.routes[].gw": "address", "The router.";
            "ipam.dataDir": "path",
                "Where `host-local` would keep its files. Nothing is kept there; networks with different folders know \
                 nothing of each other.";
            "ipam.resolvConf": "path",
                "A file in the form of `resolv.conf` that gives the result's DNS settings.";
        },
        example: include_str!("keys/host-local.json"),
    },
    KeyGroup {
        title: "Keys of `static`",
        about: "A section with `addresses` or `dns`, or with `routes` alone, or none but `\"type\": \"static\"`, is `static`'s: every attachment gets exactly \
                these addresses, replaced by those of `args.cni.ips`, and these by those of `runtimeConfig.ips`. They are \
                recorded, and an address that somebody has on the same network is refused (code 101). These keys cannot \
                be mixed with our own (code 7).",
        keys: keys! {
            "ipam.addresses": "list", "Addresses.";
            "ipam.addresses[].address": "address with prefix length", "The address.";
            "ipam.addresses[].gateway": "address", "Its gateway.";
            "ipam.dns": "object", "DNS settings for the result.";
            "ipam.dns.nameservers": "list of text", "The servers to ask.";
            "ipam.dns.domain": "text", "The local domain.";
            "ipam.dns.search": "list of text", "Domains that short names are looked up in.";
            "ipam.dns.options": "list of text", "Options of the resolver.";
        },
        example: include_str!("keys/static.json"),
    },
    KeyGroup {
        title: "What one attachment asks for: `args.cni`",
        about: "For one attachment, from whoever starts the container (Multus passes on its `cni-args`). `subnets`, `pools` \
                and `family` replace those of `ipam`; `subnets` and `pools` together, where one of them is given.",
        keys: keys! {
            "args.cni.subnets": "list of names", "As in `ipam`.";
            "args.cni.pools": "list of names", "As in `ipam`.";
            "args.cni.ips": "list of addresses", "All of these addresses, or none.";
            "args.cni.family": "`IPv4`, `IPv6`", "As in `ipam`.";
            "args.cni.familyPolicy": "`require`, `prefer`", "As in `ipam`.";
            "args.cni.mac": "MAC", "The MAC, unique in the VRF.";
        },
        example: "",
    },
    KeyGroup {
        title: "What the runtime asks for: `runtimeConfig`",
        about: "The runtime fills it in where the plugin's `capabilities` say so: \
                `\"capabilities\": {\"ips\": true, \"mac\": true}`.",
        keys: keys! {
            "runtimeConfig.ips": "list of addresses", "All of these addresses, or none.";
            "runtimeConfig.mac": "MAC", "The MAC, unique in the VRF.";
            "runtimeConfig.ipRanges": "list of lists of ranges", "Sets of ranges, before those of `ipam`.";
        },
        example: "",
    },
    KeyGroup {
        title: "The rest of the network configuration",
        about: "Keys that are not listed on this page are passed over.",
        keys: keys! {
            "cniVersion": "text", "One of the versions above. Without it the configuration is of 0.1.0, which is not spoken.";
            "name": "text", "The network's name: letters, digits, `_`, `.` and `-`, with a letter or digit first.";
            "type": "text", "The main plugin. Under `ipvlan`, whose interfaces share one MAC, none is recorded.";
            "ipam": "object", "The section above.";
            "args": "object", "`args.cni`, above.";
            "args.cni": "object", "Above.";
            "runtimeConfig": "object", "Above.";
            "prevResult": "object", "CHECK: what ADD answered.";
            "prevResult.ips": "list", "CHECK: the addresses that have to be recorded; without it there has to be one.";
            "prevResult.ips[].address": "address with prefix length", "The address.";
            "cni.dev/valid-attachments": "list",
                "GC: what is still there. Everything else on this network is released; without the list, nothing.";
            "cni.dev/valid-attachments[].containerID": "text", "The container.";
            "cni.dev/valid-attachments[].ifname": "text", "The interface.";
            "cni.dev/attachments": "list", "GC: the list's older name.";
        },
        example: "",
    },
];

/// `CNI_ARGS`.
pub const ARGS: &[KeyDoc] = keys! {
    "K8S_POD_UID": "text", "The owner is this Pod; without it the owner is a Container.";
    "K8S_POD_NAMESPACE": "text", "The pod's namespace, which Subnets and IPPools may be bound to.";
    "K8S_POD_NAME": "text", "The owner's name; without it, the container's id.";
    "IP": "addresses, separated by commas", "All of these addresses, or none.";
    "GATEWAY": "addresses, separated by commas", "With the keys of `static`: the gateways of the addresses in their networks.";
    "MAC": "MAC", "The MAC, unique in the VRF.";
};

#[cfg(test)]
mod tests;
