//! Running the plugin as a runtime does.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use allotment_wire::cni;
use tempfile::TempDir;

/// The commands that go to the daemon.
pub(crate) const COMMANDS: [&str; 5] = ["ADD", "DEL", "CHECK", "GC", "STATUS"];

/// A folder for one test, with room for a socket.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.path().join("allotment.sock")
    }

    pub(crate) fn pending(&self) -> PathBuf {
        self.0.path().join(allotment_wire::PENDING_DEL)
    }

    /// The names in `pending-del/`, sorted.
    pub(crate) fn waiting(&self) -> Vec<String> {
        let Ok(entries) = self.pending().read_dir() else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A configuration whose daemon listens here.
    pub(crate) fn config(&self) -> String {
        format!(
            "{{\"cniVersion\": \"1.1.0\", \"name\": \"pods\",\n \"ipam\": {{\"type\": \"allotment\", \"socket\": {:?}}}}}",
            self.socket().to_str().unwrap()
        )
    }
}

/// What a runtime saw.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) status: i32,
    pub(crate) stdout: String,
}

impl Seen {
    pub(crate) fn of(output: &Output) -> Seen {
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "stderr is the runtime's");
        Seen {
            status: output.status.code().expect("it is not killed"),
            stdout: String::from_utf8(output.stdout.clone()).unwrap(),
        }
    }

    /// Success without a word.
    pub(crate) fn nothing() -> Seen {
        Seen { status: 0, stdout: String::new() }
    }

    #[track_caller]
    pub(crate) fn error(&self) -> cni::Error {
        assert_eq!(self.status, 1, "{self:?}");
        let error: cni::Error = serde_json::from_str(&self.stdout).expect(&self.stdout);
        assert!(
            cni::Version::ALL.map(cni::Version::as_str).contains(&error.cni_version.as_str()),
            "{error:?}"
        );
        assert!(cni::code::CODES.iter().any(|doc| doc.code == error.code), "{error:?}");
        error
    }
}

/// The plugin with the environment of `command`, and nothing else in it.
pub(crate) fn plugin(command: &str) -> Command {
    let mut plugin = Command::new(env!("CARGO_BIN_EXE_allotment"));
    plugin.env_clear().env("CNI_COMMAND", command);
    if !matches!(command, "GC" | "STATUS" | "VERSION") {
        plugin
            .env("CNI_CONTAINERID", "c0ffee")
            .env("CNI_NETNS", "/run/netns/a")
            .env("CNI_IFNAME", "eth0")
            .env("CNI_ARGS", "K8S_POD_NAME=a;K8S_POD_NAME=\"b\"");
    }
    plugin.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    plugin
}

/// Runs it to its end with `stdin`.
pub(crate) fn run(plugin: &mut Command, stdin: impl AsRef<[u8]>) -> Seen {
    let mut child = plugin.spawn().unwrap();
    // It may have ended without reading: the pipe is then broken.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_ref());
    Seen::of(&child.wait_with_output().unwrap())
}

/// Runs `command` against the daemon of `place`.
pub(crate) fn call(place: &Place, command: &str) -> Seen {
    run(&mut plugin(command), place.config())
}

pub(crate) fn mode_of(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().unwrap().permissions().mode() & 0o7777
}
