//! `GET /v1/export` and `POST /v1/import`: everything as JSON lines.
//!
//! ```text
//! {"format":"allotment.dev/export","version":2}
//! {"object":{"kind":"Subnet","spec":{…}}}             each object, subnets first
//! {"allocation":{"vrf":"default","address":…}}        each record, whatever its state
//! {"end":{"objects":2,"allocations":6}}               the last line: what lacks it was cut off
//! ```

mod import;

use std::fmt;

use allotment_core::{Allocation, Object, State};
use allotment_engine::{EngineError, Handle, Pages};
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream::try_unfold;
use serde::{Deserialize, Serialize};

use super::reply::Trouble;
use crate::words::counted;

pub(crate) use self::import::import;

const FORMAT: &str = "allotment.dev/export";

/// Raised when a line changes its meaning. Version 1 had no end, so that nobody can tell whether one of its files is whole.
const VERSION: u32 = 2;

#[derive(Deserialize, Serialize)]
struct Header {
    format: String,
    version: u32,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Object(Object),
    Allocation(Allocation),
    End(Counts),
}

/// How many lines of each sort there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
struct Counts {
    objects: u64,
    allocations: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { objects, allocations } = *self;
        write!(f, "{} and {}", counted(objects, "object"), counted(allocations, "allocation"))
    }
}

/// Every record is as it was when its page was read.
pub(crate) async fn export(handle: &Handle) -> Result<Response, Trouble> {
    let objects: Vec<Object> = handle.read(|state, _| state.objects().collect()).await?;
    let pages = Pages::new(handle, |_, _| true, State::at);
    let counts = Counts { objects: objects.len() as u64, allocations: 0 };
    let mut head = Vec::new();
    put(&mut head, &Header { format: FORMAT.to_owned(), version: VERSION });
    for object in objects {
        put(&mut head, &Line::Object(object));
    }
    let chunks = try_unfold((head, counts, Some(pages)), |(mut text, mut counts, pages)| async move {
        let Some(mut pages) = pages else { return Ok(None) };
        let rest = if let Some(page) = pages.next().await? {
            counts.allocations += page.items.len() as u64;
            for allocation in page.items {
                put(&mut text, &Line::Allocation(allocation));
            }
            Some(pages)
        } else {
            put(&mut text, &Line::End(counts));
            None
        };
        Ok::<_, EngineError>(Some((Bytes::from(text), (Vec::new(), counts, rest))))
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(chunks)).into_response())
}

fn put(text: &mut Vec<u8>, line: &impl Serialize) {
    serde_json::to_writer(&mut *text, line).expect("lines are plain data");
    text.push(b'\n');
}
