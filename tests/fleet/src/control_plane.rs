//! etcd and kube-apiserver, on ports of their own, in a folder of their own.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use allotment_lab::Scratch;
use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, Config};
use tokio::time::{Instant, sleep};

use crate::kubeconfig::{self, Identity};
use crate::pki::{self, Authority};
use crate::{Life, Server, ports, programs};

/// Both start in 4 seconds on a free machine; on a busy one in many times that.
const READY_LIMIT: Duration = Duration::from_mins(2);

/// How often readiness is asked for.
const POLL: Duration = Duration::from_millis(20);

/// The administrator's token. Nobody but this machine's users reaches 127.0.0.1.
const TOKEN: &str = "fleet-admin";

/// Whether etcd makes every write durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As in production: for measuring, and for what happens when the machine stops.
    Fsync,
    /// It still survives being killed, as the kernel keeps what was written: enough for tests of function, and faster.
    Unsafe,
}

/// A control plane for nodes that are real: it has a network of its own with them, and demands service accounts of pods.
pub struct Real {
    /// The network namespace that both programs run in.
    pub netns: PathBuf,
    /// Where the API server is reached, from this process too.
    pub address: IpAddr,
    pub port: u16,
    /// Further names and addresses of the API server.
    pub names: Vec<String>,
    pub users: Vec<User>,
}

/// Somebody that the API server knows by a token.
pub struct User {
    pub token: String,
    pub name: String,
    pub groups: Vec<String>,
}

/// What a control plane may be told.
pub struct Settings {
    pub durability: Durability,
    pub life: Life,
    /// Where its files go, and stay; without one, into a folder that goes with it.
    pub folder: Option<PathBuf>,
    /// Where that folder is made; without one, among temporary files, which may be in memory.
    pub parent: Option<PathBuf>,
    /// Further arguments of etcd, such as a quota.
    pub etcd: Vec<String>,
    /// Further arguments of kube-apiserver, such as feature gates.
    pub api_server: Vec<String>,
    /// For nodes that are more than objects; without it everything is on 127.0.0.1.
    pub real: Option<Real>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            durability: Durability::Unsafe,
            life: Life::Tied,
            folder: None,
            parent: None,
            etcd: Vec::new(),
            api_server: Vec::new(),
            real: None,
        }
    }
}

/// A running control plane. Dropping it ends both programs, unless they are to stay.
pub struct ControlPlane {
    // The programs go before the folder that they write to.
    api_server: Server,
    etcd: Server,
    authority: Authority,
    url: String,
    etcd_url: String,
    folder: PathBuf,
    life: Life,
    kubeconfigs: AtomicU32,
    _scratch: Option<Scratch>,
}

impl ControlPlane {
    /// Starts one for tests of function and waits until it serves.
    ///
    /// It costs some 350 MB and several seconds: a test binary starts one and keeps it in a `OnceLock`.
    pub fn start() -> Result<ControlPlane> {
        ControlPlane::start_with(Settings::default())
    }

    /// Starts one and waits until it serves.
    pub fn start_with(settings: Settings) -> Result<ControlPlane> {
        let plane = ControlPlane::prepare(settings)?;
        plane.etcd.start()?;
        plane.api_server.start()?;
        plane.wait_ready()?;
        Ok(plane)
    }

