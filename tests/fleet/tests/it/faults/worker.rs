//! One after the other, pods come, run and go, each as its life was drawn.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use allotment_fleet::{Namespace, Pod, Sandbox, Template};
use anyhow::{Context, Result, ensure};
use tokio::time::{Instant, sleep};

use super::claims::{Claimant, Claims};
use super::plan::{Draw, End, Life, Twist};
use crate::world::{PATIENCE, World};

const BACK_OFF: Duration = Duration::from_millis(200);

/// Makes pods until the time is over.
pub(crate) struct Worker {
    pub(crate) world: Arc<World>,
    pub(crate) claims: Arc<Claims>,
    pub(crate) number: usize,
    /// UID of the `StatefulSet` of which it has one ordinal.
    pub(crate) stateful_set: String,
    /// What the ordinal's `eth0` had in its last life.
    pub(crate) kept: Option<String>,
}

impl Worker {
    /// Says how many pods lived.
    pub(crate) async fn run(mut self, mut draw: Draw, until: Instant) -> Result<usize> {
        let mut lived = 0;
        while Instant::now() < until {
            let life = Life::draw(&mut draw, self.world.nodes.len());
            let name = if life.stateful {
                format!("db-{}", self.number)
            } else {
                format!("web-{}-{lived}", self.number)
            };
            self.live(&name, life).await.with_context(|| format!("{name}: {life:?}"))?;
            lived += 1;
        }
        Ok(lived)
    }

    async fn live(&mut self, name: &str, life: Life) -> Result<()> {
        let world = Arc::clone(&self.world);
        let pod = create(&world, &self.template(name, life)).await?;
        let own = if life.own_namespace { Some(Namespace::new(world.folder.path())?) } else { None };
        let netns = own.as_ref().unwrap_or(&world.namespace).path().to_owned();
        let mut sandbox = self.start(&pod, &netns).await?;
        if life.stateful {
            self.check_kept(&sandbox)?;
        }
        if life.twist == Twist::Repeat {
            self.repeat(&sandbox).await?;
        }
        if life.twist == Twist::Replace {
            let next = self.start(&pod, &netns).await?;
            ensure!(
                next.addresses()? == sandbox.addresses()?,
                "another sandbox of the pod got other addresses"
            );
            self.take_down(&sandbox, &netns).await?;
            sandbox = next;
        }
        sleep(life.lasts).await;
        self.end(&pod, &sandbox, &netns, life.end, own.as_ref()).await
    }

    fn template(&self, name: &str, life: Life) -> Template {
        let node = &self.world.nodes[life.node].agent.node;
        let mut template = Template::new("default", name).on(node).annotate("allotment.dev/subnets", "small");
        if life.second_interface {
            template = template.annotate("k8s.v1.cni.cncf.io/networks", "second");
        }
        if life.stateful {
            template = template.owned_by("apps/v1", "StatefulSet", "db", &self.stateful_set);
        }
        template
    }

    /// Attempts until one is up, as kubelet makes them, each answer claimed as it comes.
    async fn start(&self, pod: &Pod, netns: &Path) -> Result<Sandbox> {
        let kubelet = &self.world.node(&pod.node).kubelet;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let sandbox = kubelet.attempt_with(pod, netns, |sandbox| self.claim(sandbox)).await?;
            let Some(failure) = sandbox.failure() else { return Ok(sandbox) };
            ensure!(Instant::now() < deadline, "not up within {PATIENCE:?}: {failure}");
            sleep(BACK_OFF).await;
        }
    }

    /// Called after every ADD of an attempt, and before its DELs if it failed.
    fn claim(&self, sandbox: &Sandbox) {
        let claimant = claimant(sandbox);
        match sandbox.adds.last().map(|added| added.answered.answer.addresses()) {
            Some(Ok(addresses)) => addresses.iter().for_each(|address| self.claims.begin(address, &claimant)),
            _ => self.claims.end(&claimant),
        }
    }

    /// The ordinal keeps its address, whatever happened in between (R6).
    fn check_kept(&mut self, sandbox: &Sandbox) -> Result<()> {
        let addresses = sandbox.addresses()?;
        let (_, address) =
            addresses.iter().find(|(interface, _)| interface == "eth0").context("it has an eth0")?;
        if let Some(kept) = self.kept.replace(address.clone())
            && kept != *address
        {
            self.claims.wrong(format!("{} had {kept} and came back with {address}", sandbox.pod.name));
        }
        Ok(())
    }

    /// The same ADDs again are answered the same.
    async fn repeat(&self, sandbox: &Sandbox) -> Result<()> {
        let kubelet = &self.world.node(&sandbox.pod.node).kubelet;
        for added in &sandbox.adds {
            let deadline = Instant::now() + PATIENCE;
            let again = loop {
                let again = kubelet.call(sandbox, allotment_lab::Verb::Add, &added.attachment).await?;
                if again.answer.is_ok() || Instant::now() > deadline {
                    break again.answer;
                }
                sleep(BACK_OFF).await;
            };
            let (first, again) = (added.answered.answer.addresses()?, again.addresses()?);
            ensure!(first == again, "the same ADD was answered {first:?} and {again:?}");
        }
        Ok(())
    }

    async fn take_down(&self, sandbox: &Sandbox, netns: &Path) -> Result<()> {
        self.claims.end(&claimant(sandbox));
        let sandbox = Sandbox { netns: netns.to_owned(), ..sandbox.clone() };
        self.world.node(&sandbox.pod.node).kubelet.del(&sandbox).await
    }

    async fn end(
        &self,
        pod: &Pod,
        sandbox: &Sandbox,
        netns: &Path,
        end: End,
        own: Option<&Namespace>,
    ) -> Result<()> {
        let pods = &self.world.pods;
        match end {
            End::Proper => {
                eventually(|| pods.delete(pod)).await?;
                self.take_down(sandbox, netns).await?;
            }
            End::Forced(later) => {
                eventually(|| pods.remove(pod)).await?;
                sleep(later).await;
                self.take_down(sandbox, netns).await?;
            }
            End::Lost => {
                self.claims.end(&claimant(sandbox));
                own.context("such a pod has a namespace of its own")?.end()?;
            }
            End::Finished(stays) => {
                eventually(|| pods.phase(pod, "Succeeded")).await?;
                self.take_down(sandbox, netns).await?;
                sleep(stays).await;
            }
        }
        if let Some(namespace) = own {
            namespace.end()?;
        }
        if end != End::Lost {
            // What runtimes do once more when the namespace is gone.
            self.take_down(sandbox, &PathBuf::new()).await?;
        }
        eventually(|| pods.remove(pod)).await
    }
}

fn claimant(sandbox: &Sandbox) -> Claimant {
    Claimant { pod: sandbox.pod.uid.clone(), container_id: sandbox.container_id.clone() }
}

/// Makes a pod, whatever becomes of the API server meanwhile.
async fn create(world: &World, template: &Template) -> Result<Pod> {
    eventually(async || match world.pods.create(template).await {
        // Made by an attempt whose answer was lost.
        Err(error) if is_already_exists(&error) => world.pods.find(template).await,
        other => other,
    })
    .await
}

fn is_already_exists(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(kube::Error::Api(status)) if status.is_already_exists())
}

/// Tries until it succeeds: the API server is away now and then.
pub(crate) async fn eventually<T>(mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => sleep(BACK_OFF).await,
            done => return done,
        }
    }
}
