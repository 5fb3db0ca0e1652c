//! `GET /v1/export` and `POST /v1/import`: everything as JSON lines.
//!
//! ```text
//! {"format":"allotment.dev/export","version":2}
//! {"object":{"kind":"Subnet","spec":{…}}}             each object, subnets first
//! {"allocation":{"vrf":"default","address":…}}        each record, whatever its state
//! {"end":{"objects":2,"allocations":6}}               the last line: what lacks it was cut off
//! ```

use std::fmt;

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
use crate::words::counted;

/// Allocations taken over in one commit.
const CHUNK: usize = 4096;

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

/// What to do about a file that was not written as a whole.
const AGAIN: &str =
    "nothing was imported; write the file again with `allot export`, and see that it exits with 0";

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
        let text = format!(
            "nothing was imported: {} contradict what is here",
            counted(conflicts.len() as u64, "line")
        );
        return Err(Trouble::conflict(
            text,
            conflicts,
            "correct what is named, here or in the file, then import again",
        ));
    }
    let mut row = ImportRow { objects: 0, addresses: 0, unchanged: 0 };
    take(handle, content, &mut row).await.map_err(|error| {
        let done = row.objects + row.addresses;
        Trouble::from(error).within(
            &format!("the import broke off after {}", counted(done, "line")),
            "then import the same file again: what is here already is left as it is",
        )
    })?;
    Ok(row)
}

/// Takes over what contradicts nothing, and counts it in `row`.
async fn take(handle: &Handle, content: Content, row: &mut ImportRow) -> Result<(), EngineError> {
    let objects = content.objects;
    let count = objects.len() as u64;
    let is_new = |state: &State, object: &Object| state.object(&object.key()).as_ref() != Some(object);
    let look = move |state: &State, _| objects.into_iter().filter(|object| is_new(state, object)).collect();
    let new: Vec<Object> = handle.read(look).await?;
    let objects = new.len() as u64;
    if let Some(error) = handle.put_all(new).await?.pop() {
        return Err(error.into());
    }
    row.objects = objects;
    row.unchanged = count - objects;
    for chunk in content.allocations.chunks(CHUNK) {
        let taken = handle.adopt(chunk.to_vec()).await? as u64;
        row.addresses += taken;
        row.unchanged += chunk.len() as u64 - taken;
    }
    Ok(())
}

/// Reads the lines; the first that makes no sense ends it.
fn read(lines: &[u8]) -> Result<Content, Trouble> {
    let mut lines = lines.split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    let bad = |number: usize, why: &dyn fmt::Display| {
        Trouble::unreadable(format!("line {} is no line of an export: {why}", number + 1), AGAIN)
    };
    let Some((number, first)) = lines.next() else {
        return Err(Trouble::unreadable("there is nothing to import: not even a first line", AGAIN));
    };
    let header: Header = serde_json::from_slice(first).map_err(|error| bad(number, &error))?;
    if header.format != FORMAT {
        return Err(bad(number, &format!("its format is `{}`, not `{FORMAT}`", header.format)));
    }
    check_version(header.version)?;
    let mut content = Content::default();
    let mut end = None;
    for (number, line) in lines {
        if end.is_some() {
            return Err(bad(number, &"the line before it is the end; is this more than one export?"));
        }
        match serde_json::from_slice(line).map_err(|error| bad(number, &error))? {
            Line::Object(object) => content.objects.push(object),
            Line::Allocation(allocation) => content.allocations.push(allocation),
            Line::End(counts) => end = Some(counts),
        }
    }
    let found =
        Counts { objects: content.objects.len() as u64, allocations: content.allocations.len() as u64 };
    match end {
        None => {
            Err(Trouble::unreadable(format!("the export has no end: it was cut off after {found}"), AGAIN))
        }
        Some(end) if end != found => {
            Err(Trouble::unreadable(format!("the export has {found}, and says that it has {end}"), AGAIN))
        }
        Some(_) => Ok(content),
    }
}

fn check_version(version: u32) -> Result<(), Trouble> {
    match version {
        VERSION => Ok(()),
        1 => Err(Trouble::unreadable(
            "the export has version 1, which does not say where it ends: part of it may be missing",
            "export again with an `allot` of this version; where that is no longer possible, make sure that the file is whole, \
             raise the version in its first line to 2, and add the line {\"end\":{\"objects\":M,\"allocations\":N}} with their \
             numbers",
        )),
        _ => Err(Trouble::unreadable(
            format!("the export has version {version}, and this daemon knows version {VERSION}"),
            "import it into a daemon of the version that wrote it, or a later one",
        )),
    }
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
