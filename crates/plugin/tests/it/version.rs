//! VERSION needs neither the daemon nor a configuration.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::plugin::{Seen, plugin, run};

fn answer(seen: &Seen) -> String {
    assert_eq!(seen.status, 0, "{seen:?}");
    let answer: Value = serde_json::from_str(&seen.stdout).unwrap();
    assert_eq!(answer["supportedVersions"], json!(["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]));
    assert_eq!(answer.as_object().unwrap().len(), 2, "{answer}");
    answer["cniVersion"].as_str().unwrap().to_owned()
}

#[test]
fn the_version_that_was_asked_comes_back() {
    for (stdin, expect) in [
        ("{\"cniVersion\":\"0.4.0\"}", "0.4.0"),
        ("{\"cniVersion\":\"0.1.0\",\"name\":\"n\"}", "0.1.0"),
        ("{\"cniVersion\":\"\"}", "1.1.0"),
        ("{\"cniVersion\":7}", "1.1.0"),
        ("{\"cniVersion\":\"latest\"}", "1.1.0"),
        ("{\"cniVersion\":\"1.1\"}", "1.1.0"),
        ("{\"cniVersion\":\"1.0.0\\n\"}", "1.1.0"),
        ("{}", "1.1.0"),
        ("", "1.1.0"),
        ("{", "1.1.0"),
    ] {
        assert_eq!(answer(&run(&mut plugin("VERSION"), stdin)), expect, "{stdin}");
    }
}

#[test]
fn nobody_need_say_anything() {
    let mut plugin = plugin("VERSION");
    let output = plugin.stdin(Stdio::null()).output().unwrap();
    assert_eq!(answer(&Seen::of(&output)), "1.1.0");
    // A pipe that stays open is no reason to wait for ever.
    let mut child = plugin.stdin(Stdio::piped()).spawn().unwrap();
    let open = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(open);
    assert_eq!(answer(&Seen::of(&output)), "1.1.0");
}
