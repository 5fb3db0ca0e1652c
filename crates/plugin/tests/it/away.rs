//! The daemon is away, or as good as away.

use std::fs;
use std::thread;

use allotment_wire::cni::code;
use allotment_wire::{CniCall, SOCKET_ENV};

use crate::fake::{Fake, Reply};
use crate::plugin::{COMMANDS, Place, Seen, call, mode_of, plugin, run};

const ONE: &str = "c0ffee@eth0@pods.json";

/// What each command comes to when nobody can do it now.
fn check_away(place: &Place, command: &str) {
    let seen = call(place, command);
    if command == "DEL" {
        assert_eq!(seen, Seen::nothing());
        assert_eq!(place.waiting(), [ONE]);
        return;
    }
    let error = seen.error();
    let expect = if command == "STATUS" { code::NOT_AVAILABLE } else { code::TRY_AGAIN_LATER };
    assert_eq!(error.code, expect, "{command}: {error:?}");
    assert!(error.details.contains("allot ready"), "{command}: {error:?}");
    assert_eq!(place.waiting(), [""; 0], "only a DEL can wait");
}

#[test]
fn no_socket() {
    for command in COMMANDS {
        let place = Place::new();
        check_away(&place, command);
        if command != "DEL" {
            let error = call(&place, command).error();
            assert!(error.msg.contains(place.socket().to_str().unwrap()), "{error:?}");
        }
    }
}

#[test]
fn nobody_listens() {
    for command in COMMANDS {
        let place = Place::new();
        Fake::start(&place.socket(), vec![]).requests();
        assert!(place.socket().exists());
        check_away(&place, command);
    }
}

