//! Lists and watches as the API server gives them.

use std::time::Duration;

use futures_util::{AsyncBufReadExt, Stream, StreamExt};
use kube::api::{ListParams, WatchParams};
use kube::core::{Request, Status};
use kube::{Client, Resource};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::Selectors;
use crate::backoff::spread;
use crate::version::{BadVersion, ResourceVersion};

/// Objects in one answer of a list: some megabytes of pods.
const PAGE: u32 = 500;

/// One page of a list, or the beginning of a watch.
const ANSWER_LIMIT: Duration = Duration::from_mins(1);

/// The least time after which the API server ends a watch by itself; at most as much again is added by chance, so that
/// nodes that started together do not come back together.
const WATCH_FOR: Duration = Duration::from_mins(20);

/// Why a list or a watch came to an end.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// What happened since is no longer known.
    #[error("the API server no longer knows that version: {0}")]
    Expired(String),
    #[error("{0}")]
    Failed(String),
    #[error("nothing was heard for too long")]
    Silent,
    #[error("the API server went back from version {reached} to {version}")]
    SetBack { reached: ResourceVersion, version: ResourceVersion },
}

impl From<kube::Error> for Problem {
    fn from(error: kube::Error) -> Problem {
        match error {
            kube::Error::Api(status) => Problem::from(*status),
            other => Problem::Failed(other.to_string()),
        }
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Problem {
        let text = format!("{} ({} {})", status.message, status.code, status.reason);
        if status.code == 410 { Problem::Expired(text) } else { Problem::Failed(text) }
    }
}

impl From<BadVersion> for Problem {
    fn from(error: BadVersion) -> Problem {
        Problem::Failed(error.to_string())
    }
}

/// One line of a watch.
pub(super) enum Heard<K> {
    Applied(K, ResourceVersion),
    Deleted(K, ResourceVersion),
    Bookmark(ResourceVersion),
    /// What it was about has been logged.
    Unreadable(ResourceVersion),
}

/// Where the objects come from.
pub(super) struct Source {
    request: Request,
    client: Client,
    selectors: Selectors,
    part: Part,
}

/// What of each object is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Metadata,
}

/// One answer of a list.
#[derive(Deserialize)]
struct Page<'a> {
    metadata: PageMeta,
    /// Of metadata alone a list without objects is null.
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMeta {
    resource_version: String,
    #[serde(default, rename = "continue")]
    next: String,
}

/// One line of a watch. kube's type for it would copy the object through another form when `object` comes before `type`.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// What is read of a bookmark, and of an object that cannot be read whole.
#[derive(Deserialize)]
struct Header {
    metadata: HeaderMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeaderMeta {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
    resource_version: String,
}

impl Source {
    pub(super) fn new(url: String, client: Client, selectors: Selectors, part: Part) -> Source {
        Source { request: Request::new(url), client, selectors, part }
    }

    /// What is watched, for people.
    pub(super) fn what(&self) -> &str {
        &self.request.url_path
    }

    /// All there is at one moment, no older than the call.
    pub(super) async fn list<K: Resource + DeserializeOwned>(
        &self,
    ) -> Result<(Vec<K>, ResourceVersion), Problem> {
        let mut objects = Vec::new();
        let mut next = None;
        loop {
            let params = ListParams {
                field_selector: some(&self.selectors.fields),
                label_selector: some(&self.selectors.labels),
                limit: Some(PAGE),
                continue_token: next,
                ..ListParams::default()
            };
            let request = match self.part {
                Part::Whole => self.request.list(&params),
                Part::Metadata => self.request.list_metadata(&params),
            };
            let request = request.map_err(kube::Error::BuildRequest)?;
            let text = in_time(self.client.request_text(request)).await?;
            let page: Page<'_> = serde_json::from_str(&text)
                .map_err(|error| Problem::Failed(format!("a list cannot be read: {error}")))?;
            objects.extend(page.items.iter().flatten().filter_map(|item| self.read(item.get())));
            let version = page.metadata.resource_version.parse()?;
            if page.metadata.next.is_empty() {
                return Ok((objects, version));
            }
            next = Some(page.metadata.next);
        }
    }

    /// All that happens after `version`.
    pub(super) async fn open<K: Resource + DeserializeOwned + Send + 'static>(
        &self,
        version: ResourceVersion,
    ) -> Result<impl Stream<Item = Result<Heard<K>, Problem>> + Send + use<K>, Problem> {
        let seconds = (WATCH_FOR + spread(WATCH_FOR)).as_secs();
        let params = WatchParams {
            field_selector: some(&self.selectors.fields),
            label_selector: some(&self.selectors.labels),
            timeout: u32::try_from(seconds).ok(),
            bookmarks: true,
            ..WatchParams::default()
        };
        let version = version.to_string();
        let request = match self.part {
            Part::Whole => self.request.watch(&params, &version),
            Part::Metadata => self.request.watch_metadata(&params, &version),
        };
        let request = request.map_err(kube::Error::BuildRequest)?;
        let lines = in_time(self.client.request_stream(request)).await?.lines();
        let what = self.request.url_path.clone();
        Ok(lines.map(move |line| match line {
            Ok(line) => hear(&what, &line),
            Err(error) => Err(Problem::Failed(format!("the watch broke off: {error}"))),
        }))
    }

    fn read<K: DeserializeOwned>(&self, text: &str) -> Option<K> {
        read(self.what(), text)
    }
}

fn some(selector: &str) -> Option<String> {
    (!selector.is_empty()).then(|| selector.to_owned())
}

async fn in_time<T>(answer: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Problem> {
    match tokio::time::timeout(ANSWER_LIMIT, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Problem::Failed(format!("no answer within {} s", ANSWER_LIMIT.as_secs()))),
    }
}

fn hear<K: Resource + DeserializeOwned>(what: &str, line: &str) -> Result<Heard<K>, Problem> {
    let odd = |error| Problem::Failed(format!("a line of the watch cannot be read: {error}"));
    let line: Line<'_> = serde_json::from_str(line).map_err(odd)?;
    let raw = line.object.get();
    let form: fn(K, ResourceVersion) -> Heard<K> = match line.kind {
        "ADDED" | "MODIFIED" => Heard::Applied,
        "DELETED" => Heard::Deleted,
        "BOOKMARK" => return Ok(Heard::Bookmark(version_in(raw)?)),
        "ERROR" => return Err(serde_json::from_str::<Status>(raw).map_err(odd)?.into()),
        kind => {
            return Err(Problem::Failed(format!("a watch has events of type `{kind}`, which is not known")));
        }
    };
    match read::<K>(what, raw) {
        Some(object) => {
            let version = ResourceVersion::of(&object)?;
            Ok(form(object, version))
        }
        None => Ok(Heard::Unreadable(version_in(raw)?)),
    }
}

fn version_in(raw: &str) -> Result<ResourceVersion, Problem> {
    let header: Header = serde_json::from_str(raw)
        .map_err(|error| Problem::Failed(format!("a watch event has no version: {error}")))?;
    Ok(header.metadata.resource_version.parse()?)
}

/// Nothing, and a warning, where the object is not of the form it should have.
fn read<K: DeserializeOwned>(what: &str, text: &str) -> Option<K> {
    match serde_json::from_str(text) {
        Ok(object) => Some(object),
        Err(error) => {
            let header = serde_json::from_str::<Header>(text).ok().map(|header| header.metadata);
            let (namespace, name) = header.map(|header| (header.namespace, header.name)).unwrap_or_default();
            tracing::warn!(what, namespace, name, %error, "an object cannot be read and is skipped");
            None
        }
    }
}
