//! One commit: which objects it writes with what, and how one of them is written.

use allotment_core::{BlockId, State};
use allotment_engine::Batch;
use futures_util::stream::{self, StreamExt};
use tokio::task::JoinError;

use super::api::{Api, Failure, Item, Refused, Sent, Stamp};
use super::content::{Body, Content, Records};
use super::copies::{Copies, Copy};
use super::name::Of;
use super::pack::Unreadable;

/// Writes under way at once: as many connections to the API server, which speaks HTTP/1.1 with us. More would only wait for
/// each other in etcd.
pub(super) const AT_ONCE: usize = 16;

/// One object that a commit writes.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) name: String,
    pub(super) of: Of,
    /// What it is for the engine; nothing: an object.
    pub(super) block: Option<BlockId>,
    /// The version it replaces; nothing: it is new.
    pub(super) before: Option<Before>,
    /// Nothing: it is removed.
    pub(super) content: Option<Content>,
}

/// The version of an object that a write replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Before {
    pub(super) stamp: Stamp,
    pub(super) written: u64,
}

/// What became of a [`Write`].
#[derive(Debug)]
pub(super) enum Outcome {
    Written(Copy),
    Removed,
    /// Somebody else has written it: this is what is there now.
    Changed(Item),
    /// Somebody else has removed it.
    Gone,
    Failed(Failure),
}

/// What a batch writes: each block that it touches, whole, and each object, as the batch left it.
///
/// Fails with the first object that may not be written, since nobody here can read it.
pub(super) fn plan(state: &State, batch: &Batch, copies: &Copies) -> Result<Vec<Write>, (Of, Unreadable)> {
    let mut writes = Vec::new();
    for block in batch.blocks() {
        let vrf = state.vrf_name(block).to_owned();
        let of = Of::Block { vrf: vrf.clone(), base: block.base() };
        let mut records = Records::default();
        let mut record = Vec::new();
        for place in state.places(block) {
            record.clear();
            state.write_record(place, &mut record);
            records.push(place.offset(), &record);
        }
        let body = Body::Block { vrf, base: block.base(), records };
        writes.extend(Write::new(of, Some(block), Some(body), copies)?);
    }
    let mut seen = Vec::new();
    // The last word on an object counts.
    for (key, object) in batch.objects.iter().rev() {
        if !seen.contains(&key) {
            seen.push(key);
            let of = Of::Object(key.clone());
            writes.extend(Write::new(
                of,
                None,
                object.clone().map(|object| Body::Object(Box::new(object))),
                copies,
            )?);
        }
    }
    Ok(writes)
}

impl Write {
    /// Nothing where there is nothing to remove.
    fn new(
        of: Of,
        block: Option<BlockId>,
        body: Option<Body>,
        copies: &Copies,
    ) -> Result<Option<Write>, (Of, Unreadable)> {
        let name = of.name();
        let before = match copies.get(&name) {
            None => None,
            Some(Copy { stamp, written: Ok(written), .. }) => {
                Some(Before { stamp: stamp.clone(), written: *written })
            }
            // What was accepted last cannot be known any more: what is accepted now is put in its place.
            Some(Copy { stamp, written: Err(Unreadable::Damaged(_)), .. }) if matches!(of, Of::Object(_)) => {
                Some(Before { stamp: stamp.clone(), written: 0 })
            }
            Some(Copy { written: Err(why), .. }) => return Err((of, *why)),
        };
        if before.is_none() && body.is_none() {
            return Ok(None);
        }
        let written = before.as_ref().map_or(0, |before| before.written) + 1;
        let content = body.map(|body| Content { written, body });
        Ok(Some(Write { name, of, block, before, content }))
    }

    /// Writes it, or finds out why not.
    async fn perform(&self, api: &Api) -> Outcome {
        let Some(content) = &self.content else { return self.remove(api).await };
        let data = content.pack(&self.name);
        let of = self.of.to_string();
        let sent = Sent { name: &self.name, of: &of, data: &data };
        let written = |stamp| {
            let (of, data) = (self.of.clone(), data.clone().into());
            Outcome::Written(Copy { stamp, of, data, written: Ok(content.written) })
        };
        let first = match &self.before {
            None => api.create(sent).await,
            Some(before) => api.replace(sent, &before.stamp).await,
        };
        let failure = match first {
            Ok(stamp) => return written(stamp),
            Err(Refused::Failed(failure)) if !failure.in_doubt => return Outcome::Failed(failure),
            Err(Refused::Failed(failure)) => Some(failure),
            Err(Refused::Conflict | Refused::Missing | Refused::Expired) => None,
        };
        match (api.get(&self.name).await, failure) {
            // An answer was lost, and here it is: nobody else writes the very same.
            (Ok(Some(item)), _) if item.data == data => written(item.stamp),
            (Ok(Some(item)), Some(failure)) if self.is_before(&item) => Outcome::Failed(failure),
            (Ok(Some(item)), _) => Outcome::Changed(item),
            // It was lost; what it had is in what is written now (L6).
            (Ok(None), None) => match api.create(sent).await {
                Ok(stamp) => written(stamp),
                Err(Refused::Failed(failure)) => Outcome::Failed(failure),
                Err(Refused::Conflict | Refused::Missing | Refused::Expired) => Outcome::Gone,
            },
            (Ok(None), Some(failure)) => Outcome::Failed(failure),
            (Err(failure), first) => Outcome::Failed(first.unwrap_or(failure)),
        }
    }

    fn is_before(&self, item: &Item) -> bool {
        self.before.as_ref().is_some_and(|before| before.stamp == item.stamp)
    }

    /// Empties the object first, as an object that holds something cannot be deleted.
    async fn remove(&self, api: &Api) -> Outcome {
        let Some(before) = &self.before else { return Outcome::Removed };
        let of = self.of.to_string();
        let sent = Sent { name: &self.name, of: &of, data: "" };
        match api.replace(sent, &before.stamp).await {
            Ok(stamp) => {
                if let Err(error) = api.delete(&self.name, &stamp).await {
                    tracing::debug!(object = %self.name, ?error, "an emptied object could not be deleted");
                }
                Outcome::Removed
            }
            Err(Refused::Missing) => Outcome::Removed,
            Err(Refused::Failed(failure)) => Outcome::Failed(failure),
            Err(Refused::Conflict | Refused::Expired) => match api.get(&self.name).await {
                Ok(Some(item)) if item.data.is_empty() => Outcome::Removed,
                Ok(Some(item)) => Outcome::Changed(item),
                Ok(None) => Outcome::Removed,
                Err(failure) => Outcome::Failed(failure),
            },
        }
    }
}

/// Writes all of them at once. One that fails keeps no other from being written. Fails when the program is about to end, and
/// nothing is known of any of them.
pub(super) async fn perform(api: &Api, writes: Vec<Write>) -> Result<Vec<(Write, Outcome)>, Failure> {
    // Each in a task of its own, so that they are also packed at once.
    let task = |write: Write| {
        let api = api.clone();
        tokio::spawn(async move {
            let outcome = write.perform(&api).await;
            (write, outcome)
        })
    };
    let ended: Vec<_> = stream::iter(writes).map(task).buffer_unordered(AT_ONCE).collect().await;
    ended.into_iter().map(|ended| ended.map_err(broken_off)).collect()
}

fn broken_off(error: JoinError) -> Failure {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Failure { why: "this program is ending".to_owned(), in_doubt: true, retry_after: None },
    }
}

#[cfg(test)]
mod tests;
