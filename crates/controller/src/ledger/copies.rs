//! The ledger's objects as this process has read or written them last.
//!
//! They are kept whole, packed: what a failed commit has left in the state is replaced from here without asking anybody,
//! and what was lost on the API server is written again from here (L6).

use std::collections::HashMap;

use super::api::{Item, Stamp};
use super::content::Content;
use super::name::Of;
use super::pack::Unreadable;

/// One object as it was read or written last.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub(super) stamp: Stamp,
    pub(super) of: Of,
    pub(super) data: Box<str>,
    /// The content's count of writes; or why the content cannot be read.
    pub(super) written: Result<u64, Unreadable>,
}

/// All of them, by name.
#[derive(Debug, Default)]
pub(super) struct Copies(HashMap<String, Copy>);

impl Copies {
    pub(super) fn get(&self, name: &str) -> Option<&Copy> {
        self.0.get(name)
    }

    pub(super) fn put(&mut self, name: String, copy: Copy) {
        self.0.insert(name, copy);
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Copy)> {
        self.0.iter().map(|(name, copy)| (name.as_str(), copy))
    }
}

impl Copy {
    /// What was read, and its content. `None`: it is nothing of the ledger's, and nobody can say what it was meant to be.
    pub(super) fn read(item: Item) -> Option<(Copy, Option<Content>)> {
        let Item { name, stamp, of, data } = item;
        let (of, written, content) = match Content::unpack(&name, &data) {
            Ok(content) => (content.of(), Ok(content.written), Some(content)),
            Err(why) => (Of::guess(&name, &of)?, Err(why), None),
        };
        Some((Copy { stamp, of, data: data.into(), written }, content))
    }

    pub(super) fn content(&self, name: &str) -> Result<Content, Unreadable> {
        Content::unpack(name, &self.data)
    }
}
