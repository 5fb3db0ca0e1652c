//! Objects with the places of their fields, and what is wrong with those that are not right.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use allotment_core::{Object, ObjectError, ObjectKey};
use serde::Serialize;

use crate::read::fault::{Fault, Spot};
use crate::read::node::{Node, Value};

/// What files say.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// Right by themselves, each kind and name once.
    pub objects: Vec<Located<Object>>,
    pub errors: Vec<Problem>,
    /// Files in which nothing is written at all, not even a comment.
    pub blank: Vec<String>,
}

/// Something wrong in a file.
///
/// Prints as `subnets.yaml:7: spec.cidrs[0]: …`, without the hint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    pub file: String,
    /// Counted from 1; 0 where the file as a whole is meant.
    pub line: u32,
    /// Counted from 1, in characters; 0 where the file as a whole is meant.
    pub column: u32,
    /// The object it is about, where that much could be read.
    pub object: Option<ObjectKey>,
    /// Path of the field in the object, such as `spec.cidrs[0]`; empty for the whole document.
    pub field: String,
    /// What is wrong.
    pub text: String,
    /// What to do, where the text does not say it; else empty.
    pub hint: String,
}

/// A value from a file, and where its fields stand.
#[derive(Clone, Debug)]
pub struct Located<T> {
    pub value: T,
    file: Arc<str>,
    /// By path; the object as a whole is the empty one.
    places: BTreeMap<String, Spot>,
}

impl Parsed {
    /// Puts files together. Of an object that is there several times, the one in its `home` counts, else the first; the others
    /// are problems that say where that one is. A home is a file, told by its name without folders.
    pub fn gather<'h>(
        parts: impl IntoIterator<Item = Parsed>,
        home: impl Fn(&ObjectKey) -> Option<&'h str>,
    ) -> Parsed {
        let mut all = Parsed::default();
        let mut found: BTreeMap<ObjectKey, Vec<usize>> = BTreeMap::new();
        let mut objects = Vec::new();
        for part in parts {
            all.errors.extend(part.errors);
            all.blank.extend(part.blank);
            for object in part.objects {
                found.entry(object.value.key()).or_default().push(objects.len());
                objects.push(object);
            }
        }
        let mut counts: BTreeSet<usize> = BTreeSet::new();
        for (key, places) in found {
            let home = home(&key);
            let home = home.and_then(|home| Path::new(home).file_name());
            let is_home = |&place: &usize| Path::new(objects[place].file()).file_name() == home;
            let chosen = places.iter().copied().find(is_home).unwrap_or(places[0]);
            counts.insert(chosen);
            let others = places.into_iter().filter(|&place| place != chosen);
            all.errors.extend(others.map(|place| objects[place].doubled(key.clone(), &objects[chosen])));
        }
        let objects = objects.into_iter().enumerate();
        all.objects = objects.filter(|(place, _)| counts.contains(place)).map(|(_, object)| object).collect();
        all
    }

    /// Whether a problem may stand where this object was: that it is not among [`Parsed::objects`] is then no sign that
    /// somebody removed it (O6).
    pub fn may_hide(&self, key: &ObjectKey) -> bool {
        self.errors.iter().any(|problem| problem.object.as_ref().is_none_or(|object| object == key))
    }
}

impl Problem {
    pub(crate) fn new(file: &Arc<str>, object: Option<ObjectKey>, fault: Fault) -> Problem {
        let Fault { field, at, text, hint, .. } = fault;
        let (field, text, hint) = (visible(&field), visible(&text), visible(&hint));
        Problem { file: file.to_string(), line: at.line, column: at.column, object, field, text, hint }
    }
}

/// Characters of a text that are shown; a value in a file may have millions.
const SHOWN: usize = 400;

/// The text as it can be printed: what a file has in it must not move anybody's cursor, nor fill the screen.
fn visible(text: &str) -> String {
    let mut visible = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == SHOWN {
            visible.push('…');
            break;
        }
        if c.is_control() { visible.extend(c.escape_default()) } else { visible.push(c) }
    }
    visible
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        if !self.field.is_empty() {
            write!(f, " {}:", self.field)?;
        }
        write!(f, " {}", self.text)
    }
}

impl<T> Located<T> {
    pub(crate) fn new(value: T, file: &Arc<str>, node: &Node) -> Located<T> {
        let mut places = BTreeMap::from([(String::new(), node.at)]);
        if let Some(metadata) = node.entry("metadata")
            && let Some(name) = metadata.node.entry("name")
        {
            places.insert("metadata".to_owned(), metadata.spot());
            places.insert("metadata.name".to_owned(), name.spot());
        }
        if let Some(spec) = node.entry("spec") {
            place("spec".to_owned(), spec.spot(), &spec.node, &mut places);
        }
        Located { value, file: Arc::clone(file), places }
    }

    /// The file the value was read from.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line on which the value begins.
    pub fn line(&self) -> u32 {
        self.spot("").line
    }

    /// The problem that an error of this object is: with file and line of its field, or of the nearest around it if it
    /// is not written there.
    pub fn problem(&self, error: &ObjectError) -> Problem {
        let fault = Fault::new(&error.field, self.spot(&error.field), &error.text, &error.hint);
        Problem::new(&self.file, Some(error.object.clone()), fault)
    }

    fn spot(&self, mut path: &str) -> Spot {
        loop {
            if let Some(&spot) = self.places.get(path) {
                return spot;
            }
            path = path.rfind(['.', '[']).map_or("", |end| &path[..end]);
        }
    }

    fn doubled(&self, key: ObjectKey, first: &Located<T>) -> Problem {
        let text = format!("{key} is there already, at {}:{}", first.file, first.line());
        let hint = "that one counts; remove one of them, or give it another name";
        Problem::new(
            &self.file,
            Some(key),
            Fault::new("metadata.name", self.spot("metadata.name"), text, hint),
        )
    }
}

fn place(path: String, at: Spot, node: &Node, places: &mut BTreeMap<String, Spot>) {
    match &node.value {
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                place(format!("{path}[{index}]"), item.at, item, places);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                place(format!("{path}.{}", entry.key), entry.spot(), &entry.node, places);
            }
        }
        _ => {}
    }
    places.insert(path, at);
}
