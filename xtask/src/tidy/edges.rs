//! Which of our crates may use which.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Complaints;

/// Every edge there is. A new one is added here, in the same commit, so that it is seen.
const ALLOWED: [(&str, &[&str]); 15] = [
    ("allotment-core", &[]),
    ("allotment-plugin", &[]),
    ("allotment-wire", &[]),
    ("allotment-api", &["allotment-core"]),
    ("allotment-engine", &["allotment-core"]),
    ("allotment-node", &["allotment-core", "allotment-engine", "allotment-wire"]),
    (
        "allot",
        &[
            "allotment-agent",
            "allotment-api",
            "allotment-cluster",
            "allotment-controller",
            "allotment-core",
            "allotment-engine",
            "allotment-node",
            "allotment-wire",
        ],
    ),
    ("allotment-proof", &[]),
    ("allotment-cluster", &[]),
    (
        "allotment-controller",
        &[
            "allotment-api",
            "allotment-cluster",
            "allotment-core",
            "allotment-engine",
            "allotment-proof",
            "allotment-wire",
        ],
    ),
    (
        "allotment-agent",
        &["allotment-api", "allotment-cluster", "allotment-node", "allotment-proof", "allotment-wire"],
    ),
    ("allotment-fleet", &["allotment-lab"]),
    ("allotment-lab", &[]),
    ("allotment-nodes", &["allotment-fleet", "allotment-lab"]),
    ("xtask", &["allotment-lab"]),
];

/// All that core may use: collections, hashing, and the derives of its types.
const CORE: [&str; 5] = ["foldhash", "hashbrown", "serde", "smallvec", "thiserror"];

pub(super) fn check(metadata: &Value) -> Complaints {
    let mut complaints = Complaints::new();
    let empty = Vec::new();
    let packages = metadata["packages"].as_array().unwrap_or(&empty);
    let ours: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let used = dependencies(package);
        let Some((_, allowed)) = ALLOWED.iter().find(|(crate_name, _)| *crate_name == name) else {
            complaints.push(format!(
                "{name} is not in the list in xtask/src/tidy/edges.rs; add it with what it may use"
            ));
            continue;
        };
        for target in used.iter().filter(|target| ours.contains(**target) && !allowed.contains(target)) {
            complaints.push(format!("{name} must not use {target}"));
        }
        for target in allowed.iter().filter(|target| !used.contains(*target)) {
            complaints.push(format!("{name} may use {target} and does not; take it off the list"));
        }
        let outside: Vec<&&str> = match name {
            "allotment-plugin" => used.iter().collect(),
            "allotment-core" => used.iter().filter(|target| !CORE.contains(*target)).collect(),
            _ => Vec::new(),
        };
        complaints.extend(outside.iter().map(|target| format!("{name} must not use {target}")));
    }
    complaints
}

/// What a crate is built of; what only its tests use does not count.
fn dependencies(package: &Value) -> BTreeSet<&str> {
    let list = package["dependencies"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    list.iter()
        .filter(|dependency| dependency["kind"].is_null())
        .filter_map(|entry| entry["name"].as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tree(name: &str, dependencies: &Value) -> Value {
        json!({"packages": [{"name": name, "dependencies": dependencies}, {"name": "allotment-lab", "dependencies": []}]})
    }

    #[test]
    fn the_plugin_uses_nothing() {
        assert_eq!(check(&tree("allotment-plugin", &json!([]))), Complaints::new());
        let serde = tree("allotment-plugin", &json!([{"name": "serde", "kind": null}]));
        assert_eq!(check(&serde), ["allotment-plugin must not use serde"]);
        let for_tests = tree("allotment-plugin", &json!([{"name": "tempfile", "kind": "dev"}]));
        assert_eq!(check(&for_tests), Complaints::new());
    }

    #[test]
    fn unknown_and_unused_edges_are_named() {
        assert!(check(&tree("allotment-new", &json!([])))[0].contains("not in the list"));
        assert!(check(&tree("xtask", &json!([])))[0].contains("does not"));
        let core = tree("allotment-core", &json!([{"name": "allotment-lab", "kind": null}]));
        assert!(check(&core)[0].contains("must not use allotment-lab"));
    }
}
