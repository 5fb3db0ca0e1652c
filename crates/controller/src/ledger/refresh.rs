//! Looking at what others did to the ledger's objects, and making good what was lost (L6).

use std::collections::HashMap;

use allotment_engine::LedgerError;
use futures_util::stream::{self, StreamExt};

use super::api::{Api, Failure, Item, Refused, Sent, Stamp};
use super::copies::Copy;
use super::errors::{unavailable, unwritten};
use super::judge::{Verdict, judge};
use super::kube_ledger::KubeLedger;
use super::name::Of;
use super::write::AT_ONCE;

/// Above this number of objects to look at, all of them are listed: a page of a list costs about as much as ten of them.
const LIST_ABOVE: usize = 64;

/// What is written over one object, or in the place of one that was lost.
struct Rewrite {
    name: String,
    /// What is written; its stamp is that of what it is written over.
    copy: Copy,
    over: Option<Stamp>,
}

impl KubeLedger {
    /// Looks at whatever the watch has told of.
    pub(super) fn look(&mut self) -> Result<(), LedgerError> {
        let news = self.shared.heard().news();
        if self.is_set_back()? {
            // Before anything else: from now on nothing is given that is free only because it was forgotten.
            self.raise()?;
            self.set_back = true;
        }
        if self.set_back || news.len() > LIST_ABOVE {
            let found = self.list_all()?;
            self.absorb(found)?;
            self.set_back = false;
        } else {
            let found = self.runtime.block_on(get(&self.api, &news));
            self.absorb(found.map_err(|failure| unavailable(&failure))?)?;
        }
        let mut heard = self.shared.heard();
        for (name, version) in news {
            heard.seen(&name, version);
        }
        Ok(())
    }

    /// Whether the API server is at an older version than it was, which happens when its database is restored.
    fn is_set_back(&mut self) -> Result<bool, LedgerError> {
        let newest = {
            let heard = self.shared.heard();
            if !heard.is_suspect() {
                return Ok(false);
            }
            heard.newest()
        };
        let version = self.runtime.block_on(self.api.version()).map_err(|failure| unavailable(&failure))?;
        if version < newest {
            return Ok(true);
        }
        self.shared.heard().is_at(version);
        Ok(false)
    }

    /// Every object, and every one that there should be.
    fn list_all(&mut self) -> Result<Vec<(String, Option<Item>)>, LedgerError> {
        let listed = self.runtime.block_on(self.api.list());
        let (items, version) = listed.map_err(|failure| unavailable(&failure))?;
        let mut found: HashMap<String, Option<Item>> =
            self.copies().iter().map(|(name, _)| (name.to_owned(), None)).collect();
        found.extend(items.into_iter().map(|item| (item.name.clone(), Some(item))));
        self.shared.heard().is_at(version);
        Ok(found.into_iter().collect())
    }

    /// Brings the copies up to date with what was found, and the API server with the copies where it has lost something.
    pub(super) fn absorb(&mut self, found: Vec<(String, Option<Item>)>) -> Result<(), LedgerError> {
        let mut rewrites = Vec::new();
        let mut set_back = false;
        for (name, item) in found {
            let copy = self.copies().get(&name);
            let of = copy.map(|copy| copy.of.clone());
            match judge(&name, copy, item.as_ref()) {
                Verdict::Same => {}
                Verdict::Restamp(stamp) => {
                    let copy = copy.cloned().expect("what is the same as the copy has one");
                    self.keep(name, Copy { stamp, ..copy });
                }
                Verdict::Theirs(theirs) => self.take(name, of.as_ref(), theirs),
                Verdict::Lost => {
                    let copy = copy.cloned().expect("what was lost was there");
                    rewrites.push(Rewrite { name, copy, over: None });
                }
                Verdict::Write { over, content, set_back: more } => {
                    set_back |= more;
                    let data = content.pack(&name).into();
                    let copy =
                        Copy { stamp: over.clone(), of: content.of(), data, written: Ok(content.written) };
                    rewrites.push(Rewrite { name, copy, over: Some(over) });
                }
            }
        }
        if set_back && !self.set_back {
            self.raise()?;
            // Whoever lost this has lost more.
            self.set_back = true;
            self.shared.suspect();
        }
        if self.set_back {
            // Raising the epoch has written it.
            rewrites.retain(|rewrite| rewrite.copy.of != Of::Ledger);
        }
        self.rewrite(rewrites)
    }

    fn take(&mut self, name: String, of: Option<&Of>, theirs: Option<Copy>) {
        if let Some(of) = theirs.as_ref().map(|copy| &copy.of).or(of) {
            self.outdate(of);
        }
        match theirs {
            Some(copy) => self.keep(name, copy),
            None => self.forget(&name),
        }
    }

    fn rewrite(&mut self, rewrites: Vec<Rewrite>) -> Result<(), LedgerError> {
        let mut failed = None;
        for (rewrite, written) in self.runtime.block_on(perform(&self.api, rewrites)) {
            let Rewrite { name, copy, over } = rewrite;
            match written {
                Ok(stamp) => {
                    tracing::warn!(object = %name, of = %copy.of, "an object of the ledger was lost, and is written again");
                    self.shared.counts.lost.add(1);
                    // What was lost altogether is what the state has.
                    if over.is_some() {
                        self.outdate(&copy.of);
                    }
                    self.keep(name, Copy { stamp, ..copy });
                }
                Err(Refused::Failed(failure)) => failed = Some(unwritten(&copy.of, &failure)),
                Err(Refused::Conflict | Refused::Missing | Refused::Expired) => {
                    let why = "somebody else wrote it meanwhile".to_owned();
                    failed = Some(unwritten(&copy.of, &Failure::new(why)));
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

async fn get<V>(api: &Api, names: &[(String, V)]) -> Result<Vec<(String, Option<Item>)>, Failure> {
    let get = |(name, _): &(String, V)| {
        let name = name.clone();
        async move { api.get(&name).await.map(|item| (name, item)) }
    };
    let got: Vec<_> = stream::iter(names).map(get).buffer_unordered(AT_ONCE).collect().await;
    got.into_iter().collect()
}

async fn perform(api: &Api, rewrites: Vec<Rewrite>) -> Vec<(Rewrite, Result<Stamp, Refused>)> {
    let write = |rewrite: Rewrite| async move {
        let of = rewrite.copy.of.to_string();
        let sent = Sent { name: &rewrite.name, of: &of, data: &rewrite.copy.data };
        let written = match &rewrite.over {
            None => api.create(sent).await,
            Some(over) => api.replace(sent, over).await,
        };
        (rewrite, written)
    };
    stream::iter(rewrites).map(write).buffer_unordered(AT_ONCE).collect().await
}
