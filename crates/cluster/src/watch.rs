//! Everything of one kind, from a consistent list on, without an end.
//!
//! kube's own watcher hides bookmarks, and they are what says how far a node has come (R2).

mod source;

use std::time::Duration;

use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use kube::core::PartialObjectMeta;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use crate::backoff::Backoff;
use crate::version::ResourceVersion;
use source::{Heard, Part, Problem, Source};

/// Time without a word from the API server, after which the stream counts as dead. A bookmark comes about every minute.
const SILENCE: Duration = Duration::from_secs(130);

/// What a watch sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<K> {
    /// Everything there is, as of `version`: what is missing is gone. The first event, and again after the API server has
    /// forgotten what happened in between, or was itself set back: then `version` is lower than the last one.
    Listed {
        objects: Vec<K>,
        version: ResourceVersion,
    },
    Applied(K),
    /// As it last was.
    Deleted(K),
    /// Everything up to here has been told. While nothing happens it comes about once a minute.
    Reached(ResourceVersion),
}

/// What to watch of a kind; empty: everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selectors {
    /// Such as `spec.nodeName=a`.
    pub fields: String,
    pub labels: String,
}

impl Selectors {
    pub fn fields(fields: impl Into<String>) -> Selectors {
        Selectors { fields: fields.into(), labels: String::new() }
    }
}

/// Tells all that happens to the objects of `api`. It never ends: errors are logged and waited out, a broken or silent
/// stream is taken up where it was. An object that cannot be read is skipped with a warning; a list that has such a one is
/// told without it.
pub fn watch<K>(api: Api<K>, selectors: Selectors) -> impl Stream<Item = Event<K>> + Send + use<K>
where
    K: Resource + DeserializeOwned + Send + 'static,
{
    let source = Source::new(api.resource_url().to_owned(), api.into_client(), selectors, Part::Whole);
    from(source)
}

/// As [`watch`], with only what the objects say of themselves: cheap where what they hold is large.
pub fn watch_metadata<K>(
    api: Api<K>,
    selectors: Selectors,
) -> impl Stream<Item = Event<PartialObjectMeta<K>>> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Send + 'static,
{
    let source = Source::new(api.resource_url().to_owned(), api.into_client(), selectors, Part::Metadata);
    from(source)
}

fn from<K>(source: Source) -> impl Stream<Item = Event<K>> + Send + use<K>
where
    K: Resource + DeserializeOwned + Send + 'static,
{
    let watcher =
        Watcher { source, at: At::Nowhere, backoff: Backoff::default(), kind: std::marker::PhantomData };
    stream::unfold(watcher, |mut watcher| async move { Some((watcher.next().await, watcher)) })
}

/// All objects of `api` at one moment, no older than the call: to know more than a [`watch()`] has shown so far. It is not
/// tried again.
pub async fn list<K>(api: Api<K>, selectors: Selectors) -> Result<(Vec<K>, ResourceVersion), ListError>
where
    K: Resource + DeserializeOwned,
{
    let source = Source::new(api.resource_url().to_owned(), api.into_client(), selectors, Part::Whole);
    source.list().await.map_err(ListError)
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ListError(#[from] Problem);

struct Watcher<K> {
    source: Source,
    at: At<K>,
    backoff: Backoff,
    kind: std::marker::PhantomData<fn() -> K>,
}

/// How far it is.
enum At<K> {
    /// What there is has to be listed.
    Nowhere,
    /// All is told up to here, and nothing flows.
    Stopped(ResourceVersion),
    /// All is told up to here, and more flows.
    Flowing(ResourceVersion, BoxStream<'static, Result<Heard<K>, Problem>>),
}

impl<K: Resource + DeserializeOwned + Send + 'static> Watcher<K> {
    async fn next(&mut self) -> Event<K> {
        loop {
            match self.step().await {
                Ok(Some(event)) => return event,
                Ok(None) => {}
                Err(problem) => self.recover(problem).await,
            }
        }
    }

    async fn step(&mut self) -> Result<Option<Event<K>>, Problem> {
        match &mut self.at {
            At::Nowhere => {
                let (objects, version) = self.source.list().await?;
                self.at = At::Stopped(version);
                Ok(Some(Event::Listed { objects, version }))
            }
            At::Stopped(version) => {
                let stream = self.source.open(*version).await?;
                self.at = At::Flowing(*version, stream.boxed());
                Ok(None)
            }
            At::Flowing(reached, stream) => {
                let Ok(heard) = tokio::time::timeout(SILENCE, stream.next()).await else {
                    return Err(Problem::Silent);
                };
                let Some(heard) = heard else {
                    // The API server ends each after a while.
                    self.at = At::Stopped(*reached);
                    return Ok(None);
                };
                let (event, version) = match heard? {
                    Heard::Applied(object, version) => (Some(Event::Applied(object)), version),
                    Heard::Deleted(object, version) => (Some(Event::Deleted(object)), version),
                    Heard::Bookmark(version) => (Some(Event::Reached(version)), version),
                    Heard::Unreadable(version) => (None, version),
                };
                if version < *reached {
                    return Err(Problem::SetBack { reached: *reached, version });
                }
                *reached = version;
                self.backoff.reset();
                Ok(event)
            }
        }
    }

    async fn recover(&mut self, problem: Problem) {
        self.at = match (&problem, std::mem::replace(&mut self.at, At::Nowhere)) {
            // A server that was set back says nothing until it has come again where we are: only a list tells.
            (Problem::Failed(_), At::Stopped(version) | At::Flowing(version, _)) => At::Stopped(version),
            _ => At::Nowhere,
        };
        let wait = self.backoff.failed();
        tracing::warn!(what = self.source.what(), error = %problem, wait = ?wait, "a watch was interrupted");
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests;
