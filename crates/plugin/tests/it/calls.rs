//! The daemon is there: calls and answers pass through.

use std::fs::File;

use allotment_wire::{CniCall, Command, SOCKET_ENV};
use serde_json::{Value, json};

use crate::fake::{Fake, Reply};
use crate::plugin::{COMMANDS, Place, Seen, call, plugin, run};

#[test]
fn every_command_reaches_the_daemon_as_it_came() {
    for command in COMMANDS {
        let place = Place::new();
        let answer = if command == "ADD" { "{\"cniVersion\":\"1.1.0\",\n \"ips\":[ ]}\n" } else { "" };
        let daemon = Fake::ok(&place.socket(), answer);
        assert_eq!(call(&place, command), Seen { status: 0, stdout: answer.to_owned() }, "{command}");
        let requests = daemon.requests();
        assert!(requests[0].head.starts_with("POST /v1/cni HTTP/1.1\r\n"), "{}", requests[0].head);
        let about_a_container = !matches!(command, "GC" | "STATUS");
        let or_empty = |text: &str| if about_a_container { text.to_owned() } else { String::new() };
        let expect = CniCall {
            command: serde_json::from_value(json!(command)).unwrap(),
            container_id: or_empty("c0ffee"),
            netns: or_empty("/run/netns/a"),
            ifname: or_empty("eth0"),
            args: or_empty("K8S_POD_NAME=a;K8S_POD_NAME=\"b\""),
            config: serde_json::from_str(&place.config()).unwrap(),
        };
        assert_eq!(requests[0].call(), expect);
        assert!(requests[0].body.contains(&place.config()), "the configuration is not written anew");
    }
}

#[test]
fn the_daemons_errors_pass_byte_for_byte() {
    for command in COMMANDS {
        for status in [400, 409, 500] {
            let place = Place::new();
            let error = "{ \"cniVersion\": \"1.1.0\",\"code\":100, \"msg\":\"`a` is full: 254 held\", \"x\": \"é\" }\n\n";
            let daemon = Fake::start(&place.socket(), vec![Reply::Http(status, error.to_owned())]);
            assert_eq!(call(&place, command), Seen { status: 1, stdout: error.to_owned() }, "{command}");
            assert_eq!(daemon.requests().len(), 1);
            assert_eq!(place.waiting(), [""; 0]);
        }
    }
}

#[test]
fn an_odd_environment_survives() {
    let place = Place::new();
    let daemon = Fake::ok(&place.socket(), "");
    let mut plugin = plugin("DEL");
    let args = "A=\"\\\n\t\u{1}é😀;";
    plugin.env("CNI_ARGS", args).env("CNI_IFNAME", "a\"b\\c").env_remove("CNI_NETNS");
    assert_eq!(run(&mut plugin, place.config()), Seen::nothing());
    let call = daemon.requests()[0].call();
    assert_eq!(
        (call.command, call.args.as_str(), call.ifname.as_str(), call.netns.as_str()),
        (Command::Del, args, "a\"b\\c", "")
    );
}

#[test]
fn long_configurations_and_long_answers() {
    let place = Place::new();
    let attachments: Vec<Value> =
        (0..30_000).map(|n| json!({"containerID": format!("{n:064x}"), "ifname": "eth0"})).collect();
    let mut config: Value = serde_json::from_str(&place.config()).unwrap();
    config["cni.dev/valid-attachments"] = json!(attachments);
    let answer = format!("{{\"ips\":[],\"x\":\"{}\"}}", "é".repeat(1_000_000));
    let daemon = Fake::ok(&place.socket(), &answer);
    let seen = run(&mut plugin("GC"), config.to_string());
    assert!(seen == Seen { status: 0, stdout: answer }, "status {}", seen.status);
    assert_eq!(daemon.requests()[0].call().config, config);
}

#[test]
fn the_configurations_socket_comes_before_the_environments() {
    let (ours, theirs) = (Place::new(), Place::new());
    let daemon = Fake::ok(&ours.socket(), "");
    assert_eq!(run(plugin("CHECK").env(SOCKET_ENV, theirs.socket()), ours.config()), Seen::nothing());
    daemon.requests();
    let daemon = Fake::ok(&theirs.socket(), "");
    let config = "{\"cniVersion\":\"1.1.0\",\"name\":\"pods\",\"ipam\":{\"type\":\"allotment\"}}";
    assert_eq!(run(plugin("CHECK").env(SOCKET_ENV, theirs.socket()), config), Seen::nothing());
    daemon.requests();
}

#[test]
fn who_cannot_be_told_of_success_is_not_left_with_it() {
    let place = Place::new();
    let daemon = Fake::ok(&place.socket(), "{\"ips\":[]}");
    let full = File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(run(plugin("ADD").stdout(full), place.config()), Seen { status: 1, stdout: String::new() });
    daemon.requests();
}
