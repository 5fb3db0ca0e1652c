//! `allot install-cni`, with a plugin that is a script.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tempfile::TempDir;

use crate::daemon::Done;

const CONFIG: &str =
    r#"{"cniVersion": "1.0.0", "name": "lan", "type": "bridge", "ipam": {"type": "allotment"}}"#;

struct Node(TempDir);

impl Node {
    fn new() -> Node {
        let node = Node(tempfile::tempdir().unwrap());
        node.program("first", r#"echo '{"supportedVersions": ["1.0.0"]}'"#);
        fs::write(node.path("10-lan.conf"), CONFIG).unwrap();
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, name: &str, script: &str) {
        fs::write(self.path(name), format!("#!/bin/sh\n# {name}\n{script}\n")).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(0o700)).unwrap();
    }

    fn install(&self, plugin: &str, further: &[&str]) -> Done {
        let mut allot = Command::new(env!("CARGO_BIN_EXE_allot"));
        allot
            .arg("install-cni")
            .arg("--bin-dir")
            .arg(self.path("bin"))
            .arg("--plugin")
            .arg(self.path(plugin));
        let output = allot.current_dir(self.0.path()).args(further).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Done { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn is_answered(plugin: &Path) -> bool {
    Command::new(plugin).output().is_ok_and(|output| output.status.success() && !output.stdout.is_empty())
}

#[test]
fn plugin_and_configuration_come_and_go() {
    let node = Node::new();
    let config = ["--config", "10-lan.conf", "--config-dir", "net.d"];
    let done = node.install("first", &config);
    assert_eq!((done.code, &*done.out), (0, ""), "{}", done.err);
    assert_eq!(
        (node.names("bin"), node.names("net.d")),
        (vec!["allotment".into()], vec!["10-lan.conf".into()])
    );
    assert_eq!(fs::read_to_string(node.path("net.d/10-lan.conf")).unwrap(), CONFIG);
    assert_eq!(fs::metadata(node.path("bin/allotment")).unwrap().permissions().mode() & 0o7777, 0o755);

    let again = node.install("first", &config);
    assert_eq!((again.code, again.err.matches("is as it should be").count()), (0, 2), "{}", again.err);
    for times in [1, 2] {
        let done = node.install("first", &[&config[..], &["--remove"]].concat());
        assert_eq!(done.code, 0, "{times}: {}", done.err);
        assert!(node.names("bin").is_empty() && node.names("net.d").is_empty());
    }
}

#[test]
fn what_cannot_work_replaces_nothing() {
    let node = Node::new();
    node.program("second", r#"echo '{"supportedVersions": ["1.0.0"]}'"#);
    node.program("broken", "exit 3");
    fs::write(node.path("foreign"), b"\x7fELF of another machine").unwrap();
    fs::set_permissions(node.path("foreign"), Permissions::from_mode(0o700)).unwrap();
    fs::write(node.path("torn.conf"), &CONFIG[..20]).unwrap();
    assert_eq!(node.install("first", &[]).code, 0);
    let before = fs::read(node.path("bin/allotment")).unwrap();
    let torn = ["--config", "torn.conf", "--config-dir", "net.d"];
    for (plugin, further, says) in [
        ("missing", &[][..], "cannot be read"),
        (
            "broken",
            &[],
            "does not run on this machine: it does not answer VERSION as a CNI plugin (exit status: 3)",
        ),
        ("foreign", &[], "does not run on this machine: "),
        ("second", &torn, "is no configuration: "),
    ] {
        let done = node.install(plugin, further);
        assert_eq!(done.code, 2, "{plugin}");
        assert!(done.err.contains(says) && done.err.contains("hint: "), "{plugin}: {}", done.err);
        assert_eq!(fs::read(node.path("bin/allotment")).unwrap(), before, "{plugin}");
        assert!(!node.path("net.d").exists(), "{plugin}");
    }
}

#[test]
fn an_upgrade_is_never_seen_half_done() {
    let node = Node::new();
    node.program(
        "second",
        &format!("{}\necho '{{\"supportedVersions\": [\"1.0.0\"]}}'", "# longer\n".repeat(9000)),
    );
    assert_eq!(node.install("first", &[]).code, 0);
    let (plugin, done) = (node.path("bin/allotment"), AtomicBool::new(false));
    thread::scope(|scope| {
        let runtime = scope.spawn(|| {
            let mut calls = 0;
            while !done.load(Ordering::Relaxed) {
                assert!(is_answered(&plugin), "after {calls} calls");
                calls += 1;
            }
            calls
        });
        for round in 0..20 {
            let done = node.install(if round % 2 == 0 { "second" } else { "first" }, &[]);
            assert_eq!(done.code, 0, "{}", done.err);
        }
        done.store(true, Ordering::Relaxed);
        assert!(runtime.join().unwrap() > 0);
    });
    assert_eq!(node.names("bin"), ["allotment"]);
}