#[test]
fn broken_answers() {
    let replies: [&[u8]; 8] = [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"ips\"",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\nNot Found",
        b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 500 X\r\ncontent-length: 10\r\n\r\n{\"code\":7}",
        b"220 smtp.example ESMTP\r\n\r\n",
    ];
    for reply in replies {
        for command in COMMANDS {
            let place = Place::new();
            let attempts = if command == "DEL" { 2 } else { 1 };
            let daemon = Fake::start(&place.socket(), (0..attempts).map(|_| Reply::Raw(reply)).collect());
            check_away(&place, command);
            daemon.requests();
        }
    }
}

#[test]
fn an_add_without_a_result_is_no_success() {
    for body in ["", "[]", "null", "{\"ips\":", "ok"] {
        let place = Place::new();
        let daemon = Fake::ok(&place.socket(), body);
        check_away(&place, "ADD");
        daemon.requests();
    }
}

#[test]
fn a_daemon_that_hangs_up() {
    for command in COMMANDS {
        let place = Place::new();
        let attempts = if command == "DEL" { 2 } else { 1 };
        let daemon = Fake::start(&place.socket(), (0..attempts).map(|_| Reply::HangUp).collect());
        check_away(&place, command);
        daemon.requests();
    }
}

#[test]
fn a_daemon_that_stops() {
    let body = "{\"cniVersion\":\"1.1.0\",\"code\":11,\"msg\":\"the daemon stops\"}";
    for command in COMMANDS {
        let place = Place::new();
        let attempts = if command == "DEL" { 2 } else { 1 };
        let replies = (0..attempts).map(|_| Reply::Http(503, body.to_owned())).collect();
        let daemon = Fake::start(&place.socket(), replies);
        let seen = call(&place, command);
        match command {
            "DEL" => {
                assert_eq!(seen, Seen::nothing());
                assert_eq!(place.waiting(), [ONE]);
            }
            "STATUS" => assert_eq!((seen.error().code, seen.error().msg.as_str()), (50, "the daemon stops")),
            _ => assert_eq!(seen, Seen { status: 1, stdout: body.to_owned() }),
        }
        daemon.requests();
    }
}

#[test]
fn what_waits_is_what_would_have_been_sent() {
    let place = Place::new();
    assert_eq!(call(&place, "DEL"), Seen::nothing());
    let file = place.pending().join(ONE);
    let waiting = fs::read_to_string(&file).unwrap();
    assert_eq!((mode_of(&place.pending()), mode_of(&file)), (0o700, 0o600));
    let daemon = Fake::ok(&place.socket(), "");
    assert_eq!(call(&place, "DEL"), Seen::nothing());
    assert_eq!(daemon.requests()[0].body, waiting);
}

#[test]
fn folders_are_made_where_the_machine_has_just_started() {
    let place = Place::new();
    let socket = place.socket().parent().unwrap().join("run/allotment/s.sock");
    let mut plugin = plugin("DEL");
    plugin.env(SOCKET_ENV, &socket);
    assert_eq!(run(&mut plugin, "{\"cniVersion\":\"1.1.0\",\"name\":\"pods\"}"), Seen::nothing());
    assert!(socket.with_file_name("pending-del").join(ONE).exists());
}

#[test]
fn a_repeated_del_replaces_itself_and_others_stand_beside_it() {
    let place = Place::new();
    for netns in ["/run/netns/a", "", "/run/netns/b"] {
        assert_eq!(run(plugin("DEL").env("CNI_NETNS", netns), place.config()), Seen::nothing());
    }
    assert_eq!(place.waiting(), [ONE]);
    let text = fs::read_to_string(place.pending().join(ONE)).unwrap();
    let call: CniCall = serde_json::from_str(&text).unwrap();
    assert_eq!(call.netns, "/run/netns/b");
    assert_eq!(run(plugin("DEL").env("CNI_IFNAME", "net@1%"), place.config()), Seen::nothing());
    let long = "f".repeat(1000);
    assert_eq!(run(plugin("DEL").env("CNI_CONTAINERID", &long), place.config()), Seen::nothing());
    let network = place.config().replace("pods", "../../x");
    assert_eq!(run(&mut plugin("DEL"), network), Seen::nothing());
    let waiting = place.waiting();
    assert_eq!(waiting.len(), 4, "{waiting:?}");
    assert!(waiting.contains(&"c0ffee@net%401%25@pods.json".to_owned()), "{waiting:?}");
    assert!(waiting.contains(&"c0ffee@eth0@..%2f..%2fx.json".to_owned()), "{waiting:?}");
}

#[test]
fn many_at_once_leave_whole_files() {
    let place = Place::new();
    thread::scope(|scope| {
        for n in 0..16 {
            let place = &place;
            scope.spawn(move || {
                let id = format!("c{}", n % 4);
                assert_eq!(run(plugin("DEL").env("CNI_CONTAINERID", id), place.config()), Seen::nothing());
            });
        }
    });
    assert_eq!(
        place.waiting(),
        ["c0@eth0@pods.json", "c1@eth0@pods.json", "c2@eth0@pods.json", "c3@eth0@pods.json"]
    );
    for name in place.waiting() {
        let text = fs::read_to_string(place.pending().join(&name)).unwrap();
        let call: CniCall = serde_json::from_str(&text).unwrap();
        assert!(name.starts_with(&call.container_id), "{name}: {text}");
    }
}

#[test]
fn a_del_that_can_neither_be_done_nor_wait_says_why() {
    let place = Place::new();
    fs::write(place.pending(), "in the way").unwrap();
    let error = call(&place, "DEL").error();
    assert_eq!(error.code, code::TRY_AGAIN_LATER);
    assert!(error.msg.contains("no daemon answers") && error.msg.contains("cannot make"), "{error:?}");

    let place = Place::new();
    fs::create_dir_all(place.pending().join(ONE).join("in the way")).unwrap();
    let error = call(&place, "DEL").error();
    assert!(error.msg.contains("cannot write into"), "{error:?}");
    assert_eq!(place.waiting(), [ONE], "nothing unfinished stays behind");
}

/// The daemon comes up between the first attempt and the file: it has looked into the folder already.
#[test]
fn a_daemon_that_has_just_started_gets_the_del_at_once() {
    let place = Place::new();
    let daemon = Fake::start(&place.socket(), vec![Reply::HangUp, Reply::Http(200, String::new())]);
    assert_eq!(call(&place, "DEL"), Seen::nothing());
    assert_eq!(daemon.requests()[0].call().container_id, "c0ffee");
    assert_eq!(place.waiting(), [""; 0]);

    let place = Place::new();
    let error = "{\"code\":5,\"msg\":\"disk full\"}".to_owned();
    let daemon = Fake::start(&place.socket(), vec![Reply::HangUp, Reply::Http(500, error)]);
    assert_eq!(call(&place, "DEL"), Seen::nothing());
    daemon.requests();
    assert_eq!(place.waiting(), [ONE], "it waits until it is done");
}
