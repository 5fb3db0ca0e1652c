use super::*;

const ALL: [Command; 5] = [Command::Add, Command::Del, Command::Check, Command::Gc, Command::Status];

fn stdin(text: &str) -> io::Result<Vec<u8>> {
    read(&mut text.as_bytes())
}

fn code_of(command: Command, text: &str) -> Option<u32> {
    Config::check(command, &stdin(text)).err().map(|error| error.code)
}

fn socket(command: Command, text: &str, env: &str) -> Result<String, u32> {
    let stdin = stdin(text);
    let config = Config::check(command, &stdin).expect(text);
    let path = config.socket(command, Some(env.into())).map_err(|error| error.code)?;
    Ok(path.into_os_string().into_string().unwrap())
}

#[test]
fn broken_configurations_are_code_6_and_a_del_is_carried_all_the_same() {
    for text in ["", " \n", "{", "[]", "null", "{} {}", "\u{feff}{}", r#"{"a":1e999}"#] {
        for command in ALL {
            let expect = (command != Command::Del).then_some(6);
            assert_eq!(code_of(command, text), expect, "{text:?} {}", command.name());
        }
        let stdin = stdin(text);
        assert_eq!(Config::check(Command::Del, &stdin).unwrap().json, "null");
    }
    let bytes = Ok(b"{\"cniVersion\":\"1.1.0\",\n\"name\":\"\xff\"}".to_vec());
    let error = Config::check(Command::Add, &bytes).unwrap_err();
    assert_eq!((error.code, error.msg.contains("line 2, column 9")), (6, true), "{error:?}");
    assert_eq!(Config::check(Command::Del, &bytes).unwrap().json, "null");
}

#[test]
fn a_reader_that_fails_is_code_5() {
    let broken = || Err(io::ErrorKind::BrokenPipe.into());
    assert_eq!(Config::check(Command::Add, &broken()).unwrap_err().code, 5);
    assert_eq!(Config::check(Command::Del, &broken()).unwrap().json, "null");
}

#[test]
fn too_much_is_not_read() {
    let bytes = read(&mut io::repeat(b' ')).unwrap();
    assert_eq!(bytes.len() as u64, MAX_BYTES + 1);
    let error = Config::check(Command::Add, &Ok(bytes)).unwrap_err();
    assert!(error.code == 6 && error.msg.contains("more than 4194304 bytes"), "{error:?}");
}

#[test]
fn versions() {
    for (version, add) in [
        (r#""cniVersion":"1.1.0","#, None),
        (r#""cniVersion":"0.3.0","#, None),
        (r#""cniVersion":"0.2.0","#, Some(1)),
        (r#""cniVersion":"2.0.0","#, Some(1)),
        (r#""cniVersion":"","#, Some(1)),
        (r#""cniVersion":null,"#, Some(1)),
        ("", Some(1)),
        (r#""cniVersion":1.1,"#, Some(6)),
        (r#""cniVersion":"9","cniVersion":"1.1.0","#, None),
    ] {
        let text = format!(r#"{{{version}"name":"n"}}"#);
        assert_eq!(code_of(Command::Add, &text), add, "{text}");
        // A DEL is carried whatever its version is, with all that it says.
        let stdin = stdin(&text);
        let config = Config::check(Command::Del, &stdin).unwrap();
        assert_eq!((config.json, config.network.as_str()), (text.as_str(), "n"));
    }
}

#[test]
fn whose_socket_it_is() {
    let config = |ipam: &str| format!(r#"{{"cniVersion":"1.1.0","ipam":{ipam}}}"#);
    let long = format!("/{}", "s".repeat(106));
    for (ipam, env, expect) in [
        (r#"{"socket":"/a"}"#, "/b", "/a"),
        (r#"{"socket":"/a\u002fb"}"#, "", "/a/b"),
        (r#"{"socket":"/x","socket":"/a"}"#, "/b", "/a"),
        (r#"{"socket":""}"#, "/b", "/b"),
        (r#"{"socket":null}"#, "/b", "/b"),
        ("{}", "/b", "/b"),
        ("{}", "", DEFAULT_SOCKET),
        ("null", "/b", "/b"),
        (r#""host-local""#, "/b", "/b"),
        (&format!(r#"{{"socket":"{long}"}}"#), "", &long),
    ] {
        assert_eq!(socket(Command::Add, &config(ipam), env).as_deref(), Ok(expect), "{ipam}");
    }
    assert_eq!(
        socket(Command::Add, r#"{"cniVersion":"1.1.0","socket":"/a"}"#, "").as_deref(),
        Ok(DEFAULT_SOCKET)
    );
}

#[test]
fn what_cannot_be_a_socket() {
    let long = format!("/{}", "s".repeat(107));
    for path in ["s", "./s", "/a\\u0000b", &long] {
        let config = format!(r#"{{"cniVersion":"1.1.0","ipam":{{"socket":"{path}"}}}}"#);
        assert_eq!(socket(Command::Add, &config, ""), Err(7), "{path}");
        assert_eq!(socket(Command::Del, &config, "/b").as_deref(), Ok("/b"), "{path}");
    }
    assert_eq!(socket(Command::Status, r#"{"cniVersion":"1.1.0","ipam":{"socket":7}}"#, ""), Err(7));
    for path in ["s", &long] {
        assert_eq!(socket(Command::Add, r#"{"cniVersion":"1.1.0"}"#, path), Err(4), "{path}");
        assert_eq!(socket(Command::Del, "", path).as_deref(), Ok(DEFAULT_SOCKET), "{path}");
    }
}
