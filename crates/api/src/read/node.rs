//! A YAML document as a tree in which everything knows its place.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DefaultMessageFormatter, Error, MessageFormatter, Spanned};

use super::MAX_FILE_BYTES;
use super::fault::{Fault, Spot};

/// Scalars, lists and mappings of a file, aliases written out: a file of the largest size with one value in 16 bytes,
/// and the end of anchors that multiply.
pub(super) const MAX_NODES: usize = 250_000;

pub(crate) struct Node {
    pub(crate) at: Spot,
    pub(crate) value: Value,
}

pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

pub(crate) struct Entry {
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) at: Spot,
    pub(crate) node: Node,
}

/// The documents of a text could not be read.
pub(super) struct Unreadable {
    pub(super) fault: Fault,
    /// More was asked of memory than a file may: the rest of the file is not worth reading.
    pub(super) too_large: bool,
}

/// Reads the documents of `text`, which has no `---` but at its beginning and is part of a file from after line
/// `lines_before`; at most `max_nodes` of them all.
pub(super) fn read(text: &str, lines_before: u32, max_nodes: usize) -> Result<Vec<Node>, Unreadable> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: max_nodes,
            max_total_scalar_bytes: 2 * MAX_FILE_BYTES,
            max_recorded_anchor_bytes: 2 * MAX_FILE_BYTES,
        },
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    match serde_saphyr::from_multiple_with_options::<Spanned<Value>>(text, options) {
        Ok(documents) => {
            let mut nodes: Vec<Node> = documents.into_iter().map(Node::from).collect();
            for node in &mut nodes {
                node.move_down(lines_before);
            }
            Ok(nodes)
        }
        Err(error) => Err(unreadable(&error, lines_before)),
    }
}

fn unreadable(error: &Error, lines_before: u32) -> Unreadable {
    let mut at = error.location().map(spot).unwrap_or_default();
    at.line += lines_before;
    let mut cause = error.without_snippet();
    while let Error::AliasError { error, .. } = cause {
        cause = error.without_snippet();
    }
    let (text, hint, too_large) = match cause {
        Error::DuplicateMappingKey { key, .. } => (
            format!("the key `{}` is there twice", key.as_deref().unwrap_or("?").escape_debug()),
            "keep one of them",
            false,
        ),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => (
            format!(
                "the file has more than {MAX_NODES} values, nests too deeply, or its anchors multiply beyond that"
            ),
            "split it into several files, and write out what its anchors stand for",
            true,
        ),
        _ => (
            format!("is not YAML: {}", DefaultMessageFormatter.format_message(cause).escape_debug()),
            "look here and in the lines before: the indentation, brackets that are not closed, tabs, text that needs quotes",
            false,
        ),
    };
    Unreadable { fault: Fault::new("", at, text, hint), too_large }
}

fn spot(location: serde_saphyr::Location) -> Spot {
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Spot { line: number(location.line()), column: number(location.column()) }
}

impl Node {
    /// How many nodes there are from here down.
    pub(super) fn count(&self) -> usize {
        1 + match &self.value {
            Value::List(items) => items.iter().map(Node::count).sum(),
            Value::Map(entries) => entries.iter().map(|entry| 1 + entry.node.count()).sum(),
            _ => 0,
        }
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|entry| entry.key == key && !matches!(entry.node.value, Value::Null))
    }

    fn move_down(&mut self, lines: u32) {
        self.at.line += lines;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.move_down(lines)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| {
                entry.at.line += lines;
                entry.node.move_down(lines);
            }),
            _ => {}
        }
    }
}

impl Entry {
    /// Where a person would look for this field: at its value if that is one word, else at its key.
    pub(crate) fn spot(&self) -> Spot {
        match self.node.value {
            Value::Null | Value::List(_) | Value::Map(_) => self.at,
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) => self.node.at,
        }
    }
}

impl fmt::Display for Node {
    /// What was found, for messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 40;
        match &self.value {
            Value::Null => f.write_str("nothing"),
            Value::Bool(value) => write!(f, "the boolean `{value}`"),
            Value::Integer(value) => write!(f, "the number {value}"),
            Value::Float(value) => write!(f, "the number {value}"),
            Value::Text(text) if text.chars().nth(SHOWN).is_none() => {
                write!(f, "the text `{}`", text.escape_debug())
            }
            Value::Text(text) => {
                let start: String = text.chars().take(SHOWN).collect();
                write!(f, "the text `{}…`", start.escape_debug())
            }
            Value::List(_) => f.write_str("a list"),
            Value::Map(_) => f.write_str("a mapping"),
        }
    }
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Node {
        // Of an alias, the place where the value stands: that is where it can be corrected.
        Node { at: spot(spanned.defined), value: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element::<Spanned<Value>>()? {
            items.push(item.into());
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let node = access.next_value::<Spanned<Value>>()?.into();
            entries.push(Entry { at: spot(key.defined), key: key.value, node });
        }
        Ok(Value::Map(entries))
    }
}
