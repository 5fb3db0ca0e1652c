//! Starting, stopping, and what may be in the way.

use std::fs;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::daemon::{Daemon, subnet, wait_for};

/// Tries to start a daemon; its exit code and what it says.
fn fails(command: &mut Command) -> (Option<i32>, String) {
    let output = command.stderr(Stdio::piped()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn both_signals_end_it_and_the_socket_goes() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut daemon = Daemon::with(&[]);
        daemon.signal(signal);
        assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.log());
        assert!(!daemon.path("a.sock").exists());
    }
}

#[test]
fn everything_is_there_after_a_restart() {
    for end in [Signal::SIGTERM, Signal::SIGKILL] {
        let mut daemon = Daemon::with(&[("lan.yaml", &subnet("lan", "10.0.0.0/24"))]);
        assert_eq!(daemon.add("a", "lan"), ["10.0.0.2"]);
        assert_eq!(daemon.add("b", "lan"), ["10.0.0.3"]);
        daemon.del("b");
        let before = (daemon.rows(&["ip"]), daemon.rows(&["subnet"]));
        daemon.signal(end);
        daemon.ended();
        daemon.start();
        assert_eq!((daemon.rows(&["ip"]), daemon.rows(&["subnet"])), before, "{end}");
        assert_eq!(daemon.add("a", "lan"), ["10.0.0.2"], "asking again gives the same");
    }
}

#[test]
fn one_instance_per_data_folder() {
    let daemon = Daemon::with(&[]);
    let (code, said) = fails(&mut daemon.standalone_at("data", "b.sock"));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("in use by another process, pid ") && said.contains("hint: "), "{said}");
    assert!(!daemon.path("b.sock").exists(), "what does not serve leaves no socket");
    assert_eq!(daemon.tool(&["ready"]).code, 0, "the first one was not hurt");
}

#[test]
fn one_instance_per_socket() {
    let daemon = Daemon::with(&[]);
    let (code, said) = fails(&mut daemon.standalone_at("other", "a.sock"));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("another allotment daemon answers on "), "{said}");
    assert_eq!(daemon.tool(&["ready"]).code, 0);
}

#[test]
fn a_bad_data_folder_is_told_and_left_alone() {
    let daemon = Daemon::stopped(&[]);
    fs::write(daemon.path("data"), "a file").unwrap();
    let (code, said) = fails(&mut daemon.standalone());
    assert_eq!(code, Some(2));
    assert!(said.contains("the data folder ") && said.contains("--data"), "{said}");

    fs::remove_file(daemon.path("data")).unwrap();
    fs::create_dir(daemon.path("data")).unwrap();
    fs::write(daemon.path("data/ledger.redb"), "no ledger at all").unwrap();
    let (code, said) = fails(&mut daemon.standalone());
    assert_eq!(code, Some(2));
    assert!(said.contains("ledger.redb") && said.contains("hint: "), "{said}");
    assert_eq!(fs::read_to_string(daemon.path("data/ledger.redb")).unwrap(), "no ledger at all");
}

#[test]
fn a_taken_metrics_address_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let daemon = Daemon::stopped(&[]);
    let (code, said) =
        fails(daemon.standalone().arg("--metrics").arg(taken.local_addr().unwrap().to_string()));
    assert_eq!(code, Some(2));
    assert!(said.contains("--metrics"), "{said}");
}

#[test]
fn without_a_daemon_every_question_exits_2_and_says_what_to_do() {
    let daemon = Daemon::stopped(&[]);
    let questions: [&[&str]; 9] = [
        &["subnet"],
        &["pool"],
        &["reservation"],
        &["ip"],
        &["who-has", "10.0.0.1"],
        &["why", "web"],
        &["audit"],
        &["export"],
        &["import", "/dev/null"],
    ];
    for question in questions {
        let done = daemon.tool(question);
        assert_eq!(done.code, 2, "{done:?}");
        assert!(
            done.out.is_empty() && done.err.contains("hint: start it with `allot standalone`"),
            "{done:?}"
        );
    }
    assert_eq!(daemon.tool(&["ready", "--timeout", "100ms"]).code, 2);
}

#[test]
fn wrong_usage_exits_2() {
    let daemon = Daemon::stopped(&[]);
    let wrong: [&[&str]; 6] = [
        &[],
        &["ip", "-o", "xml"],
        &["who-has"],
        &["who-has", "ten"],
        &["check"],
        &["ready", "--timeout", "soon"],
    ];
    for args in wrong {
        assert_eq!(daemon.tool(args).code, 2, "{args:?}");
    }
    assert_eq!(daemon.tool(&["--help"]).code, 0);
    assert_eq!(daemon.tool(&["--version"]).code, 0);
}

#[test]
fn log_lines_are_text_or_json() {
    let mut daemon = Daemon::stopped(&[]);
    daemon.args = vec!["--log".to_owned(), "json".to_owned()];
    daemon.start();
    daemon.stop();
    let log = daemon.log();
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            line["timestamp"].is_string() && line["level"].is_string() && line["message"].is_string(),
            "{line}"
        );
    }
    assert!(log.lines().count() >= 2, "{log}");
}

#[test]
fn releases_left_while_it_was_down_are_done_before_it_is_ready() {
    let mut daemon = Daemon::with(&[("lan.yaml", &subnet("lan", "10.0.0.0/24"))]);
    daemon.add("a", "lan");
    daemon.stop();
    let call = serde_json::json!({"command": "DEL", "containerId": "a", "ifname": "eth0", "config": {"name": "lan"}});
    fs::write(daemon.path("pending-del/1.json"), call.to_string()).unwrap();
    daemon.start();
    assert_eq!(daemon.rows(&["ip"])[0]["state"], "cooling");
    wait_for("the file goes", || {
        fs::read_dir(daemon.path("pending-del")).unwrap().next().is_none().then_some(())
    });
}

#[test]
fn a_log_that_nobody_reads_is_no_reason_to_end() {
    let daemon = Daemon::stopped(&[]);
    let mut child = daemon.standalone().stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(daemon.tool(&["ready", "--timeout", "30s"]).code, 0);
    daemon.write("lan.yaml", &subnet("lan", "10.0.0.0/24"));
    daemon.wait_for_cidr("lan", "10.0.0.0/24");
    daemon.write("lan.yaml", "kind: {");
    wait_for("it follows", || daemon.tool(&["subnet"]).err.contains("not in force").then_some(()));
    assert_eq!(daemon.add("a", "lan"), ["10.0.0.2"]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_certificate_for_the_webhook_comes_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cert.pem");
    fs::write(&file, "no certificate").unwrap();
    let allot = || Command::new(env!("CARGO_BIN_EXE_allot"));
    for (given, missing) in [("--webhook-cert", "--webhook-key"), ("--webhook-key", "--webhook-cert")] {
        let (code, said) = fails(allot().args(["controller", "--webhook", "127.0.0.1:0", given]).arg(&file));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(missing), "{said}");
    }
    let given = ["controller", "--webhook", "127.0.0.1:0", "--webhook-cert"];
    let (code, said) = fails(allot().args(given).arg(&file).arg("--webhook-key").arg(&file));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("cert.pem") && said.contains("as PEM"), "{said}");
    let (code, said) = fails(allot().args(["policies", "--webhook", "a/b", "--webhook-ca"]).arg(&file));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("cert.pem cannot be used: it has no certificate"), "{said}");
}
