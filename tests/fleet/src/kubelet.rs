//! One node's kubelet, container runtime and Multus, played: it calls the real plugin as they would.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use allotment_lab::{Answer, Call, Verb};
use anyhow::{Context, Result, bail};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::plugin::Answered;
use crate::{Attachment, Networks, Plugin, Pod};

/// Calls of a node at once; more only wait for each other on a machine of a few processors.
const CALLS: usize = 10;

/// Between two attempts at a pod.
const BACK_OFF: Duration = Duration::from_secs(1);

/// A node.
pub struct Kubelet {
    plugin: Plugin,
    networks: Networks,
    calls: Semaphore,
}

/// One interface of a sandbox, and what its ADD was answered.
#[derive(Clone, Debug)]
pub struct Added {
    pub attachment: Attachment,
    pub answered: Answered,
}

/// One attempt to start a pod: a container id of its own, and ADDs up to the first that failed.
#[derive(Clone, Debug)]
pub struct Sandbox {
    pub pod: Pod,
    pub container_id: String,
    pub netns: PathBuf,
    pub adds: Vec<Added>,
}

impl Sandbox {
    /// A new attempt, nothing added yet.
    pub fn new(pod: &Pod, netns: impl Into<PathBuf>) -> Sandbox {
        Sandbox { pod: pod.clone(), container_id: container_id(), netns: netns.into(), adds: Vec::new() }
    }

    /// Whether every ADD succeeded.
    pub fn is_up(&self) -> bool {
        self.adds.iter().all(|added| added.answered.answer.is_ok())
    }

    /// All addresses, with prefix length, by interface.
    pub fn addresses(&self) -> Result<Vec<(String, String)>> {
        let mut all = Vec::new();
        for added in &self.adds {
            let interface = &added.attachment.interface;
            all.extend(added.answered.answer.addresses()?.into_iter().map(|ip| (interface.clone(), ip)));
        }
        Ok(all)
    }

    /// The answer that ended the attempt.
    pub fn failure(&self) -> Option<&Answer> {
        self.adds.iter().map(|added| &added.answered.answer).find(|answer| !answer.is_ok())
    }

    /// The call for one of its interfaces (CNI SPEC 1.1.0, section 2; arguments as containerd and Multus give them).
    pub fn call(&self, verb: Verb, attachment: &Attachment) -> Call {
        let Pod { namespace, name, uid, .. } = &self.pod;
        let args = format!(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={name};K8S_POD_INFRA_CONTAINER_ID={};\
             K8S_POD_UID={uid}{}",
            self.container_id, attachment.args
        );
        let call = Call::new(verb, &attachment.config);
        call.interface(&self.container_id, &self.netns, &attachment.interface).args(&args)
    }
}

/// A pod that runs, and the attempts before that.
#[derive(Clone, Debug)]
pub struct Started {
    pub sandbox: Sandbox,
    pub failed: Vec<Sandbox>,
}

impl Kubelet {
    /// A node whose runtime finds this plugin, and whose Multus knows these networks.
    pub fn new(plugin: Plugin, networks: Networks) -> Kubelet {
        Kubelet { plugin, networks, calls: Semaphore::new(CALLS) }
    }

    /// Starts a pod, with a new sandbox for each attempt, until one is up or patience ends.
    pub async fn start(&self, pod: &Pod, netns: &std::path::Path, patience: Duration) -> Result<Started> {
        let deadline = Instant::now() + patience;
        let mut failed = Vec::new();
        loop {
            let sandbox = self.attempt(pod, netns).await?;
            let Some(failure) = sandbox.failure() else { return Ok(Started { sandbox, failed }) };
            if Instant::now() + BACK_OFF >= deadline {
                bail!(
                    "pod {}/{} did not start in {} attempts: {failure}",
                    pod.namespace,
                    pod.name,
                    failed.len() + 1
                );
            }
            failed.push(sandbox);
            sleep(BACK_OFF).await;
        }
    }

    /// One attempt: ADDs in order; when one fails, DELs from that one back to the first, as Multus does.
    pub async fn attempt(&self, pod: &Pod, netns: &std::path::Path) -> Result<Sandbox> {
        self.attempt_with(pod, netns, |_| ()).await
    }

    /// The same; `see` is shown the sandbox after each ADD, before anything else is called.
    pub async fn attempt_with(
        &self,
        pod: &Pod,
        netns: &std::path::Path,
        mut see: impl FnMut(&Sandbox),
    ) -> Result<Sandbox> {
        let mut sandbox = Sandbox::new(pod, netns);
        for attachment in self.networks.attachments(&pod.namespace, &pod.annotations)? {
            let answered = self.call(&sandbox, Verb::Add, &attachment).await?;
            sandbox.adds.push(Added { attachment, answered });
            see(&sandbox);
            if !sandbox.is_up() {
                self.del(&sandbox).await?;
                break;
            }
        }
        Ok(sandbox)
    }

    /// The runtime's two ends of a sandbox: with its namespace, and once more when that is gone.
    pub async fn stop(&self, sandbox: &Sandbox) -> Result<()> {
        self.del(sandbox).await?;
        let closed = Sandbox { netns: PathBuf::new(), ..sandbox.clone() };
        self.del(&closed).await
    }

    /// One DEL for each interface, the last first. A plugin may fail only with `try again` (code 11).
    pub async fn del(&self, sandbox: &Sandbox) -> Result<()> {
        for added in sandbox.adds.iter().rev() {
            loop {
                let answered = self.call(sandbox, Verb::Del, &added.attachment).await?;
                if answered.answer.is_ok() {
                    break;
                }
                if answered.answer.error_code()? != TRY_AGAIN {
                    bail!("{}", answered.answer);
                }
                sleep(BACK_OFF).await;
            }
        }
        Ok(())
    }

    /// One call, when fewer than ten others run.
    pub async fn call(&self, sandbox: &Sandbox, verb: Verb, attachment: &Attachment) -> Result<Answered> {
        let _permit = self.calls.acquire().await.context("nobody closes it")?;
        self.plugin.call(&sandbox.call(verb, attachment)).await
    }
}

/// CNI SPEC 1.1.0, section "Error".
const TRY_AGAIN: u64 = 11;

/// 64 hexadecimal digits, as containerd's are; never the same twice.
fn container_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:032x}{:016x}{count:016x}", since.as_nanos(), std::process::id())
}
