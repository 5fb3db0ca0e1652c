//! What is asked of the API server: lists, single objects, and writes that happen only if nobody else has written (L3).

use std::borrow::Cow;
use std::time::Duration;

use allotment_api::v1alpha1::AddressBlock;
use allotment_cluster::ResourceVersion;
use kube::api::{DeleteParams, GetParams, ListParams, Preconditions};
use kube::client::Body;
use kube::core::{Request, Status};
use kube::{Client, Resource};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

/// Whom the API server's records of managed fields name.
const FIELD_MANAGER: &str = "allotment-controller";

/// Objects in one page of a list: about 7 MB of full blocks.
const PAGE: u32 = 500;

/// How often a list is begun anew that took longer than the API server remembers.
const LISTS: usize = 3;

/// How long one request may take. It has to be longer than the API server is slow at its worst, or nothing would ever be
/// written; and while it lasts nobody is granted anything.
const LIMIT: Duration = Duration::from_secs(20);

/// An answer that is only metadata: what was sent need not come back.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// An object as it is on the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) stamp: Stamp,
    pub(super) of: String,
    pub(super) data: String,
}

/// Which version of an object: what a write is conditional on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) uid: String,
    pub(super) version: ResourceVersion,
}

/// What a write sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent<'a> {
    pub(super) name: &'a str,
    pub(super) of: &'a str,
    pub(super) data: &'a str,
}

/// Why the API server did not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The object is another version than said, or is there already.
    Conflict,
    /// The object is not there.
    Missing,
    /// A list took longer than the API server remembers.
    Expired,
    Failed(Failure),
}

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(super) struct Failure {
    pub(super) why: String,
    /// Whether it may have been done all the same.
    pub(super) in_doubt: bool,
    /// For how long the API server asks not to be asked again.
    pub(super) retry_after: Option<Duration>,
}

/// The API server's `AddressBlock`s.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    request: Request,
}

impl Api {
    pub(super) fn new(client: Client) -> Api {
        Api { client, request: Request::new(AddressBlock::url_path(&(), None)) }
    }

    /// One page of a consistent list, and what to go on with.
    async fn page(
        &self,
        next: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<Item>, ResourceVersion, Option<String>), Refused> {
        let mut params = ListParams::default().limit(limit);
        params.continue_token = next.map(ToOwned::to_owned);
        let request = self.request.list(&params).map_err(impossible)?;
        let body = self.send(request, None).await?;
        let list: ListBody<'_> = parse(&body)?;
        let items: Result<Vec<Item>, Refused> = list.items.into_iter().map(ItemBody::item).collect();
        let next = list.metadata.next.filter(|next| !next.is_empty());
        Ok((items?, version(list.metadata.resource_version)?, next))
    }

    /// Every object there is at one moment, no earlier than the call, and when that was.
    pub(super) async fn list(&self) -> Result<(Vec<Item>, ResourceVersion), Failure> {
        for _ in 0..LISTS {
            match self.try_list().await {
                Ok(listed) => return Ok(listed),
                Err(Refused::Expired) => {}
                Err(Refused::Failed(failure)) => return Err(failure),
                Err(other) => return Err(Failure::new(format!("a list was answered with {other:?}"))),
            }
        }
        Err(Failure::new(format!(
            "the API server had forgotten the beginning of {LISTS} lists before their end"
        )))
    }

    async fn try_list(&self) -> Result<(Vec<Item>, ResourceVersion), Refused> {
        let (mut items, version, mut next) = self.page(None, PAGE).await?;
        while let Some(token) = next {
            let (more, _, after) = self.page(Some(&token), PAGE).await?;
            items.extend(more);
            next = after;
        }
        Ok((items, version))
    }

    /// How far the API server has come.
    pub(super) async fn version(&self) -> Result<ResourceVersion, Failure> {
        match self.page(None, 1).await {
            Ok((_, version, _)) => Ok(version),
            Err(Refused::Failed(failure)) => Err(failure),
            Err(other) => Err(Failure::new(format!("a list was answered with {other:?}"))),
        }
    }

    /// The object as it is now; `None`: it is not there.
    pub(super) async fn get(&self, name: &str) -> Result<Option<Item>, Failure> {
        let request = self.request.get(name, &GetParams::default()).map_err(impossible);
        let read = async {
            let body = self.send(request?, Some(name)).await?;
            parse::<ItemBody<'_>>(&body)?.item()
        };
        match read.await {
            Ok(item) => Ok(Some(item)),
            Err(Refused::Missing) => Ok(None),
            Err(Refused::Failed(failure)) => Err(failure),
            Err(other) => Err(Failure::new(format!("reading {name} was answered with {other:?}"))),
        }
    }

    /// Makes an object that is not there.
    pub(super) async fn create(&self, sent: Sent<'_>) -> Result<Stamp, Refused> {
        self.write(http::Method::POST, &self.request.url_path, sent, None).await
    }

    /// Replaces this version of an object.
    pub(super) async fn replace(&self, sent: Sent<'_>, stamp: &Stamp) -> Result<Stamp, Refused> {
        let path = format!("{}/{}", self.request.url_path, sent.name);
        self.write(http::Method::PUT, &path, sent, Some(stamp)).await
    }

