//! What the runtime says in the environment (CNI SPEC 1.1.0, section 2, "Parameters").

use std::ffi::OsString;

use crate::error::{Error, code};
use crate::json;

/// Longest interface name that Linux takes, in bytes.
const IFNAME_MAX: usize = 15;

/// `CNI_COMMAND`, without VERSION, which needs nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Add,
    Del,
    Check,
    Gc,
    Status,
}

impl Command {
    pub(crate) fn parse(name: &str) -> Result<Command, Error> {
        Ok(match name {
            "ADD" => Command::Add,
            "DEL" => Command::Del,
            "CHECK" => Command::Check,
            "GC" => Command::Gc,
            "STATUS" => Command::Status,
            "" => {
                return Err(Error::new(
                    code::INVALID_ENVIRONMENT,
                    "CNI_COMMAND is not set",
                    "this is a CNI plugin, which container runtimes start; the tool for people is `allot`",
                ));
            }
            other => {
                return Err(Error::new(
                    code::INVALID_ENVIRONMENT,
                    format!("CNI_COMMAND `{other}` is not known"),
                    "it is one of ADD, DEL, CHECK, GC, STATUS, VERSION",
                ));
            }
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Command::Add => "ADD",
            Command::Del => "DEL",
            Command::Check => "CHECK",
            Command::Gc => "GC",
            Command::Status => "STATUS",
        }
    }

    /// Variables without which the command cannot be done. `CNI_PATH`, which is for plugins that start others, is not
    /// among them.
    fn required(self) -> &'static [&'static str] {
        match self {
            Command::Add | Command::Check => &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
            Command::Del => &["CNI_CONTAINERID", "CNI_IFNAME"],
            Command::Gc | Command::Status => &[],
        }
    }
}

/// One call, as the environment has it. Empty is unset.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) command: Command,
    pub(crate) container_id: String,
    pub(crate) netns: String,
    pub(crate) ifname: String,
    pub(crate) args: String,
}

impl Call {
    /// Reads and checks the variables that `command` needs; `env` gives them.
    pub(crate) fn read(command: Command, env: impl Fn(&str) -> Option<OsString>) -> Result<Call, Error> {
        let get = |name: &str| {
            let value = env(name).unwrap_or_default();
            // A DEL is carried whatever else is wrong with it; identifiers are checked below.
            if command == Command::Del {
                return Ok(value.to_string_lossy().into_owned());
            }
            value.into_string().map_err(|value| {
                let msg = format!("{name} is not UTF-8: `{}`", value.to_string_lossy());
                Error::new(code::INVALID_ENVIRONMENT, msg, "")
            })
        };
        let mut missing = Vec::new();
        for &name in command.required() {
            if get(name)?.is_empty() {
                missing.push(name);
            }
        }
        if !missing.is_empty() {
            let verb = if missing.len() == 1 { "is" } else { "are" };
            return Err(Error::new(
                code::INVALID_ENVIRONMENT,
                format!("{} {verb} not set", missing.join(", ")),
                format!("{} needs {}", command.name(), command.required().join(", ")),
            ));
        }
        let mut call = Call {
            command,
            container_id: String::new(),
            netns: String::new(),
            ifname: String::new(),
            args: String::new(),
        };
        if !matches!(command, Command::Gc | Command::Status) {
            call.container_id = get("CNI_CONTAINERID")?;
            call.netns = get("CNI_NETNS")?;
            call.ifname = get("CNI_IFNAME")?;
            call.args = get("CNI_ARGS")?;
            check_container_id(&call.container_id)?;
            check_ifname(&call.ifname)?;
        }
        Ok(call)
    }

    /// The body of `POST /v1/cni`, with the configuration as it came.
    pub(crate) fn body(&self, config: &str) -> String {
        let mut out = String::with_capacity(256 + self.args.len() + config.len());
        for (name, value) in [
            ("{\"command\":", self.command.name()),
            (",\"containerId\":", &self.container_id),
            (",\"netns\":", &self.netns),
            (",\"ifname\":", &self.ifname),
            (",\"args\":", &self.args),
        ] {
            out.push_str(name);
            json::quote(value, &mut out);
        }
        out.push_str(",\"config\":");
        out.push_str(config);
        out.push('}');
        out
    }
}

