//! `GET /v1/export` and `POST /v1/import`: everything as JSON lines.
//!
//! ```text
//! {"format":"allotment.dev/export","version":1}
//! {"object":{"kind":"Subnet","spec":{…}}}             each object, subnets first
//! {"allocation":{"vrf":"default","address":…}}        each record, whatever its state
//! ```

use allotment_core::{Allocation, Object, State};
use allotment_engine::{EngineError, Handle};
use allotment_wire::ImportRow;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream::try_unfold;
use serde::{Deserialize, Serialize};

use super::pages::Pages;
use super::reply::Trouble;

const FORMAT: &str = "allotment.dev/export";

/// Raised when a line changes its meaning. Older ones are read, newer ones refused.
const VERSION: u32 = 1;

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
}

/// Every record is as it was when its page was read.
pub(crate) async fn export(handle: &Handle) -> Result<Response, Trouble> {
    let objects: Vec<Object> = handle.read(|state, _| state.objects().collect()).await?;
    let pages = Pages::new(handle, |_, _| true, State::at);
    let mut head = Vec::new();
    put(&mut head, &Header { format: FORMAT.to_owned(), version: VERSION });
    for object in objects {
        put(&mut head, &Line::Object(object));
    }
    let chunks = try_unfold((Some(head), pages), |(head, mut pages)| async move {
        if let Some(head) = head {
            return Ok(Some((Bytes::from(head), (None, pages))));
        }
        while let Some(page) = pages.next().await? {
            if !page.items.is_empty() {
                let mut text = Vec::new();
                for allocation in page.items {
                    put(&mut text, &Line::Allocation(allocation));
                }
                return Ok(Some((Bytes::from(text), (None, pages))));
            }
        }
        Ok::<_, EngineError>(None)
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(chunks)).into_response())
}

fn put(text: &mut Vec<u8>, line: &impl Serialize) {
    serde_json::to_writer(&mut *text, line).expect("lines are plain data");
    text.push(b'\n');
}

pub(crate) async fn import(_handle: &Handle, _lines: &[u8]) -> Result<ImportRow, Trouble> {
    Err(Trouble::unable("not yet", ""))
}