    fn prepare(settings: Settings) -> Result<ControlPlane> {
        let (etcd, api_server) = (programs::path("etcd")?, programs::path("kube-apiserver")?);
        let parent = settings.parent.unwrap_or_else(std::env::temp_dir);
        let scratch = if settings.folder.is_none() { Some(Scratch::new_in(&parent)?) } else { None };
        let folder = settings.folder.or_else(|| Some(scratch.as_ref()?.path().to_owned()));
        let folder = folder.context("a control plane has a folder")?;
        let authority = Authority::new()?;
        let real = settings.real.as_ref();
        write_files(&folder, &authority, real)?;
        let (etcd_url, peer_url) = (local("http", ports::free()?), local("http", ports::free()?));
        let etcd = server("etcd", &etcd, &folder, settings.life, real)
            .args(etcd_args(&folder, &etcd_url, &peer_url, settings.durability))
            .args(settings.etcd);
        let (address, port) = match real {
            Some(real) => (real.address, real.port),
            None => (Ipv4Addr::LOCALHOST.into(), ports::free()?),
        };
        let api_server = server("kube-apiserver", &api_server, &folder, settings.life, real)
            .args(api_server_args(&folder, &etcd_url, address, port))
            .args(admission(real))
            .args(settings.api_server);
        let url = format!("https://{}", SocketAddr::new(address, port));
        kubeconfig::write(&folder.join("kubeconfig"), &url, &folder.join("ca.crt"), &Identity::token(TOKEN))?;
        Ok(ControlPlane {
            api_server,
            etcd,
            authority,
            url,
            etcd_url,
            folder,
            life: settings.life,
            kubeconfigs: AtomicU32::new(0),
            _scratch: scratch,
        })
    }

    pub fn etcd(&self) -> &Server {
        &self.etcd
    }

    pub fn api_server(&self) -> &Server {
        &self.api_server
    }