/// `^[a-zA-Z0-9][a-zA-Z0-9_.\-]*$`
fn check_container_id(id: &str) -> Result<(), Error> {
    let legal = id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        && id.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if legal {
        return Ok(());
    }
    Err(Error::new(
        code::INVALID_ENVIRONMENT,
        format!("CNI_CONTAINERID `{id}` is not legal"),
        "it begins with a letter or digit, followed by letters, digits, `_`, `.` and `-`",
    ))
}

fn check_ifname(name: &str) -> Result<(), Error> {
    let why = if name.len() > IFNAME_MAX {
        "it has more than 15 bytes"
    } else if name == "." || name == ".." {
        "it is `.` or `..`"
    } else if name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace()) {
        "it contains `/`, `:` or white space"
    } else {
        return Ok(());
    };
    Err(Error::new(code::INVALID_ENVIRONMENT, format!("CNI_IFNAME `{name}` is not legal"), why))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn call(command: Command, env: &[(&str, &str)]) -> Result<Call, Error> {
        Call::read(command, |name| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    const FULL: [(&str, &str); 4] = [
        ("CNI_CONTAINERID", "c0ffee"),
        ("CNI_NETNS", "/run/netns/a"),
        ("CNI_IFNAME", "eth0"),
        ("CNI_ARGS", "K=V"),
    ];

    #[test]
    fn what_is_missing_is_named() {
        let rows = [
            (Command::Add, "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME are not set"),
            (Command::Check, "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME are not set"),
            (Command::Del, "CNI_CONTAINERID, CNI_IFNAME are not set"),
        ];
        for (command, expect) in rows {
            let error = call(command, &[]).unwrap_err();
            assert_eq!((error.code, error.msg.as_str()), (4, expect));
            for name in command.required() {
                let without: Vec<_> = FULL.into_iter().filter(|(key, _)| key != name).collect();
                assert_eq!(call(command, &without).unwrap_err().msg, format!("{name} is not set"));
                let empty = FULL.map(|(key, value)| (key, if key == *name { "" } else { value }));
                assert_eq!(call(command, &empty).unwrap_err().msg, format!("{name} is not set"));
            }
            assert!(call(command, &FULL).is_ok());
        }
    }

    #[test]
    fn commands() {
        for command in [Command::Add, Command::Del, Command::Check, Command::Gc, Command::Status] {
            assert_eq!(Command::parse(command.name()), Ok(command));
        }
        for name in ["", "add", "VERSION", "ADD "] {
            assert_eq!(Command::parse(name).unwrap_err().code, 4, "{name}");
        }
    }

    fn with(name: &str, value: &str) -> Result<Call, Error> {
        call(Command::Del, &FULL.map(|(key, old)| (key, if key == name { value } else { old })))
    }

    #[test]
    fn container_ids() {
        for id in ["a", "0", "A.b-c_d", &"f".repeat(300)] {
            assert!(with("CNI_CONTAINERID", id).is_ok(), "{id}");
        }
        for id in [".a", "-a", "_a", "a b", "a/b", "é", "a\n", "a:b"] {
            assert_eq!(with("CNI_CONTAINERID", id).unwrap_err().code, 4, "{id}");
        }
    }

    #[test]
    fn interface_names() {
        for name in ["e", "eth0", "fifteen-bytes--", "...", "a\"b", "é"] {
            assert!(with("CNI_IFNAME", name).is_ok(), "{name}");
        }
        for name in [".", "..", "sixteen-bytes---", "a/b", "a:b", "a b", "a\tb", "a\u{a0}b", "éééééééé"]
        {
            assert_eq!(with("CNI_IFNAME", name).unwrap_err().code, 4, "{name}");
        }
    }

    #[test]
    fn bytes_that_are_no_text() {
        let env = |name: &str| match name {
            "CNI_ARGS" => Some(OsString::from_vec(vec![b'A', b'=', 0xff])),
            _ => FULL.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()),
        };
        assert_eq!(Call::read(Command::Add, env).unwrap_err().code, 4);
        assert_eq!(Call::read(Command::Del, env).unwrap().args, "A=\u{fffd}");
    }

    #[test]
    fn gc_and_status_need_and_carry_no_attachment() {
        for (command, env) in [(Command::Gc, FULL.as_slice()), (Command::Status, &[])] {
            let call = call(command, env).unwrap();
            assert_eq!((call.container_id.as_str(), call.ifname.as_str()), ("", ""));
        }
    }
}
