//! A daemon in a folder of its own: `Daemon::with(&[("lan.yaml", &subnet("lan", "10.0.0.0/24"))])`.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than anything here takes on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(30);

/// A folder with objects, data, socket and log, and the daemon on it while it runs.
pub(crate) struct Daemon {
    pub(crate) folder: TempDir,
    child: Option<Child>,
    pub(crate) args: Vec<String>,
}

/// What a command of the tool did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Daemon {
    /// Files are there before the daemon starts.
    pub(crate) fn with(files: &[(&str, &str)]) -> Daemon {
        let mut daemon = Daemon::stopped(files);
        daemon.start();
        daemon
    }

    pub(crate) fn stopped(files: &[(&str, &str)]) -> Daemon {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("objects")).unwrap();
        let daemon = Daemon { folder, child: None, args: Vec::new() };
        for (name, text) in files {
            daemon.write(name, text);
        }
        daemon
    }

    /// Starts it and waits until it serves.
    pub(crate) fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.standalone();
        self.child = Some(command.stderr(log).spawn().unwrap());
        let ready = self.tool(&["ready", "--timeout", "30s"]);
        assert_eq!(ready.code, 0, "{}\n{}", ready.err, self.log());
    }

    /// The command that starts it.
    pub(crate) fn standalone(&self) -> Command {
        self.standalone_at("data", "a.sock")
    }

    /// The command that starts one on another data folder or socket.
    pub(crate) fn standalone_at(&self, data: &str, socket: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
        command
            .arg("standalone")
            .arg("--objects")
            .arg(self.path("objects"))
            .arg("--data")
            .arg(self.path(data));
        command.arg("--socket").arg(self.path(socket)).args(&self.args).stdin(Stdio::null());
        command
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Writes a file of objects, in one step as an editor does.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let draft = self.path("objects").join(format!(".{name}.draft"));
        fs::write(&draft, text).unwrap();
        fs::rename(draft, self.path("objects").join(name)).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path("objects").join(name)).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        wait_for("the daemon ends", || child.try_wait().unwrap())
    }

    pub(crate) fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.ended();
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// Runs a command of the tool.
    pub(crate) fn tool(&self, args: &[&str]) -> Done {
        self.tool_with(args, "")
    }

    /// The same, with something on its standard input.
    pub(crate) fn tool_with(&self, args: &[&str], input: &str) -> Done {
        let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
        command.args(args).env("ALLOTMENT_SOCKET", self.path("a.sock")).current_dir(self.folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = thread::spawn(move || {
            // A command that has seen enough closes its end.
            let _ = stdin.write_all(input.as_bytes());
        });
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Done { code: status.code().expect("it ends by itself"), out: text(stdout), err: text(stderr) }
    }

    /// The rows of a list.
    pub(crate) fn rows(&self, args: &[&str]) -> Vec<Value> {
        let done = self.tool(&[args, &["-o", "json"]].concat());
        serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {done:?}"))
    }

    /// A CNI call for a pod `shop/<id>` on network `lan`; the answer's code (0: done) and its addresses.
    pub(crate) fn cni(&self, command: &str, id: &str, ipam: &Value) -> (u64, Vec<String>) {
        self.call(command, id, "", ipam)
    }

    /// The same, in a network namespace.
    pub(crate) fn call(&self, command: &str, id: &str, netns: &str, ipam: &Value) -> (u64, Vec<String>) {
        let mut section = json!({"type": "allotment"});
        section.as_object_mut().unwrap().extend(ipam.as_object().unwrap().clone());
        let call = json!({
            "command": command, "containerId": id, "netns": netns, "ifname": "eth0",
            "args": format!("K8S_POD_NAMESPACE=shop;K8S_POD_NAME={id};K8S_POD_UID=uid-{id}"),
            "config": {"cniVersion": "1.1.0", "name": "lan", "type": "bridge", "ipam": section},
        });
        let (_, body) = self.http("POST", "/v1/cni", &call.to_string());
        let answer: Value = if body.is_empty() { Value::Null } else { serde_json::from_str(&body).unwrap() };
        let ips = answer["ips"].as_array().cloned().unwrap_or_default();
        let address = |ip: &Value| ip["address"].as_str().unwrap().split('/').next().unwrap().to_owned();
        (answer["code"].as_u64().unwrap_or(0), ips.iter().map(address).collect())
    }

    /// ADD on a subnet, which has to succeed.
    pub(crate) fn add(&self, id: &str, subnet: &str) -> Vec<String> {
        let (code, ips) = self.cni("ADD", id, &json!({"subnets": [subnet]}));
        assert_eq!(code, 0, "{}", self.log());
        ips
    }

    pub(crate) fn del(&self, id: &str) {
        assert_eq!(self.cni("DEL", id, &json!({})).0, 0);
    }

    /// One request over the socket: status and body.
    pub(crate) fn http(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        exchange(UnixStream::connect(self.path("a.sock")).unwrap(), method, path, body)
    }

    /// Waits until the CIDR of a subnet's first family is this one.
    pub(crate) fn wait_for_cidr(&self, subnet: &str, cidr: &str) {
        wait_for(&format!("{subnet} has {cidr}"), || {
            let rows = self.rows(&["subnet"]);
            rows.iter().any(|row| row["name"] == subnet && row["cidr"] == cidr).then_some(())
        });
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// One request, one answer, over any stream.
pub(crate) fn exchange<S: Read + Write>(
    mut stream: S,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, String) {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: allotment\r\nconnection: close\r\n");
    write!(request, "content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}

/// Looks again and again until there is something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {LIMIT:?} in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn object(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: allotment.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n---\n"
    )
}

/// A subnet of one CIDR.
pub(crate) fn subnet(name: &str, cidr: &str) -> String {
    object("Subnet", name, &format!("cidrs: [\"{cidr}\"]"))
}
