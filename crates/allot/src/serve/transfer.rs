//! `GET /v1/export` and `POST /v1/import`: everything as JSON lines.
//!
//! ```text
//! {"format":"allotment.dev/export","version":1}
//! {"object":{"kind":"Subnet","spec":{…}}}             each object, subnets first
//! {"allocation":{"vrf":"default","address":…}}        each record, whatever its state
//! ```

use allotment_core::{Allocation, Object, State};
use allotment_engine::{EngineError, Handle, Pages};
use allotment_wire::ImportRow;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream::try_unfold;
use serde::{Deserialize, Serialize};

use super::copy::copy;
use super::reply::Trouble;

/// Allocations taken over in one commit.
const CHUNK: usize = 4096;

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

/// What an export says.
#[derive(Default)]
struct Content {
    objects: Vec<Object>,
    allocations: Vec<Allocation>,
}

/// Takes over an export: all of it, or nothing if anything here contradicts it.
pub(crate) async fn import(handle: &Handle, lines: &[u8]) -> Result<ImportRow, Trouble> {
    let content = read(lines)?;
    let conflicts = conflicts(handle, &content).await?;
    if !conflicts.is_empty() {
        let text = format!("nothing was imported: {} lines contradict what is here", conflicts.len());
        return Err(Trouble::conflict(
            text,
            conflicts,
            "correct what is named, here or in the file, then import again",
        ));
    }
    let mut row = ImportRow { objects: 0, addresses: 0, unchanged: 0 };
    for object in content.objects {
        if handle
            .read({
                let object = object.clone();
                move |state, _| state.object(&object.key()) == Some(object)
            })
            .await?
        {
            row.unchanged += 1;
        } else {
            handle.put(object).await?;
            row.objects += 1;
        }
    }
    for chunk in content.allocations.chunks(CHUNK) {
        let taken = handle.adopt(chunk.to_vec()).await? as u64;
        row.addresses += taken;
        row.unchanged += chunk.len() as u64 - taken;
    }
    Ok(row)
}

/// Reads the lines; the first that makes no sense ends it.
fn read(lines: &[u8]) -> Result<Content, Trouble> {
    let mut lines = lines.split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    let bad = |number: usize, why: String| {
        Trouble::usage(format!("line {} is no line of an export: {why}", number + 1))
    };
    let Some((number, first)) = lines.next() else {
        return Err(Trouble::usage("there is nothing to import: not even a first line"));
    };
    let header: Header = serde_json::from_slice(first).map_err(|error| bad(number, error.to_string()))?;
    if header.format != FORMAT {
        return Err(bad(number, format!("its format is `{}`, not `{FORMAT}`", header.format)));
    }
    if header.version > VERSION {
        let text =
            format!("the export has version {}, this daemon knows versions up to {VERSION}", header.version);
        return Err(Trouble::usage(text));
    }
    let mut content = Content::default();
    for (number, line) in lines {
        match serde_json::from_slice(line).map_err(|error| bad(number, error.to_string()))? {
            Line::Object(object) => content.objects.push(object),
            Line::Allocation(allocation) => content.allocations.push(allocation),
        }
    }
    Ok(content)
}

/// Tries everything on a copy. An object that is here in another form is a conflict even where it could be changed: an
/// import adds, it does not edit.
async fn conflicts(handle: &Handle, content: &Content) -> Result<Vec<String>, Trouble> {
    let (mut copy, now) = copy(handle, |_, _| true).await?;
    let mut conflicts = Vec::new();
    for object in &content.objects {
        let key = object.key();
        match copy.object(&key) {
            Some(here) if here == *object => {}
            Some(_) => conflicts.push(format!("{key} is here in another form")),
            None => {
                if let Err(error) = copy.put(object.clone()) {
                    conflicts.push(error.to_string());
                }
            }
        }
    }
    let mut changed = Vec::new();
    for allocation in &content.allocations {
        if let Err(refusal) = copy.adopt(allocation, now, &mut changed) {
            conflicts.push(refusal.to_string());
        }
    }
    Ok(conflicts)
}
