//! How people name an owner.

use allotment_core::{Allocation, Attachment, Owner};

/// A runtime's short form of a container id.
const SHORT_ID: usize = 12;

/// `Kind/namespace/name`, `namespace/name`, `Kind/name` of an owner without a namespace, a name, a UID, or a container id
/// of at least twelve characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnerPattern {
    kind: Option<String>,
    namespace: Option<String>,
    last: String,
}

impl OwnerPattern {
    /// Nothing when the text has too many parts or names nobody.
    pub(crate) fn parse(text: &str) -> Option<OwnerPattern> {
        let parts: Vec<String> = text.split('/').map(str::to_owned).collect();
        let (kind, namespace, last) = match <[String; 3]>::try_from(parts) {
            Ok([kind, namespace, name]) => (Some(kind), Some(namespace), name),
            Err(mut parts) => match (parts.pop(), parts.pop(), parts.pop()) {
                (Some(name), namespace, None) => (None, namespace, name),
                _ => return None,
            },
        };
        (!last.is_empty()).then_some(OwnerPattern { kind, namespace, last })
    }

    /// Whether an allocation's owner, or one of its holders, is meant.
    pub(crate) fn matches(&self, allocation: &Allocation) -> bool {
        self.matches_owner(&allocation.owner, &allocation.attachments)
    }

    pub(crate) fn matches_owner(&self, owner: &Owner, attachments: &[Attachment]) -> bool {
        match (&self.kind, &self.namespace) {
            (Some(kind), namespace) => {
                *kind == owner.kind
                    && namespace.as_ref().is_none_or(|namespace| *namespace == owner.namespace)
                    && self.last == owner.name
            }
            (None, Some(first)) => {
                self.last == owner.name
                    && (*first == owner.namespace || (owner.namespace.is_empty() && *first == owner.kind))
            }
            (None, None) => {
                self.last == owner.name
                    || self.is_id(&owner.uid)
                    || attachments
                        .iter()
                        .any(|held| self.is_id(&held.holder) || self.is_id(&held.container_id))
            }
        }
    }

    fn is_id(&self, id: &str) -> bool {
        self.last == id || (self.last.len() >= SHORT_ID && id.starts_with(&self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0f3a91d2c7b44e5f8a6b";

    fn check(pattern: &str, expect: bool) {
        let owner = Owner {
            kind: "Pod".to_owned(),
            namespace: "shop".to_owned(),
            name: "cart-7".to_owned(),
            uid: "5d1e".to_owned(),
        };
        let attachment = Attachment { container_id: ID.to_owned(), ..Attachment::default() };
        let pattern = OwnerPattern::parse(pattern).unwrap();
        assert_eq!(pattern.matches_owner(&owner, &[attachment]), expect, "{pattern:?}");
    }

    #[test]
    fn every_way_to_name_an_owner() {
        for text in ["Pod/shop/cart-7", "shop/cart-7", "cart-7", "5d1e", ID, "0f3a91d2c7b4"] {
            check(text, true);
        }
        for text in
            ["VM/shop/cart-7", "Pod/cart-7", "store/cart-7", "cart", "5d1", "0f3a91d2c7b", "Pod//cart-7"]
        {
            check(text, false);
        }
    }

    #[test]
    fn an_owner_without_a_namespace() {
        let owner = Owner { kind: "Container".to_owned(), name: "web".to_owned(), ..Owner::default() };
        for text in ["Container/web", "Container//web", "web"] {
            assert!(OwnerPattern::parse(text).unwrap().matches_owner(&owner, &[]), "{text}");
        }
        assert!(!OwnerPattern::parse("Pod/web").unwrap().matches_owner(&owner, &[]));
    }

    #[test]
    fn names_of_nobody() {
        for text in ["", "/", "a/", "a/b/", "a/b/c/d"] {
            assert_eq!(OwnerPattern::parse(text), None, "{text}");
        }
    }
}
