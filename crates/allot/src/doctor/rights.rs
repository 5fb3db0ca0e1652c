//! What controllers and agents have to be allowed, as the manifests' roles give it. A test holds them together.

/// Verbs on resources of one API group.
pub(super) struct Right {
    pub(super) group: &'static str,
    /// With its subresource: `subnets/status`.
    pub(super) resources: &'static [&'static str],
    pub(super) verbs: &'static [&'static str],
    /// The only objects that it is for; none: all.
    pub(super) names: &'static [&'static str],
    /// Only in the namespace of the installation.
    pub(super) is_local: bool,
}

const fn right(
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
) -> Right {
    Right { group, resources, verbs, names: &[], is_local: false }
}

const OURS: &str = "allotment.dev";
const LEASES: Right = Right { is_local: true, ..right("coordination.k8s.io", &["leases"], &["create"]) };

pub(super) const CONTROLLER: &[Right] = &[
    right(OURS, &["addressblocks"], &["get", "list", "watch", "create", "update", "delete"]),
    right(OURS, &["subnets", "ippools", "reservations"], &["list", "watch", "patch"]),
    right(OURS, &["subnets/status", "ippools/status", "reservations/status"], &["patch"]),
    right(OURS, &["nodeattachments"], &["list", "watch", "patch", "delete"]),
    right("", &["pods"], &["get", "list", "watch", "patch"]),
    right("", &["namespaces", "nodes"], &["list", "watch"]),
    right("k8s.cni.cncf.io", &["network-attachment-definitions"], &["list", "watch"]),
    right("apps", &["deployments", "statefulsets"], &["list", "watch"]),
    right("kubevirt.io", &["virtualmachines", "virtualmachineinstances"], &["list", "watch"]),
    Right {
        names: &[
            "network-attachment-definitions.k8s.cni.cncf.io",
            "virtualmachines.kubevirt.io",
            "virtualmachineinstances.kubevirt.io",
        ],
        ..right("apiextensions.k8s.io", &["customresourcedefinitions"], &["list", "watch"])
    },
    right("events.k8s.io", &["events"], &["create", "patch"]),
    LEASES,
    Right { verbs: &["get", "list", "watch", "update"], names: &["allotment-controller"], ..LEASES },
];

/// For the certificate that a leader makes for its webhook.
pub(super) const WEBHOOK: &[Right] = &[Right {
    names: &["allotment"],
    ..right("admissionregistration.k8s.io", &["validatingwebhookconfigurations"], &["list", "watch", "patch"])
}];

pub(super) const AGENT: &[Right] = &[
    right("", &["nodes"], &["get"]),
    right("", &["pods"], &["list", "watch"]),
    right(OURS, &["nodeattachments"], &["get", "list", "watch", "create"]),
    right(OURS, &["nodeattachments/status"], &["update"]),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    const MANIFESTS: &str = include_str!("../../../../deploy/manifests/allotment.yaml");

    type Single = (String, String, String, String, bool);

    fn single(rights: &[Right]) -> BTreeSet<Single> {
        let mut all = BTreeSet::new();
        for Right { group, resources, verbs, names, is_local } in rights {
            for name in if names.is_empty() { &[""] } else { *names } {
                for (resource, verb) in resources.iter().flat_map(|r| verbs.iter().map(move |v| (r, v))) {
                    let [group, resource, verb, name] =
                        [group, resource, verb, name].map(|&text| text.to_owned());
                    all.insert((group, resource, verb, name, *is_local));
                }
            }
        }
        all
    }

    fn of_roles(name: &str) -> BTreeSet<Single> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(MANIFESTS).unwrap();
        let mut all = BTreeSet::new();
        for role in documents.iter().filter(|document| document["metadata"]["name"] == name) {
            for rule in role["rules"].as_array().into_iter().flatten() {
                let texts = |field: &str| -> Vec<String> {
                    let list = rule[field].as_array().into_iter().flatten();
                    list.map(|text| text.as_str().unwrap().to_owned()).collect()
                };
                let mut names = texts("resourceNames");
                if names.is_empty() {
                    names.push(String::new());
                }
                for (group, resource) in texts("apiGroups")
                    .iter()
                    .flat_map(|g| texts("resources").into_iter().map(move |r| (g, r)))
                {
                    for (verb, name) in texts("verbs").iter().flat_map(|v| names.iter().map(move |n| (v, n)))
                    {
                        let is_local = role["kind"] == "Role";
                        all.insert((group.clone(), resource.clone(), verb.clone(), name.clone(), is_local));
                    }
                }
            }
        }
        all
    }

    #[test]
    fn the_manifests_give_these_and_no_others() {
        let controller = single(CONTROLLER).into_iter().chain(single(WEBHOOK)).collect();
        assert_eq!(of_roles("allotment-controller"), controller);
        assert_eq!(single(AGENT), of_roles("allotment-agent"));
    }
}
