//! What no state could take: requests and allocations that are wrong by themselves.

use super::refuse;
use super::store::Store;
use super::text::STRING_MAX;
use crate::{Attachment, Code, Owner, OwnerKey, Refusal, Request, Want};

/// Most interfaces one request may have.
const WANTS_MAX: usize = 256;

fn invalid(text: String) -> Refusal {
    Refusal::new(Code::Invalid, text, "correct the request")
}

pub(super) fn check_request(request: &Request) -> Result<(), Refusal> {
    let owner = &request.owner;
    check_owner(owner)?;
    if request.wants.is_empty() || request.wants.len() > WANTS_MAX {
        return Err(invalid(format!(
            "{owner} asks for {} interfaces; 1 to {WANTS_MAX} can be asked",
            request.wants.len()
        )));
    }
    check_texts(owner, || request.wants.iter().map(|want| &want.attachment))?;
    for (at, want) in request.wants.iter().enumerate() {
        check_holder(owner, &want.attachment)?;
        let unclear = |other: &Want| want.targets.is_empty() || other.targets.is_empty();
        if request.wants[..at].iter().any(|other| other.attachment.same(&want.attachment) && unclear(other)) {
            return Err(refuse::interface_twice(request, want));
        }
    }
    Ok(())
}

/// Owner and attachments of an allocation that somebody else recorded.
pub(super) fn check_record(owner: &Owner, attachments: &[Attachment]) -> Result<(), Refusal> {
    check_owner(owner)?;
    check_texts(owner, || attachments.iter())?;
    attachments.iter().try_for_each(|attachment| check_holder(owner, attachment))
}

/// Kinds are few, and numbered: there is no room for more than a record can tell apart.
pub(super) fn check_kind(store: &Store, owner: &Owner) -> Result<(), Refusal> {
    if store.has_room_for_kind(&owner.kind) {
        return Ok(());
    }
    Err(invalid(format!("`{}` would be one kind of owner too many, after {}", owner.kind, Store::KINDS_MAX)))
}

fn check_owner(owner: &Owner) -> Result<(), Refusal> {
    if owner.kind.is_empty() || owner.name.is_empty() && owner.uid.is_empty() {
        return Err(invalid("the owner has no kind, or neither name nor uid".to_owned()));
    }
    match owner.key() {
        OwnerKey::Uid { uid: "", .. } => {
            Err(invalid(format!("{owner} has no uid, which is what tells it from others of its name")))
        }
        OwnerKey::Name { kind, name: "", .. } => {
            Err(invalid(format!("a {kind} without a name cannot be told from others")))
        }
        OwnerKey::Uid { .. } | OwnerKey::Name { .. } => Ok(()),
    }
}

fn check_texts<'a, I>(owner: &'a Owner, attachments: impl Fn() -> I) -> Result<(), Refusal>
where
    I: Iterator<Item = &'a Attachment>,
{
    let Owner { kind, namespace, name, uid } = owner;
    let owner = [
        ("owner's kind", kind),
        ("owner's namespace", namespace),
        ("owner's name", name),
        ("owner's uid", uid),
    ];
    let all = || owner.into_iter().chain(attachments().flat_map(texts));
    if all().map(|(_, text)| text.len()).sum::<usize>() <= STRING_MAX {
        return Ok(());
    }
    match all().find(|(_, text)| text.len() > STRING_MAX) {
        None => Ok(()),
        Some((what, text)) => {
            let length = text.len();
            Err(invalid(format!(
                "the {what} has {length} bytes, and {STRING_MAX} are the most that is recorded"
            )))
        }
    }
}

fn check_holder(owner: &Owner, attachment: &Attachment) -> Result<(), Refusal> {
    if attachment.holder.is_empty() {
        return Err(invalid(format!("interface `{}` of {owner} has no holder", attachment.interface)));
    }
    Ok(())
}

/// What each is called, and its text.
fn texts(attachment: &Attachment) -> impl Iterator<Item = (&'static str, &String)> {
    let Attachment { holder, container_id, network, interface, node, netns } = attachment;
    let netns = netns.iter().flat_map(|netns| {
        [("boot id of the network namespace", &netns.boot), ("path of the network namespace", &netns.path)]
    });
    let own = [
        ("holder", holder),
        ("container id", container_id),
        ("network's name", network),
        ("interface's name", interface),
        ("node's name", node),
    ];
    own.into_iter().chain(netns)
}