    /// `https://ADDRESS:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `http://127.0.0.1:PORT`, with `/metrics`.
    pub fn etcd_url(&self) -> &str {
        &self.etcd_url
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn life(&self) -> Life {
        self.life
    }

    /// A file for an administrator who may do everything (group `system:masters`).
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// A file for a user in these groups, by impersonation: to RBAC and to every policy it is that user who asks.
    pub fn kubeconfig_for(&self, user: &str, groups: &[&str]) -> Result<PathBuf> {
        self.write_kubeconfig(&Identity::speaking_for(TOKEN, user, groups))
    }

    /// A file for whoever holds this token, such as that of a service account.
    pub fn kubeconfig_with(&self, token: &str) -> Result<PathBuf> {
        self.write_kubeconfig(&Identity::token(token))
    }

    /// The user of another file, who asks another server, such as a proxy.
    pub(crate) fn kubeconfig_through(&self, file: &Path, url: &str) -> Result<PathBuf> {
        let path = self.new_kubeconfig();
        kubeconfig::redirect(file, url, &path)?;
        Ok(path)
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    fn new_kubeconfig(&self) -> PathBuf {
        let number = self.kubeconfigs.fetch_add(1, Ordering::Relaxed);
        self.folder.join(format!("kubeconfig-{number}"))
    }

    pub(crate) fn write_kubeconfig(&self, identity: &Identity) -> Result<PathBuf> {
        let path = self.new_kubeconfig();
        kubeconfig::write(&path, &self.url, &self.folder.join("ca.crt"), identity)?;
        Ok(path)
    }

    /// The administrator's client. It lives on the runtime that it is made on, so each test makes its own.
    pub fn client(&self) -> Result<Client> {
        let mut config = Config::new(self.url.parse().context("our own URL")?);
        config.root_cert = Some(vec![self.authority.der.clone()]);
        config.auth_info.token = Some(TOKEN.to_owned().into());
        Client::try_from(config).context("the administrator's client")
    }

    /// Waits until the API server says that it is ready and its first namespaces are there.
    pub fn wait_ready(&self) -> Result<()> {
        // A thread of its own, so that it may be called from inside a runtime, or outside.
        let ready = thread::scope(|scope| scope.spawn(|| self.block_until_ready()).join());
        match ready {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    #[tokio::main(flavor = "current_thread")]
    async fn block_until_ready(&self) -> Result<()> {
        let client = self.client()?;
        let deadline = Instant::now() + READY_LIMIT;
        while let Err(error) = ready(client.clone()).await {
            for server in [&self.etcd, &self.api_server] {
                if server.id().is_none() {
                    bail!("{} does not run; {}", server.name(), server.words());
                }
            }
            if Instant::now() > deadline {
                let limit = READY_LIMIT.as_secs();
                return Err(error.context(format!("not ready after {limit} s; {}", self.api_server.words())));
            }
            sleep(POLL).await;
        }
        Ok(())
    }
}

async fn ready(client: Client) -> Result<()> {
    let request = hyper::http::Request::get("/readyz").body(Vec::new())?;
    client.request_text(request).await?;
    Api::<Namespace>::all(client).get("default").await?;
    Ok(())
}

fn local(scheme: &str, port: u16) -> String {
    format!("{scheme}://127.0.0.1:{port}")
}

/// A program of the control plane, in the network namespace where it belongs.
fn server(name: &str, program: &Path, folder: &Path, life: Life, real: Option<&Real>) -> Server {
    match real {
        None => Server::new(name, program, folder, life),
        Some(real) => Server::new(name, program, folder, life).within(&real.netns),
    }
}

fn write_files(folder: &Path, authority: &Authority, real: Option<&Real>) -> Result<()> {
    let names = real.map(|real| [&real.names[..], &[real.address.to_string()]].concat()).unwrap_or_default();
    let users: String = real.iter().flat_map(|real| &real.users).map(User::line).collect();
    let server = authority.server(&names)?;
    let (private, public) = pki::signing_key()?;
    let files = [
        ("ca.crt", authority.certificate.clone()),
        ("api.crt", server.certificate),
        ("api.key", server.key),
        ("accounts.key", private),
        ("accounts.pub", public),
        ("tokens.csv", format!("{TOKEN},admin,admin,\"system:masters\"\n{users}")),
    ];
    for (name, text) in files {
        fs::write(folder.join(name), text).with_context(|| format!("{name} in {}", folder.display()))?;
    }
    Ok(())
}

impl User {
    /// As the API server reads it: token, name, uid, groups.
    fn line(&self) -> String {
        let User { token, name, groups } = self;
        format!("{token},{name},{name},\"{}\"\n", groups.join(","))
    }
}

fn etcd_args(folder: &Path, url: &str, peer_url: &str, durability: Durability) -> Vec<String> {
    let mut args = vec![
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        format!("--listen-peer-urls={peer_url}"),
        format!("--initial-advertise-peer-urls={peer_url}"),
        format!("--initial-cluster=default={peer_url}"),
        "--log-level=warn".to_owned(),
    ];
    if durability == Durability::Unsafe {
        args.push("--unsafe-no-fsync".to_owned());
    }
    args
}

/// Who asks about what, and who is asked before it is stored.
fn admission(real: Option<&Real>) -> Vec<String> {
    let args: &[&str] = match real {
        // Nobody makes the accounts that it would demand of every pod.
        None => &["--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount"],
        Some(_) => &[
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            // Nobody resolves the names of nodes, and nobody serves the addresses of services.
            "--kubelet-preferred-address-types=InternalIP",
            "--enable-aggregator-routing=true",
        ],
    };
    args.iter().map(|&arg| arg.to_owned()).collect()
}

fn api_server_args(folder: &Path, etcd_url: &str, address: IpAddr, port: u16) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    vec![
        format!("--etcd-servers={etcd_url}"),
        format!("--secure-port={port}"),
        format!(
            "--bind-address={}",
            if address.is_loopback() { address } else { Ipv4Addr::UNSPECIFIED.into() }
        ),
        format!("--advertise-address={address}"),
        format!("--cert-dir={}", file("certificates")),
        format!("--tls-cert-file={}", file("api.crt")),
        format!("--tls-private-key-file={}", file("api.key")),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--allow-privileged=true".to_owned(),
        "--service-cluster-ip-range=10.200.0.0/16".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file("accounts.pub")),
        format!("--service-account-signing-key-file={}", file("accounts.key")),
        "--endpoint-reconciler-type=none".to_owned(),
    ]
}