    /// Deletes this version of an object.
    pub(super) async fn delete(&self, name: &str, stamp: &Stamp) -> Result<(), Refused> {
        let preconditions =
            Preconditions { uid: Some(stamp.uid.clone()), resource_version: Some(stamp.version.to_string()) };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let request = self.request.delete(name, &params).map_err(impossible)?;
        self.send(request, Some(name)).await.map(drop)
    }

    /// Strict: a field that the API server does not know is refused, where it would be dropped without a word (L3).
    async fn write(
        &self,
        method: http::Method,
        path: &str,
        sent: Sent<'_>,
        stamp: Option<&Stamp>,
    ) -> Result<Stamp, Refused> {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{path}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict"))
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::ACCEPT, METADATA_ONLY)
            .body(body(sent, stamp))
            .expect("names of objects need no escapes in a path");
        let body = self.send(request, Some(sent.name)).await?;
        parse::<ItemBody<'_>>(&body)?.metadata.stamp()
    }

    /// Sends a request and waits for the whole answer.
    async fn send(&self, request: http::Request<Vec<u8>>, name: Option<&str>) -> Result<Vec<u8>, Refused> {
        let lost = |why: String| Refused::Failed(Failure { why, in_doubt: true, retry_after: None });
        let exchange = async {
            let answer = self.client.send(request.map(Body::from)).await?;
            let (head, body) = answer.into_parts();
            Ok::<_, kube::Error>((head, body.collect_bytes().await?))
        };
        let answered = timeout(LIMIT, exchange).await;
        let exchanged = answered
            .map_err(|_| lost(format!("the API server has not answered in {} s", LIMIT.as_secs())))?;
        let (head, body) = exchanged.map_err(|error| lost(error.to_string()))?;
        if head.status.is_success() {
            return Ok(body.to_vec());
        }
        Err(refused(&head, &body, name))
    }
}

/// What an answer that is no success means.
fn refused(head: &http::response::Parts, body: &[u8], name: Option<&str>) -> Refused {
    let status: Option<Status> = serde_json::from_slice(body).ok();
    let is_object =
        |status: &Status| status.details.as_ref().is_some_and(|details| Some(details.name.as_str()) == name);
    match head.status.as_u16() {
        404 if status.as_ref().is_some_and(is_object) => return Refused::Missing,
        409 => return Refused::Conflict,
        410 => return Refused::Expired,
        _ => {}
    }
    let why = match (head.status.as_u16(), status) {
        (404, _) => "the API server knows no AddressBlocks: apply what `allot crds` prints".to_owned(),
        (code, Some(status)) => format!("the API server answers {code}: {}", status.message),
        (code, None) => format!("the API server answers {code}: {}", String::from_utf8_lossy(body).trim()),
    };
    let seconds =
        head.headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Refused::Failed(Failure {
        why,
        in_doubt: head.status.is_server_error(),
        retry_after: seconds.map(Duration::from_secs),
    })
}

impl Failure {
    /// Of something that was not done for certain.
    pub(super) fn new(why: String) -> Failure {
        Failure { why, in_doubt: false, retry_after: None }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn impossible(error: kube::core::request::Error) -> Refused {
    Refused::Failed(Failure::new(format!("no request can be made of it: {error}")))
}

fn body(sent: Sent<'_>, stamp: Option<&Stamp>) -> Vec<u8> {
    let mut metadata = json!({"name": sent.name});
    if let Some(stamp) = stamp {
        metadata["uid"] = json!(stamp.uid);
        metadata["resourceVersion"] = json!(stamp.version.to_string());
    }
    let object = json!({
        "apiVersion": AddressBlock::api_version(&()),
        "kind": AddressBlock::kind(&()),
        "metadata": metadata,
        "spec": {"of": sent.of, "data": sent.data},
    });
    serde_json::to_vec(&object).expect("JSON is made of JSON")
}

/// The part of a list that is read; the longest strings are not copied while it is.
#[derive(Deserialize)]
struct ListBody<'a> {
    metadata: ListMetadata<'a>,
    #[serde(borrow)]
    items: Vec<ItemBody<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata<'a> {
    #[serde(borrow)]
    resource_version: Cow<'a, str>,
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct ItemBody<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow, default)]
    spec: Spec<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow)]
    resource_version: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec<'a> {
    #[serde(borrow)]
    of: Cow<'a, str>,
    #[serde(borrow)]
    data: Cow<'a, str>,
}

impl ItemBody<'_> {
    fn item(self) -> Result<Item, Refused> {
        let stamp = self.metadata.stamp()?;
        let ItemBody { metadata, spec } = self;
        Ok(Item {
            name: metadata.name.into_owned(),
            stamp,
            of: spec.of.into_owned(),
            data: spec.data.into_owned(),
        })
    }
}

impl Metadata<'_> {
    fn stamp(&self) -> Result<Stamp, Refused> {
        let version = version(self.resource_version.as_ref().into())?;
        Ok(Stamp { uid: self.uid.as_ref().to_owned(), version })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "every caller has one to give away")]
fn version(text: Cow<'_, str>) -> Result<ResourceVersion, Refused> {
    text.parse().map_err(|error| Refused::Failed(Failure::new(format!("{error}"))))
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refused> {
    let unread = |error| {
        let why = format!("the API server's answer cannot be read: {error}");
        Refused::Failed(Failure { why, in_doubt: true, retry_after: None })
    };
    serde_json::from_slice(body).map_err(unread)
}

#[cfg(test)]
mod tests;
