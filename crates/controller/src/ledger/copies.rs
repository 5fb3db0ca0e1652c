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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// What was read: name, copy and content. `None`: a removed object, which is empty before it is deleted; or nothing of
    /// the ledger's.
    pub(super) fn read(item: Item) -> Option<(String, Copy, Result<Content, Unreadable>)> {
        let Item { name, stamp, of, data } = item;
        if data.is_empty() && Of::is_object(&name) {
            return None;
        }
        let content = Content::unpack(&name, &data);
        let (of, written) = match &content {
            Ok(content) => (content.of(), Ok(content.written)),
            Err(why) => {
                let guessed = Of::guess(&name, &of);
                if guessed.is_none() {
                    tracing::error!(object = %name, "this AddressBlock is none of the ledger's");
                }
                (guessed?, Err(*why))
            }
        };
        Some((name, Copy { stamp, of, data: data.into(), written }, content))
    }

    pub(super) fn content(&self, name: &str) -> Result<Content, Unreadable> {
        Content::unpack(name, &self.data)
    }
}
