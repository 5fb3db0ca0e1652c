//! What the watch of the ledger's objects tells, against what this process has written: plain data, nobody is asked here.

use std::collections::HashMap;

use allotment_cluster::{Event, ResourceVersion};
use kube::core::PartialObjectMeta;
use kube::{Resource, ResourceExt};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Every object that this process has a copy of, and the copy's version.
    own: HashMap<String, ResourceVersion>,
    /// Objects that somebody else has changed or deleted, and when.
    news: HashMap<String, News>,
    /// The newest version that the API server has told of.
    newest: ResourceVersion,
    /// Whether it has told of an older one later: it may have been set back.
    suspect: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Changed(ResourceVersion),
    Deleted(ResourceVersion),
}

impl News {
    fn version(self) -> ResourceVersion {
        match self {
            News::Changed(version) | News::Deleted(version) => version,
        }
    }
}

impl Heard {
    /// This process has read or written an object.
    pub(super) fn own(&mut self, name: &str, version: ResourceVersion) {
        self.own.insert(name.to_owned(), version);
        self.newest = self.newest.max(version);
        if self.news.get(name).is_some_and(|news| news.version() <= version) {
            self.news.remove(name);
        }
    }

    /// This process knows that an object is not there.
    pub(super) fn gone(&mut self, name: &str) {
        self.own.remove(name);
        self.news.remove(name);
    }

    /// Takes an event in.
    pub(super) fn hear<K: Resource>(&mut self, event: &Event<PartialObjectMeta<K>>) {
        match event {
            Event::Applied(object) => {
                if let Ok(version) = ResourceVersion::of(object) {
                    self.tell(&object.name_any(), News::Changed(version));
                }
            }
            Event::Deleted(object) => {
                if let Ok(version) = ResourceVersion::of(object) {
                    self.tell(&object.name_any(), News::Deleted(version));
                }
            }
            Event::Listed { objects, version } => self.listed(objects, *version),
            Event::Reached(version) => self.newest = self.newest.max(*version),
        }
    }

    fn tell(&mut self, name: &str, news: News) {
        self.newest = self.newest.max(news.version());
        let known = self.own.get(name);
        let is_new = match news {
            News::Changed(version) => known.is_none_or(|own| *own < version),
            News::Deleted(version) => known.is_some_and(|own| *own < version),
        };
        if is_new {
            self.news.insert(name.to_owned(), news);
        } else if self.news.get(name).is_some_and(|old| old.version() <= news.version()) {
            self.news.remove(name);
        }
    }

    fn listed<K: Resource>(&mut self, objects: &[PartialObjectMeta<K>], version: ResourceVersion) {
        // A write of our own may have ended after the list was made: whoever looks into it asks once more.
        self.suspect |= version < self.newest;
        let mut listed = HashMap::new();
        for object in objects {
            if let Ok(version) = ResourceVersion::of(object) {
                listed.insert(object.name_any(), version);
                self.tell(&object.name_any(), News::Changed(version));
            }
        }
        let missing: Vec<String> =
            self.own.keys().filter(|name| !listed.contains_key(*name)).cloned().collect();
        for name in missing {
            self.tell(&name, News::Deleted(version));
        }
    }

    /// The API server has answered with an older version than it had before.
    pub(super) fn suspect(&mut self) {
        self.suspect = true;
    }

    pub(super) fn is_suspect(&self) -> bool {
        self.suspect
    }

    pub(super) fn newest(&self) -> ResourceVersion {
        self.newest
    }

    /// The API server is at this version now, as far back as that may be.
    pub(super) fn is_at(&mut self, version: ResourceVersion) {
        self.suspect = false;
        self.newest = version;
    }

    /// The objects that somebody has to look at, as of these versions.
    pub(super) fn news(&self) -> Vec<(String, ResourceVersion)> {
        self.news.iter().map(|(name, news)| (name.clone(), news.version())).collect()
    }

    /// Whether anybody has to look at anything.
    pub(super) fn is_any(&self) -> bool {
        self.suspect || !self.news.is_empty()
    }

    /// An object has been looked at, after it was told of in this version.
    pub(super) fn seen(&mut self, name: &str, version: ResourceVersion) {
        if self.news.get(name).is_some_and(|news| news.version() == version) {
            self.news.remove(name);
        }
    }
}

#[cfg(test)]
mod tests;
