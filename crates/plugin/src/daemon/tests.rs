use std::os::unix::net::UnixListener;

use super::*;

fn told(command: Command, status: u16, body: &str) -> Result<Verdict, String> {
    judge(command, Answer { status, body: body.into() })
}

const ALL: [Command; 5] = [Command::Add, Command::Del, Command::Check, Command::Gc, Command::Status];

#[test]
fn what_the_daemon_says_passes_through() {
    for command in ALL {
        assert_eq!(told(command, 200, "{ \"ips\": [] }\n"), Ok(Ok(b"{ \"ips\": [] }\n".to_vec())));
        for status in [400, 404, 409, 500] {
            let error = "{\"code\":100, \"msg\":\"full\"}\n";
            assert_eq!(told(command, status, error), Ok(Err(error.into())), "{status}");
        }
    }
}

#[test]
fn only_add_has_a_result() {
    for command in ALL {
        assert_eq!(told(command, 200, "").is_ok(), command != Command::Add);
    }
    assert!(told(Command::Add, 200, "[]").is_err());
    assert!(told(Command::Add, 200, "{\"ips\":").is_err());
}

#[test]
fn what_is_no_cni_error_is_no_answer() {
    for body in [
        "",
        "Not Found",
        "{}",
        "{\"code\":7}",
        "{\"code\":\"7\",\"msg\":\"x\"}",
        "{\"code\":7,\"msg\":1}",
        "[7]",
    ] {
        for command in ALL {
            let why = told(command, 404, body).unwrap_err();
            assert!(why.contains("404") && why.contains(body), "{why}");
        }
    }
    let why = told(Command::Add, 500, &"é".repeat(1000)).unwrap_err();
    assert!(why.len() < 300, "{why}");
}

#[test]
fn only_root_may_call() {
    for command in ALL {
        assert!(told(command, 403, "").unwrap_err().contains("only root"));
    }
}

#[test]
fn a_draining_daemon_is_as_good_as_none() {
    let body = "{\"code\":11,\"msg\":\"draining \\u0041\"}";
    assert_eq!(told(Command::Del, 503, body), Err("draining A".to_owned()));
    assert_eq!(told(Command::Status, 503, body), Err("draining A".to_owned()));
    for command in [Command::Add, Command::Check, Command::Gc] {
        assert_eq!(told(command, 503, body), Ok(Err(body.into())));
    }
    let body = "{\"code\":50,\"msg\":\"the ledger cannot be written\"}";
    assert_eq!(told(Command::Status, 503, body), Ok(Err(body.into())));
}

#[test]
fn nothing_outlives_the_deadline() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let deadline = Instant::now() + Duration::from_millis(20);
    let fault = exchange(&ours, b"x", deadline).unwrap_err();
    assert!(matches!(fault, Fault::Io(error) if is_timeout(&error)));
    // Nobody reads: the buffers fill up.
    let deadline = Instant::now() + Duration::from_millis(20);
    let fault = exchange(&ours, &vec![0; 8 << 20], deadline).unwrap_err();
    assert!(matches!(fault, Fault::Io(error) if is_timeout(&error)));
    // Bytes that keep coming do not put it off.
    (&theirs).write_all(b"HTTP").unwrap();
    let late = Timed { stream: &ours, deadline: Instant::now() }.read(&mut [0; 4]).unwrap_err();
    assert!(is_timeout(&late), "{late:?}");
}

#[test]
fn a_daemon_that_does_not_answer_in_time_is_not_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let daemon = Daemon { socket: &socket, command: Command::Del, limit: Duration::from_millis(20) };
    let nobody = daemon.ask(b"x").unwrap_err();
    let listener = UnixListener::bind(&socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let slow = daemon.ask(b"x").unwrap_err();
    assert_eq!((nobody.timed_out, slow.timed_out), (false, true));
    listener.accept().unwrap();
    assert!(!daemon.does_it_after_all(b"x", &slow));
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "nobody came");
    assert!(!daemon.does_it_after_all(b"x", &nobody));
    listener.accept().expect("it was tried");
}

#[test]
fn an_answer_given_before_everything_was_read_counts() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").unwrap();
    drop(theirs);
    let answer = exchange(&ours, &vec![0; 8 << 20], Instant::now() + Duration::from_mins(1)).unwrap();
    assert_eq!(answer.status, 413);
}
