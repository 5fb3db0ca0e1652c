//! The CNI plugin: its configuration, what it is called with, and where it looks for the daemon.

use std::fmt::Write;

use allotment_wire::cni::Version;
use allotment_wire::cni::keys::{ARGS, CONFIG, KeyDoc};
use allotment_wire::{DEFAULT_SOCKET, PENDING_DEL, SOCKET_ENV};

use super::table;

/// What the plugin is called for, the first version that has it, and what it does.
const VERBS: [(&str, Version, &str); 5] = [
    (
        "ADD",
        Version::V0_3_0,
        "Grants addresses, durably, and answers with addresses, gateways, routes and DNS. The same attachment again gets the same answer. Daemon away: 11.",
    ),
    (
        "DEL",
        Version::V0_3_0,
        "Releases what the container's interface has; succeeds when there is nothing to release, however broken the configuration and with no `CNI_NETNS`. Daemon away: left for later, see below.",
    ),
    (
        "CHECK",
        Version::V0_4_0,
        "Compares the record with `prevResult`; 103 where they differ. Daemon away: 11.",
    ),
    (
        "GC",
        Version::V1_1_0,
        "Releases what this network's name has and the list of valid attachments lacks. Daemon away: 11.",
    ),
    (
        "STATUS",
        Version::V1_1_0,
        "Succeeds while an ADD can work; 50 when the daemon is away or its ledger cannot be written. A full subnet is no reason.",
    ),
];

/// What the plugin reads from the environment.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("CNI_COMMAND", "The verb. All verbs but VERSION read the configuration from standard input."),
    ("CNI_CONTAINERID", "The container; for ADD, DEL and CHECK."),
    (
        "CNI_NETNS",
        "The container's network namespace; for ADD and CHECK. A DEL may have none, or one that is gone.",
    ),
    ("CNI_IFNAME", "The interface; for ADD, DEL and CHECK."),
    ("CNI_ARGS", "More words of the runtime: `KEY=VALUE;KEY=VALUE`, above."),
    (SOCKET_ENV, "The daemon's socket, where the configuration names none."),
];

pub(super) fn page() -> String {
    let versions = Version::ALL.map(Version::as_str).join(", ");
    let mut page = format!(
        "# The CNI plugin `allotment`\n\n\
         An IPAM plugin: the `type` of the `ipam` section of any main plugin's configuration. It is one static file, and \
         asks the daemon for everything but VERSION.\n\n\
         ## Versions and verbs\n\n\
         CNI {versions}. VERSION is answered without the daemon.\n\n"
    );
    let rows = VERBS.map(|(verb, since, what)| [verb.to_owned(), since.to_string(), what.to_owned()]);
    table(&mut page, ["verb", "since", "what it does"], rows);
    page.push_str("\n[Codes](codes.md#cni-errors) has every error.\n");
    for group in CONFIG {
        write!(page, "\n## {}\n\n{}\n\n", group.title, group.about).expect("a string takes all");
        keys(&mut page, "key", group.keys);
        if !group.example.is_empty() {
            write!(page, "\n```json\n{}```\n", group.example).expect("a string takes all");
        }
    }
    page.push_str(
        "\n## `CNI_ARGS`\n\n`KEY=VALUE;KEY=VALUE`. A key may repeat, and the last one wins. Other keys are passed over, with \
         or without `IgnoreUnknown`.\n\n",
    );
    keys(&mut page, "key", ARGS);
    page.push_str(
        "\n## Who asks first\n\n\
         Addresses: `runtimeConfig.ips`, else `args.cni.ips`, else `IP` in `CNI_ARGS`, else `ipam.ips`. MAC: \
         `runtimeConfig.mac`, else `args.cni.mac`, else `MAC` in `CNI_ARGS`, else what the interface has. Where one place \
         says something, those behind it are not looked at.\n\n## Environment\n\n",
    );
    let rows = ENVIRONMENT.map(|(name, meaning)| [format!("`{name}`"), meaning.to_owned()]);
    table(&mut page, ["variable", "meaning"], rows);
    write!(
        page,
        "\n## The socket, and a daemon that is away\n\n\
         `ipam.socket`, else `{SOCKET_ENV}`, else `{DEFAULT_SOCKET}`: an absolute path of at most 107 bytes. Only the user \
         that the daemon runs as may ask there.\n\n\
         While the daemon is away, a DEL is written to a file in `{PENDING_DEL}/` beside the socket and succeeds; it fails \
         with 11 only if that cannot be done. The daemon does what waits there before it answers the first ADD. A file that \
         makes no sense is renamed to `*.bad`, and the log says so.\n"
    )
    .expect("a string takes all");
    page
}

fn keys(page: &mut String, head: &str, keys: &[KeyDoc]) {
    let rows =
        keys.iter().map(|doc| [format!("`{}`", doc.path), doc.form.to_owned(), doc.meaning.to_owned()]);
    table(page, [head, "value", "meaning"], rows);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The plugin uses none of our crates, so its source is asked.
    #[test]
    fn the_plugin_reads_these_variables_and_no_others() {
        let sources = [
            include_str!("../../../plugin/src/call.rs"),
            include_str!("../../../plugin/src/config.rs"),
            include_str!("../../../plugin/src/main.rs"),
        ];
        let names = |source: &'static str| {
            let code = source.split("#[cfg(test)]").next().unwrap_or_default();
            let quoted = code.split('"').skip(1).step_by(2);
            quoted.filter(|text| text.starts_with("CNI_") || text.starts_with("ALLOTMENT_"))
        };
        let is_name = |text: &&str| text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        let read: BTreeSet<&str> = sources.into_iter().flat_map(names).filter(is_name).collect();
        assert_eq!(read, ENVIRONMENT.map(|(name, _)| name).into());
    }

    #[test]
    fn the_plugin_knows_these_verbs_versions_and_places() {
        let version = include_str!("../../../plugin/src/version.rs");
        let verbs = include_str!("../../../plugin/src/call.rs");
        for (verb, ..) in VERBS {
            assert!(verbs.contains(&format!("\"{verb}\" => Command::")), "{verb}");
        }
        for each in Version::ALL {
            assert!(version.contains(&format!("\"{each}\"")), "{each}");
        }
        assert!(include_str!("../../../plugin/src/config.rs").contains(&format!("\"{DEFAULT_SOCKET}\"")));
        assert!(include_str!("../../../plugin/src/pending.rs").contains(&format!("\"{PENDING_DEL}\"")));
    }
}
