//! A daemon in a folder of its own.

use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use allotment_core::{Allocation, AllocationState, Object, SubnetSpec};
use allotment_engine::{EmbeddedLedger, Engine, Handle, Ledger, LedgerError};
use allotment_node::{BindError, CniService, EngineVerbs, NodeMetrics, Socket, cni_router, serve};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// An owner and, where it was refused, the code.
type Told = (String, Option<&'static str>);

pub(crate) struct World {
    pub(crate) engine: Handle,
    pub(crate) service: Arc<CniService<EngineVerbs>>,
    pub(crate) metrics: NodeMetrics,
    /// What was told about each ADD.
    pub(crate) decided: Arc<Mutex<Vec<Told>>>,
    /// Whether the disk seems to be full.
    pub(crate) full: Arc<AtomicBool>,
    folder: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

impl World {
    /// With the given subnets: name and CIDRs.
    pub(crate) async fn new(subnets: &[(&str, &[&str])]) -> World {
        let world = World::start(tempfile::tempdir().unwrap());
        for (name, cidrs) in subnets {
            let cidrs = cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect();
            world.put(SubnetSpec::new(name, cidrs)).await;
        }
        world
    }

    pub(crate) fn start(folder: tempfile::TempDir) -> World {
        World::start_on(folder, |ledger| ledger)
    }

    /// With the ledger that `wrap` makes of the one in the folder.
    pub(crate) fn start_on<L: Ledger + 'static>(
        folder: tempfile::TempDir,
        wrap: impl FnOnce(EmbeddedLedger) -> L,
    ) -> World {
        let data = folder.path().join("data");
        std::fs::create_dir_all(&data).unwrap();
        let ledger = once_let_go(|| match EmbeddedLedger::open(&data) {
            Err(LedgerError::InUse { .. }) => None,
            other => Some(other.unwrap()),
        });
        let engine = Engine::open(wrap(ledger)).unwrap();
        let path = folder.path().join("allotment.sock");
        let socket = once_let_go(|| match Socket::bind(&path) {
            Err(BindError::Taken(_)) => None,
            other => Some(other.unwrap()),
        });
        let metrics = NodeMetrics::default();
        let decided = Arc::new(Mutex::new(Vec::new()));
        let told = decided.clone();
        let tell =
            move |owner: &allotment_core::Owner, _: &str, refusal: Option<&allotment_core::Refusal>| {
                told.lock().unwrap().push((owner.to_string(), refusal.map(|refusal| refusal.code.as_str())));
            };
        let full = Arc::new(AtomicBool::new(false));
        let told_full = full.clone();
        let writable = move || {
            if !told_full.load(Ordering::Relaxed) {
                return Ok(());
            }
            Err(LedgerError::Write { place: "the disk".to_owned(), why: "it is full".to_owned() })
        };
        let verbs = EngineVerbs::new(engine.clone(), &metrics, Box::new(tell), Box::new(writable));
        let service = CniService::new(verbs, &path, &metrics).unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(socket, cni_router(service.clone()), async {
            let _ = stopped.await;
        }));
        World { engine, service, metrics, decided, full, folder, stop, server }
    }

    /// Stops the daemon cleanly and returns its folder.
    pub(crate) async fn stop(self) -> tempfile::TempDir {
        self.stop.send(()).unwrap();
        self.server.await.unwrap().unwrap();
        drop(self.service);
        self.engine.stop().await;
        self.folder
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("allotment.sock")
    }

    pub(crate) fn pending(&self) -> PathBuf {
        self.folder.path().join(allotment_wire::PENDING_DEL)
    }

    pub(crate) async fn put(&self, spec: SubnetSpec) {
        self.engine.put(Object::Subnet(spec)).await.unwrap();
    }

    /// One call over the socket, as the plugin makes it: the HTTP status and the body, null where it is empty.
    pub(crate) async fn send(&self, body: Vec<u8>) -> (u16, Value) {
        let path = self.socket();
        let exchange = move || {
            let mut stream = UnixStream::connect(path).unwrap();
            let length = body.len();
            write!(
                stream,
                "POST /v1/cni HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
            // A body that is too long is not read to its end.
            let _ = stream.write_all(&body);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8(answer).unwrap()
        };
        let answer = tokio::task::spawn_blocking(exchange).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        assert!(
            head.to_ascii_lowercase().contains("\r\ncontent-length: "),
            "the plugin needs the length: {head}"
        );
        let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() };
        (status, body)
    }

    pub(crate) async fn call(&self, call: Call) -> Result<Value, Failure> {
        let (status, body) = self.send(serde_json::to_vec(&call.0).unwrap()).await;
        if status == 200 {
            return Ok(body);
        }
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        assert!(!text("cniVersion").is_empty(), "{body}");
        Err(Failure { code: body["code"].as_u64().unwrap(), msg: text("msg"), details: text("details") })
    }

    /// The addresses an ADD was answered with.
    pub(crate) async fn add(&self, call: Call) -> Result<Vec<String>, Failure> {
        let result = self.call(call).await?;
        let ips = result["ips"].as_array().unwrap().iter();
        Ok(ips.map(|ip| ip["address"].as_str().unwrap().to_owned()).collect())
    }

    pub(crate) async fn allocation(&self, vrf: &'static str, address: &str) -> Option<Allocation> {
        let address: IpAddr = address.parse().unwrap();
        self.engine.read(move |state, _| state.allocation(vrf, address)).await.unwrap()
    }

    /// Every active address, ascending.
    pub(crate) async fn active(&self) -> Vec<String> {
        let all = |state: &allotment_core::State, _| -> Vec<Allocation> {
            state.blocks().flat_map(|block| state.places(block)).filter_map(|place| state.at(place)).collect()
        };
        let all = self.engine.read(all).await.unwrap();
        let active = all.into_iter().filter(|allocation| allocation.state == AllocationState::Active);
        active.map(|allocation| allocation.address.to_string()).collect()
    }
}

/// Other tests start programs: between fork and exec each of those has our locks open, when we have let go of them.
fn once_let_go<T>(mut take: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(taken) = take() {
            return taken;
        }
        std::thread::yield_now();
    }
}

/// CNI's error.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u64,
    pub(crate) msg: String,
    pub(crate) details: String,
}

/// The body of a call.
#[derive(Clone)]
pub(crate) struct Call(pub(crate) Value);

/// A call on network `lan` for interface `eth0`, without anything in `ipam` but the type.
pub(crate) fn call(command: &str, container: &str) -> Call {
    Call(json!({
        "command": command,
        "containerId": container,
        "netns": "",
        "ifname": "eth0",
        "args": "",
        "config": {"cniVersion": "1.1.0", "name": "lan", "type": "bridge", "ipam": {"type": "allotment"}},
    }))
}

impl Call {
    pub(crate) fn set(mut self, key: &str, value: impl Into<Value>) -> Call {
        self.0[key] = value.into();
        self
    }

    /// A member of the configuration.
    pub(crate) fn config(mut self, key: &str, value: impl Into<Value>) -> Call {
        self.0["config"][key] = value.into();
        self
    }

    /// A member of `ipam`.
    pub(crate) fn ipam(mut self, key: &str, value: impl Into<Value>) -> Call {
        self.0["config"]["ipam"][key] = value.into();
        self
    }
}
