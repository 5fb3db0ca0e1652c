//! The network configuration on stdin: checked, but not understood. The daemon reads what is in it.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::PathBuf;

use crate::call::Command;
use crate::error::{Error, code};
use crate::json::{self, Object};
use crate::version;

/// A configuration is some hundred bytes; a `prevResult` or a list of valid attachments makes it longer, never this.
const MAX_BYTES: u64 = 4 << 20;

/// Where the daemon listens when nobody says otherwise.
const DEFAULT_SOCKET: &str = "/run/allotment/allotment.sock";

/// The environment variable that names another socket.
pub(crate) const SOCKET_ENV: &str = "ALLOTMENT_SOCKET";

/// Longest path of a Unix socket: `sun_path` has 108 bytes and ends with a zero.
const SOCKET_PATH_MAX: usize = 107;

/// What the plugin itself takes from the configuration.
#[derive(Debug, Default)]
pub(crate) struct Config<'a> {
    /// As it came; `null` when a DEL came without one that can be read.
    pub(crate) json: &'a str,
    /// Where it is one that we speak.
    pub(crate) version: Option<&'static str>,
    /// The network's name.
    pub(crate) network: String,
    /// The `ipam` section as it came.
    ipam: Option<&'a str>,
}

/// All of `stdin`, up to a byte more than is allowed.
pub(crate) fn read(stdin: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4096);
    stdin.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl<'a> Config<'a> {
    /// Checks what came on stdin.
    ///
    /// A DEL is carried even when its configuration is empty, broken, stripped down to nothing or of a version that we do
    /// not speak: the container's id and the interface tell the daemon what to release, and an error would keep the
    /// container from going (CNI SPEC 1.1.0, section 4, "DEL").
    pub(crate) fn check(command: Command, stdin: &'a io::Result<Vec<u8>>) -> Result<Config<'a>, Error> {
        let lenient = command == Command::Del;
        let (text, object) = match parse(stdin) {
            Ok(parsed) => parsed,
            Err(_) if lenient => return Ok(Config { json: "null", ..Config::default() }),
            Err(error) => return Err(error),
        };
        let asked = match member(&object, "cniVersion") {
            Ok(asked) => asked.unwrap_or_default(),
            Err(_) if lenient => String::new(),
            Err(value) => {
                let msg = format!("`cniVersion` is not a string: {value}");
                return Err(Error::new(code::DECODE, msg, "write it as \"1.1.0\""));
            }
        };
        let version = match version::check(&asked, command) {
            Ok(version) => Some(version),
            Err(_) if lenient => None,
            Err(error) => return Err(error),
        };
        let network = member(&object, "name").ok().flatten().unwrap_or_default();
        Ok(Config { json: text, version, network, ipam: object.get("ipam") })
    }

    /// Where the daemon listens: `ipam.socket`, else `ALLOTMENT_SOCKET` (`env`), else the default. A DEL passes over
    /// what cannot be a socket: no ADD has ever gone there.
    pub(crate) fn socket(&self, command: Command, env: Option<OsString>) -> Result<PathBuf, Error> {
        let lenient = command == Command::Del;
        match configured_socket(self.ipam) {
            Ok(Some(path)) => return Ok(path.into()),
            Err(error) if !lenient => return Err(error),
            _ => {}
        }
        let Some(path) = env.filter(|path| !path.is_empty()) else {
            return Ok(DEFAULT_SOCKET.into());
        };
        match unusable(path.as_encoded_bytes()) {
            None => Ok(path.into()),
            Some(_) if lenient => Ok(DEFAULT_SOCKET.into()),
            Some(why) => {
                let msg = format!("{SOCKET_ENV} `{}` cannot be a socket: {why}", path.to_string_lossy());
                Err(Error::new(
                    code::INVALID_ENVIRONMENT,
                    msg,
                    format!("leave it unset for {DEFAULT_SOCKET}"),
                ))
            }
        }
    }
}

fn parse(stdin: &io::Result<Vec<u8>>) -> Result<(&str, Object<'_>), Error> {
    const NEXT: &str = "the runtime hands the network configuration to the plugin as one JSON object";
    let bytes = match stdin {
        Ok(bytes) => bytes,
        Err(error) => return Err(Error::new(code::IO, format!("stdin cannot be read: {error}"), "")),
    };
    if bytes.len() as u64 > MAX_BYTES {
        let msg = format!("stdin has more than {MAX_BYTES} bytes");
        return Err(Error::new(code::DECODE, msg, "a network configuration is much smaller"));
    }
    if bytes.trim_ascii().is_empty() {
        return Err(Error::new(code::DECODE, "stdin is empty", NEXT));
    }
    let object = Object::parse(bytes).map_err(|fault| {
        let (line, column) = fault.place(bytes);
        let msg = format!("stdin is not a JSON object: {} at line {line}, column {column}", fault.what);
        Error::new(code::DECODE, msg, NEXT)
    })?;
    // `Object::parse` has looked: it is text.
    Ok((std::str::from_utf8(bytes).unwrap_or("null"), object))
}

/// A member that is a string; none if it is missing or null; the value as it stands if it is something else.
fn member<'a>(object: &Object<'a>, name: &str) -> Result<Option<String>, &'a str> {
    match object.get(name) {
        None | Some("null") => Ok(None),
        Some(value) => json::string(value).map(|text| Some(text.into_owned())).ok_or(value),
    }
}

/// `ipam.socket`. An `ipam` that is no object is the daemon's to refuse.
fn configured_socket(ipam: Option<&str>) -> Result<Option<String>, Error> {
    let Some(Ok(ipam)) = ipam.map(|ipam| Object::parse(ipam.as_bytes())) else {
        return Ok(None);
    };
    let refuse = |value: &str, why: &str| {
        let msg = format!("`ipam.socket` {value} cannot be a socket: {why}");
        Error::new(code::INVALID_CONFIG, msg, format!("leave it out for {DEFAULT_SOCKET}"))
    };
    let path = member(&ipam, "socket").map_err(|value| refuse(value, "it is not a string"))?;
    match path.filter(|path| !path.is_empty()) {
        None => Ok(None),
        Some(path) => match unusable(path.as_bytes()) {
            None => Ok(Some(path)),
            Some(why) => Err(refuse(&format!("`{path}`"), why)),
        },
    }
}

/// Why a path cannot be a Unix socket's, if it cannot. A relative one would depend on where the runtime runs.
fn unusable(path: &[u8]) -> Option<&'static str> {
    if !path.starts_with(b"/") {
        Some("it is not an absolute path")
    } else if path.len() > SOCKET_PATH_MAX {
        Some("it has more than 107 bytes")
    } else if path.contains(&0) {
        Some("it contains a zero byte")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
