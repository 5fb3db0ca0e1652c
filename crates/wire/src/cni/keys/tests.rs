use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::{CniArgs, NetConf};
use super::*;

/// The sources that read keys, and the calls they do it with.
const SOURCES: [&str; 3] =
    [include_str!("../conf.rs"), include_str!("../ipam.rs"), include_str!("../result.rs")];
const CALLS: [&str; 8] =
    [".get(\"", ".one(\"", ".each(\"", ".string(\"", ".strings(\"", ".has(\"", "(field, \"", "(runtime, \""];

/// The text up to the next quote after each place of a call.
fn literals<'a>(source: &'a str, calls: &[&str]) -> BTreeSet<&'a str> {
    let after =
        |call: &str| source.split(call).skip(1).filter_map(|rest| rest.split('"').next()).collect::<Vec<_>>();
    calls.iter().flat_map(|call| after(call)).collect()
}

fn all() -> impl Iterator<Item = &'static KeyDoc> {
    CONFIG.iter().flat_map(|group| group.keys)
}

/// The last step of a path.
fn key(path: &str) -> &str {
    path.rsplit(['.', ']'])
        .next()
        .map_or(path, |last| if path.starts_with("cni.dev/") && !path.contains(']') { path } else { last })
}

#[test]
fn every_key_that_is_read_has_its_line() {
    let listed: BTreeSet<&str> = all().map(|doc| key(doc.path)).collect();
    let mut found = BTreeSet::new();
    for source in SOURCES {
        found.extend(literals(source, &CALLS));
    }
    // The lists of keys that tell whose section it is, and the one list that is read in a loop.
    for list in ["const OURS", "const HOST_LOCAL", "const STATIC", "const ROUTES", "for key in ["] {
        let text = SOURCES.iter().find_map(|source| source.split(list).nth(1)).expect("the list is there");
        let text = text.split(['{', ';']).find(|part| part.contains('"')).expect("it has items");
        found.extend(text.split('"').skip(1).step_by(2));
    }
    assert!(found.len() > 30, "{found:?}");
    let missing: Vec<_> = found.difference(&listed).collect();
    assert!(missing.is_empty(), "read but not documented: {missing:?}");
}

#[test]
fn every_argument_that_is_read_has_its_line() {
    let source = include_str!("../args.rs").split("#[cfg(test)]").next().unwrap();
    let listed: BTreeSet<&str> = ARGS.iter().map(|doc| doc.path).collect();
    assert_eq!(literals(source, &["self.get(\"", "self.list(\""]), listed);
}

#[test]
fn every_line_is_about_a_key_that_is_read() {
    for group in CONFIG {
        for doc in group.keys.iter().filter(|doc| doc.path != "ipam.socket") {
            let example = if group.example.is_empty() { CONFIG[0].example } else { group.example };
            let mut config: Value = serde_json::from_str(example).unwrap();
            if doc.path.starts_with("runtimeConfig.ipRanges") {
                config["ipam"] = json!({"type": "allotment"});
            }
            if ["ipam.rangeStart", "ipam.rangeEnd", "ipam.gateway"].contains(&doc.path) {
                config["ipam"]["subnet"] = json!("10.99.0.0/24");
            }
            if doc.path.ends_with(".ifname") {
                config["cni.dev/valid-attachments"] = json!([{"containerID": "c1", "ifname": "eth0"}]);
            }
            NetConf::parse(&config).unwrap();
            // Nothing that is read is a number.
            *at(&mut config, doc.path) = json!(7);
            let error = NetConf::parse(&config).unwrap_err();
            let path = doc.path.replace("[]", "[0]");
            assert!(error.code == 6 && error.msg.contains(&format!("`{path}`")), "{path}: {error}");
        }
    }
}

/// The place of a path, made where it is missing.
fn at<'a>(config: &'a mut Value, path: &str) -> &'a mut Value {
    let hidden = path.replace("cni.dev/", "cni\0dev/");
    let mut place = config;
    for step in hidden.split('.') {
        let name = step.trim_end_matches("[]");
        place = &mut place[name.replace('\0', ".")];
        for _ in 0..(step.len() - name.len()) / 2 {
            if !place.is_array() {
                *place = json!([{}]);
            }
            place = &mut place[0];
        }
    }
    place
}

#[test]
fn the_examples_are_right_and_have_every_key_of_their_group() {
    for group in CONFIG.iter().filter(|group| !group.example.is_empty()) {
        let config: Value = serde_json::from_str(group.example).unwrap();
        let asked = NetConf::parse(&config).and_then(|conf| conf.asked(&CniArgs::default()));
        assert!(asked.is_ok(), "{asked:?}");
        // Those that a range of the example has as well.
        let again = ["ipam.subnet", "ipam.rangeStart", "ipam.rangeEnd", "ipam.gateway"];
        for doc in group.keys.iter().filter(|doc| !again.contains(&doc.path)) {
            assert!(
                group.example.contains(&format!("\"{}\":", key(doc.path))),
                "no {} in the example",
                doc.path
            );
        }
    }
}

#[test]
fn every_line_says_something() {
    for doc in all().chain(ARGS) {
        assert!(doc.meaning.ends_with('.') && !doc.meaning.contains("  ") && !doc.form.is_empty(), "{doc:?}");
    }
}
