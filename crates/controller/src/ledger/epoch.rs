//! The ledger's epoch (L6): raised when the ledger was set back, settled when every node has said since what it uses.

use std::time::SystemTime;

use allotment_engine::LedgerError;
use kube::Client;

use super::api::{Api, Failure, Item, Refused, Sent};
use super::content::{Body, Content, Epochs};
use super::copies::Copy;
use super::errors;
use super::name::Of;
use super::pack::Unreadable;

/// How often it is tried anew when somebody else writes it at the same time; two do at most.
const ATTEMPTS: usize = 5;

/// Begins a new epoch, and returns it: until it is settled nobody gets an address that they do not have already. For
/// whoever knows that the ledger was set back, or that pods show what it never had. The controller that leads hears of it.
pub async fn raise(client: Client) -> Result<u64, LedgerError> {
    raise_above(client, 0).await
}

/// The same, above an epoch that somebody knows of.
pub(crate) async fn raise_above(client: Client, above: u64) -> Result<u64, LedgerError> {
    let (_, epochs) = raise_on(&Api::new(client), above).await?;
    Ok(epochs.epoch)
}

/// Ends an epoch: every node has said under it what it uses, and all of that is in the ledger. `false`: another epoch has
/// begun meanwhile.
pub async fn settle(client: Client, epoch: u64) -> Result<bool, LedgerError> {
    let settle = |known: Option<Epochs>| {
        let open = known.filter(|epochs| epochs.epoch == epoch && epochs.settled < epoch)?;
        Some(Epochs { settled: epoch, ..open })
    };
    let known = change(&Api::new(client), settle).await?;
    Ok(known.is_some_and(|(_, epochs)| epochs.settled == epoch))
}

/// The object of the ledger as a whole; made where there is none.
pub(super) async fn begin_on(api: &Api) -> Result<(Copy, Epochs), LedgerError> {
    let begun = change(api, |known| known.is_none().then(Epochs::default)).await?;
    Ok(begun.expect("where there is none, one is made"))
}

/// `before`: the last epoch that anybody knows of.
pub(super) async fn raise_on(api: &Api, before: u64) -> Result<(Copy, Epochs), LedgerError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let raise = |known: Option<Epochs>| {
        let known = known.unwrap_or_default();
        Some(Epochs { epoch: now.max(known.epoch + 1).max(before + 1), ..known })
    };
    Ok(change(api, raise).await?.expect("it is always written"))
}

/// Changes the object of the ledger as a whole, as far as `change` wants to; returns what is there then. A damaged one is
/// as good as none.
async fn change(
    api: &Api,
    change: impl Fn(Option<Epochs>) -> Option<Epochs>,
) -> Result<Option<(Copy, Epochs)>, LedgerError> {
    let name = Of::Ledger.name();
    let unwritten = |failure: &Failure| errors::unwritten(&Of::Ledger, failure);
    for _ in 0..ATTEMPTS {
        let found = api.get(&name).await.map_err(|failure| unwritten(&failure))?;
        let known = found.clone().map(known).transpose()?.flatten();
        let Some(epochs) = change(known.as_ref().map(|known| known.1)) else { return Ok(known) };
        let written = known.map_or(0, |(copy, _)| copy.written.unwrap_or(0)) + 1;
        let data = Content { written, body: Body::Ledger(epochs) }.pack(&name);
        let of = Of::Ledger.to_string();
        let sent = Sent { name: &name, of: &of, data: &data };
        let stamp = match &found {
            None => api.create(sent).await,
            Some(item) => api.replace(sent, &item.stamp).await,
        };
        match stamp {
            Ok(stamp) => {
                let copy = Copy { stamp, of: Of::Ledger, data: data.into(), written: Ok(written) };
                return Ok(Some((copy, epochs)));
            }
            Err(Refused::Failed(failure)) => return Err(unwritten(&failure)),
            Err(Refused::Conflict | Refused::Missing | Refused::Expired) => {}
        }
    }
    let why = format!("others wrote it {ATTEMPTS} times meanwhile");
    Err(unwritten(&Failure::new(why)))
}

/// What an object says; nothing: it is damaged.
fn known(item: Item) -> Result<Option<(Copy, Epochs)>, LedgerError> {
    match Copy::read(item) {
        Some((_, copy, Ok(Content { body: Body::Ledger(epochs), .. }))) => Ok(Some((copy, epochs))),
        Some((_, _, Err(why @ Unreadable::Newer(_)))) => Err(errors::unreadable(&Of::Ledger, why)),
        _ => Ok(None),
    }
}
