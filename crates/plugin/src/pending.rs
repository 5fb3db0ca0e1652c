//! DELs that the daemon finds when it is back (O2): one file each, in a folder beside the socket.
//!
//! A file holds the very body that `POST /v1/cni` would have had. Its name is made of the attachment, so a DEL that is
//! repeated replaces itself. Names that begin with a dot are still being written.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::call::Call;

/// The folder beside the socket.
const FOLDER: &str = "pending-del";

/// Longest stem of a name, well below the 255 bytes that file systems take.
const MAX_STEM: usize = 200;

/// Leaves `body`, and says where. When this returns, the file is there as a whole, whatever happens next.
pub(crate) fn leave(socket: &Path, call: &Call, network: &str, body: &str) -> Result<PathBuf, String> {
    let folder = socket.parent().unwrap_or(Path::new("/")).join(FOLDER);
    let fail = |what: &str, error: io::Error| format!("cannot {what} `{}`: {error}", folder.display());
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|error| fail("make", error))?;
    let file = folder.join(file_name(call, network));
    let unfinished = folder.join(unfinished_name());
    let written = write(&unfinished, body).and_then(|()| fs::rename(&unfinished, &file));
    written.map_err(|error| {
        remove(&unfinished);
        fail("write into", error)
    })?;
    Ok(file)
}

/// Removes a file that has served. If it cannot be, the daemon will find a DEL of something that is gone already.
pub(crate) fn remove(file: &Path) {
    let _ = fs::remove_file(file);
}

fn write(path: &Path, body: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(body.as_bytes())?;
    // The folder is not synced: what takes its entry away, a power failure, takes the container too.
    file.sync_all()
}

/// Of no other process, past or present: runtimes in several PID namespaces may share the folder.
fn unfinished_name() -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!(".{}-{nanos}", process::id())
}

/// `CONTAINER@INTERFACE@NETWORK.json`, for people to read. Whatever is not a letter, a digit, `_`, `.` or `-` is
/// written as `%` and two hexadecimal digits; a name that is too long ends in a hash of the whole.
fn file_name(call: &Call, network: &str) -> String {
    let mut stem = String::new();
    for (index, part) in [call.container_id.as_str(), &call.ifname, network].into_iter().enumerate() {
        if index > 0 {
            stem.push('@');
        }
        for byte in part.bytes() {
            if byte.is_ascii_alphanumeric() || b"_.-".contains(&byte) {
                stem.push(char::from(byte));
            } else {
                let _ = write!(stem, "%{byte:02x}");
            }
        }
    }
    if stem.len() > MAX_STEM {
        let hash = fnv1a(stem.as_bytes());
        stem.truncate(MAX_STEM - 17);
        let _ = write!(stem, "@{hash:016x}");
    }
    stem + ".json"
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::call::Command;

    fn name(container_id: &str, ifname: &str, network: &str) -> String {
        let call = Call {
            command: Command::Del,
            container_id: container_id.to_owned(),
            netns: String::new(),
            ifname: ifname.to_owned(),
            args: String::new(),
        };
        file_name(&call, network)
    }

    #[test]
    fn names_are_readable() {
        assert_eq!(name("c0ffee", "eth0", "pods"), "c0ffee@eth0@pods.json");
        assert_eq!(name("c0ffee", "a@b%", ""), "c0ffee@a%40b%25@.json");
    }

    #[test]
    fn different_attachments_have_different_names() {
        let (long, longer) = ("f".repeat(180), "f".repeat(4000));
        let parts = ["a", "b", "a@b", "a%40b", "a/b", "..", "é", "a\n", &long, &longer];
        let names: BTreeSet<String> = parts
            .iter()
            .flat_map(|a| parts.iter().map(move |b| (a, b)))
            .flat_map(|(a, b)| parts.iter().map(move |c| name(a, b, c)))
            .collect();
        assert_eq!(names.len(), parts.len().pow(3));
        for name in names {
            assert!(name.len() < 255 && !name.contains('/'), "{name}");
        }
    }
}
