//! `export` and `import`.

use std::fs;

use serde_json::Value;

use crate::daemon::{Daemon, object, subnet};

fn lived_in() -> Daemon {
    let lan = object("Subnet", "lan", "cidrs: [10.0.0.0/24, \"fd00::/64\"]");
    let pool = object("IPPool", "db", "subnet: lan, ranges: [10.0.0.64/28]");
    let daemon = Daemon::with(&[("lan.yaml", &(lan + &pool))]);
    for id in ["a", "b", "c"] {
        daemon.add(id, "lan");
    }
    daemon.del("c");
    daemon
}

/// Everything that must be the same on both sides; a cooling address says when it began to cool, so times count, too.
fn content(daemon: &Daemon) -> [Vec<Value>; 4] {
    ["ip", "subnet", "pool", "reservation"].map(|list| daemon.rows(&[list]))
}

#[test]
fn an_export_goes_into_an_empty_daemon_and_changes_nothing_a_second_time() {
    let (from, mut to) = (lived_in(), Daemon::with(&[]));
    let export = from.tool(&["export"]);
    assert_eq!(export.code, 0);
    assert!(export.out.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    assert!(export.out.starts_with("{\"format\":\"allotment.dev/export\",\"version\":2"), "{}", export.out);

    let done = to.tool_with(&["import"], &export.out);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("imported 2 objects and 6 addresses"), "{done:?}");
    assert_eq!(content(&to), content(&from));

    fs::write(to.path("export"), &export.out).unwrap();
    let done = to.tool(&["import", "export"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("imported 0 objects and 0 addresses; 8 were there already"), "{done:?}");

    // It is durable, has no files that could take it back, and goes on as if it had always been here.
    to.stop();
    to.start();
    assert_eq!(content(&to), content(&from));
    assert_eq!(to.add("a", "lan"), ["10.0.0.2", "fd00::2"]);
    assert_eq!(to.add("new", "lan"), ["10.0.0.5", "fd00::5"]);
}

#[test]
fn a_conflict_stops_all_of_it_and_is_named() {
    let (from, to) = (
        lived_in(),
        Daemon::with(&[("lan.yaml", &object("Subnet", "lan", "cidrs: [10.0.0.0/24, \"fd00::/64\"]"))]),
    );
    to.add("thief", "lan");
    let before = content(&to);
    let done = to.tool_with(&["import"], &from.tool(&["export"]).out);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("nothing was imported: 2 lines contradict"), "{done:?}");
    assert!(
        done.err.contains("10.0.0.2 in VRF `default`: Pod shop/thief has it here, Pod shop/a there"),
        "{done:?}"
    );
    assert_eq!(content(&to), before);
}

#[test]
fn what_nobody_holds_any_more_needs_no_subnet() {
    let (from, to) = (lived_in(), Daemon::with(&[]));
    let export = from.tool(&["export"]).out;
    let with = |state: &str| {
        let lines: Vec<&str> = export.lines().filter(|line| line.contains(state)).collect();
        let end = format!(r#"{{"end":{{"objects":0,"allocations":{}}}}}"#, lines.len());
        assert!(!lines.is_empty());
        let all = std::iter::once(export.lines().next().unwrap()).chain(lines).chain([&*end]);
        to.tool_with(&["import"], &all.collect::<Vec<_>>().join("\n"))
    };
    let held = with(r#""state":"active""#);
    assert!(held.code == 1 && held.err.contains("no subnet has it"), "{held:?}");
    let last = with(r#""state":"cooling""#);
    assert_eq!(last.code, 0, "{last:?}");
    assert!(to.rows(&["ip"]).is_empty());
}

#[test]
fn objects_in_another_form_are_conflicts() {
    let (from, to) = (lived_in(), Daemon::with(&[("lan.yaml", &subnet("lan", "10.0.0.0/16"))]));
    let done = to.tool_with(&["import"], &from.tool(&["export"]).out);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("Subnet `lan` is here in another form"), "{done:?}");
    assert!(to.rows(&["ip"]).is_empty());
}

#[test]
fn an_export_that_was_cut_off_is_refused_wherever_it_was_cut() {
    let (from, to) = (lived_in(), Daemon::with(&[]));
    let export = from.tool(&["export"]).out;
    let lines: Vec<&str> = export.split_inclusive('\n').collect();
    assert_eq!(lines.last(), Some(&"{\"end\":{\"objects\":2,\"allocations\":6}}\n"));
    for count in 1..lines.len() {
        let done = to.tool_with(&["import"], &lines[..count].concat());
        assert_eq!(done.code, 2, "{count}: {done:?}");
        assert!(done.err.contains("it was cut off after"), "{done:?}");
        assert!(done.err.contains("allot export"), "{done:?}");
    }
    // One that lost a line in the middle, and one behind another.
    let done = to.tool_with(&["import"], &[&lines[..4], &lines[5..]].concat().concat());
    assert!(
        done.err.contains("2 objects and 5 allocations, and says that it has 2 objects and 6"),
        "{done:?}"
    );
    let done = to.tool_with(&["import"], &[&export, &export].map(String::as_str).concat());
    assert!(done.code == 2 && done.err.contains("is this more than one export?"), "{done:?}");
    assert_eq!(content(&to), content(&Daemon::with(&[])), "nothing was taken over");
    // Without its last line break it is whole.
    assert_eq!(to.tool_with(&["import"], export.trim_end()).code, 0);
    assert_eq!(content(&to), content(&from));
}

#[test]
fn what_is_no_export_is_refused_with_its_line() {
    let daemon = Daemon::with(&[]);
    let header = "{\"format\":\"allotment.dev/export\",\"version\":2}\n";
    let cases = [
        (String::new(), "nothing to import"),
        ("kind: Subnet\n".to_owned(), "line 1 "),
        ("{\"format\":\"other\",\"version\":2}\n".to_owned(), "`other`"),
        (header.replace(":2}", ":3}"), "version 3"),
        (header.replace(":2}", ":1}"), "version 1, which does not say where it ends"),
        (format!("{header}\n{{\"object\": 7}}\n"), "line 3 "),
    ];
    for (lines, expect) in cases {
        let done = daemon.tool_with(&["import"], &lines);
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.err.contains(expect), "{expect}: {done:?}");
        assert!(done.err.contains("hint: "), "{done:?}");
    }
    let done = daemon.tool(&["import", "absent.jsonl"]);
    assert!(done.code == 2 && done.err.contains("absent.jsonl cannot be read"), "{done:?}");
    let empty = format!("{header}{{\"end\":{{\"objects\":0,\"allocations\":0}}}}");
    assert_eq!(daemon.tool_with(&["import"], &empty).code, 0);
}
