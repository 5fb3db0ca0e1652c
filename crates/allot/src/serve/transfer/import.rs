//! Taking over an export.
//!
//! The lines are tried on a copy of what is here as they come in, and the copy is what is kept of them: a line has five
//! times the bytes of its record. Only when the last one has come and nothing contradicts is anything taken over.

use std::fmt;

use allotment_core::{Allocation, Code, Object, Place, State, Timestamp};
use allotment_engine::{EngineError, Handle};
use allotment_wire::ImportRow;
use axum::body::Body;
use http_body_util::BodyExt;

use super::super::copy::copy;
use super::super::reply::Trouble;
use super::{Counts, FORMAT, Header, Line, VERSION};
use crate::words::counted;

/// Allocations taken over in one commit.
const CHUNK: usize = 4096;

/// Bytes of a line. An allocation has some hundred, a subnet with thousands of exclusions some ten thousand.
const MAX_LINE: usize = 1 << 20;

/// Conflicts that are named; the rest is counted.
const NAMED: usize = 100;

/// What to do about a file that was not written as a whole.
const AGAIN: &str =
    "nothing was imported; write the file again with `allot export`, and see that it exits with 0";

/// Takes over an export: all of it, or nothing if anything here contradicts it.
pub(crate) async fn import(handle: &Handle, lines: Body) -> Result<ImportRow, Trouble> {
    let (copy, now) = copy(handle, |_, _| true).await?;
    let mut trial = Trial { copy, now, ..Trial::default() };
    trial.read(lines).await?;
    trial.check()?;
    let mut row = ImportRow { objects: 0, addresses: 0, unchanged: 0 };
    take(handle, trial, &mut row).await.map_err(|error| {
        let done = row.objects + row.addresses;
        Trouble::from(error).within(
            &format!("the import broke off after {}", counted(done, "line")),
            "then import the same file again: what is here already is left as it is",
        )
    })?;
    Ok(row)
}

/// Takes over what contradicts nothing, and counts it in `row`.
async fn take(handle: &Handle, trial: Trial, row: &mut ImportRow) -> Result<(), EngineError> {
    let Trial { copy, new_objects, new, found, .. } = trial;
    row.unchanged = found.objects - new_objects.len() as u64;
    let count = new_objects.len() as u64;
    if let Some(error) = handle.put_all(new_objects).await?.pop() {
        return Err(error.into());
    }
    row.objects = count;
    row.unchanged += found.allocations - new.len() as u64;
    for places in new.chunks(CHUNK) {
        let allocations: Vec<Allocation> = places.iter().filter_map(|&place| copy.at(place)).collect();
        let count = allocations.len() as u64;
        let taken = handle.adopt(allocations).await? as u64;
        row.addresses += taken;
        row.unchanged += count - taken;
    }
    Ok(())
}

/// An export tried on a copy.
#[derive(Default)]
struct Trial {
    /// With everything that was read and contradicts nothing.
    copy: State,
    now: Timestamp,
    /// The line that is read.
    number: usize,
    has_header: bool,
    found: Counts,
    end: Option<Counts>,
    new_objects: Vec<Object>,
    /// The allocations that are not here yet.
    new: Vec<Place>,
    /// The first of them, and how many there are.
    conflicts: (Vec<String>, usize),
}

impl Trial {
    /// Reads the lines; the first that makes no sense ends it.
    async fn read(&mut self, mut lines: Body) -> Result<(), Trouble> {
        let mut rest = Vec::new();
        while let Some(frame) = lines.frame().await {
            let cut = |error: axum::Error| {
                Trouble::unreadable(format!("the export did not come in: {error}"), AGAIN)
            };
            let Ok(bytes) = frame.map_err(cut)?.into_data() else { continue };
            rest.extend_from_slice(&bytes);
            let whole = rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
            for line in rest[..whole].split_inclusive(|&byte| byte == b'\n') {
                self.line(line.trim_ascii())?;
            }
            rest.drain(..whole);
            if rest.len() > MAX_LINE {
                self.number += 1;
                return Err(self.bad(&format!("it has more than {MAX_LINE} bytes")));
            }
        }
        self.line(rest.trim_ascii())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Trouble> {
        self.number += 1;
        if line.is_empty() {
            return Ok(());
        }
        if !self.has_header {
            let header: Header = serde_json::from_slice(line).map_err(|error| self.bad(&error))?;
            if header.format != FORMAT {
                return Err(self.bad(&format!("its format is `{}`, not `{FORMAT}`", header.format)));
            }
            self.has_header = true;
            return check_version(header.version);
        }
        if self.end.is_some() {
            return Err(self.bad(&"the line before it is the end; is this more than one export?"));
        }
        match serde_json::from_slice(line).map_err(|error| self.bad(&error))? {
            Line::Object(object) => self.try_object(object),
            Line::Allocation(allocation) => self.try_allocation(&allocation),
            Line::End(counts) => self.end = Some(counts),
        }
        Ok(())
    }

    /// An object that is here in another form is a conflict even where it could be changed: an import adds, it does not edit.
    fn try_object(&mut self, object: Object) {
        self.found.objects += 1;
        let key = object.key();
        match self.copy.object(&key) {
            Some(here) if here == object => {}
            Some(_) => self.conflict(&format!("{key} is here in another form")),
            None => match self.copy.put(object.clone()) {
                Ok(()) => self.new_objects.push(object),
                Err(error) => self.conflict(&error),
            },
        }
    }

    /// What nobody holds any more, of a subnet that is gone, is not missed.
    fn try_allocation(&mut self, allocation: &Allocation) {
        self.found.allocations += 1;
        match self.copy.adopt(allocation, self.now, &mut self.new) {
            Err(refusal) if allocation.state.is_held() || refusal.code != Code::Unknown => {
                self.conflict(&refusal);
            }
            _ => {}
        }
    }

    fn conflict(&mut self, why: &dyn fmt::Display) {
        let (named, count) = &mut self.conflicts;
        *count += 1;
        if named.len() < NAMED {
            named.push(why.to_string());
        }
    }

    /// Whether all of it came, and nothing contradicts what is here.
    fn check(&mut self) -> Result<(), Trouble> {
        let found = self.found;
        match self.end {
            _ if !self.has_header => {
                return Err(Trouble::unreadable("there is nothing to import: not even a first line", AGAIN));
            }
            None => {
                let text = format!("the export has no end: it was cut off after {found}");
                return Err(Trouble::unreadable(text, AGAIN));
            }
            Some(end) if end != found => {
                let text = format!("the export has {found}, and says that it has {end}");
                return Err(Trouble::unreadable(text, AGAIN));
            }
            Some(_) => {}
        }
        let (mut named, count) = std::mem::take(&mut self.conflicts);
        if count == 0 {
            return Ok(());
        }
        if count > named.len() {
            named.push(format!("and {} more", count - named.len()));
        }
        let contradict = if count == 1 { "contradicts" } else { "contradict" };
        let text =
            format!("nothing was imported: {} {contradict} what is here", counted(count as u64, "line"));
        Err(Trouble::conflict(text, named, "correct what is named, here or in the file, then import again"))
    }

    fn bad(&self, why: &dyn fmt::Display) -> Trouble {
        Trouble::unreadable(format!("line {} is no line of an export: {why}", self.number), AGAIN)
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
