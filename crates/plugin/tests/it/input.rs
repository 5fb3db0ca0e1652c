//! What the runtime says wrongly.

use allotment_wire::cni::code;
use allotment_wire::{DEFAULT_SOCKET, SOCKET_ENV};
use serde_json::Value;

use crate::fake::Fake;
use crate::plugin::{COMMANDS, Place, Seen, plugin, run};

#[test]
fn the_environment_is_checked_before_anything_else() {
    let place = Place::new();
    for command in COMMANDS {
        let required: &[&str] = match command {
            "ADD" | "CHECK" => &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
            "DEL" => &["CNI_CONTAINERID", "CNI_IFNAME"],
            _ => &[],
        };
        for name in required {
            let error = run(plugin(command).env_remove(name), place.config()).error();
            assert_eq!((error.code, error.msg), (code::INVALID_ENVIRONMENT, format!("{name} is not set")));
        }
    }
    for (name, value) in [("CNI_COMMAND", "DELETE"), ("CNI_CONTAINERID", "a b"), ("CNI_IFNAME", "a/b")] {
        let error = run(plugin("DEL").env(name, value), place.config()).error();
        assert!(error.code == 4 && error.msg.contains(name) && error.msg.contains(value), "{error:?}");
    }
    let error = run(plugin("ADD").env_remove("CNI_COMMAND"), "").error();
    assert!(error.code == 4 && error.details.contains("`allot`"), "{error:?}");
    assert_eq!(place.waiting(), [""; 0]);
}

#[test]
fn configurations_that_are_none() {
    for command in ["ADD", "CHECK", "GC", "STATUS"] {
        let error = run(&mut plugin(command), "{\"cniVersion\": \"1.1.0\",\n \"name\": }").error();
        assert_eq!(error.code, code::DECODE);
        assert!(error.msg.contains("line 2, column 10"), "{error:?}");
        assert_eq!(run(&mut plugin(command), b"{\"a\":\"\xff\"}").error().code, code::DECODE);
        assert_eq!(run(&mut plugin(command), "").error().code, code::DECODE);
        assert_eq!(run(&mut plugin(command), "[".repeat(1_000_000)).error().code, code::DECODE);
    }
}

#[test]
fn versions_that_are_not_spoken() {
    for (command, version, expect) in [
        ("ADD", "0.2.0", "0.2.0 is not supported"),
        ("ADD", "", "means 0.1.0"),
        ("CHECK", "0.3.1", "config version does not allow CHECK"),
        ("GC", "1.0.0", "config version does not allow GC"),
        ("STATUS", "1.0.0", "config version does not allow STATUS"),
    ] {
        let error =
            run(&mut plugin(command), format!("{{\"cniVersion\":\"{version}\",\"name\":\"n\"}}")).error();
        assert_eq!(error.code, code::INCOMPATIBLE_VERSION);
        assert!(error.msg.contains(expect), "{error:?}");
    }
}

#[test]
fn errors_speak_the_configurations_version() {
    let place = Place::new();
    let error = run(&mut plugin("ADD"), place.config().replace("1.1.0", "0.3.1")).error();
    assert_eq!((error.code, error.cni_version.as_str()), (11, "0.3.1"));
}

#[test]
fn sockets_that_cannot_be() {
    let error = run(&mut plugin("ADD"), "{\"cniVersion\":\"1.1.0\",\"ipam\":{\"socket\":\"s\"}}").error();
    assert_eq!(error.code, code::INVALID_CONFIG);
    assert!(error.msg.contains("`ipam.socket` `s`") && error.details.contains(DEFAULT_SOCKET), "{error:?}");
    let error = run(plugin("ADD").env(SOCKET_ENV, "s"), "{\"cniVersion\":\"1.1.0\"}").error();
    assert_eq!(error.code, code::INVALID_ENVIRONMENT);
}

#[test]
fn a_del_is_carried_whatever_came_with_it() {
    let stripped = "{\"cniVersion\":\"1.1.0\",\"name\":\"pods\"}";
    for (stdin, config) in [
        ("", "null"),
        ("not JSON", "null"),
        ("[]", "null"),
        ("{\"cniVersion\":\"1.1.0\",", "null"),
        ("{\"name\":\"\\ud800\"}", "null"),
        ("{}", "{}"),
        (stripped, stripped),
        ("{\"cniVersion\":7,\"ipam\":[]}", "{\"cniVersion\":7,\"ipam\":[]}"),
    ] {
        let place = Place::new();
        let daemon = Fake::ok(&place.socket(), "");
        assert_eq!(run(plugin("DEL").env(SOCKET_ENV, place.socket()), stdin), Seen::nothing());
        let call = daemon.requests()[0].call();
        assert_eq!(call.config, serde_json::from_str::<Value>(config).unwrap(), "{stdin}");
        assert_eq!(call.container_id, "c0ffee");
    }
    let place = Place::new();
    assert_eq!(run(plugin("DEL").env(SOCKET_ENV, place.socket()), "not JSON"), Seen::nothing());
    assert_eq!(place.waiting(), ["c0ffee@eth0@.json"]);
}

#[test]
fn too_much() {
    let place = Place::new();
    let long = format!("{{\"cniVersion\":\"1.1.0\",\"x\":\"{}\"}}", "x".repeat(4 << 20));
    let error = run(&mut plugin("ADD"), &long).error();
    assert!(error.code == 6 && error.msg.contains("more than"), "{error:?}");
    assert_eq!(run(plugin("DEL").env(SOCKET_ENV, place.socket()), &long), Seen::nothing());
    assert_eq!(place.waiting(), ["c0ffee@eth0@.json"]);
}
