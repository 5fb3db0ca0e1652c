//! Hashes of what records are found by.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use crate::address::Key;
use crate::{Attachment, Mac, OwnerKey};

/// The seed of a state's indexes. Names come from users, so the process that opens the state should choose it; no
/// decision depends on it.
#[derive(Clone, Copy, Default)]
pub(super) struct Seed(pub(super) u64);

impl Seed {
    fn hasher(self) -> impl Hasher {
        FixedState::with_seed(self.0).build_hasher()
    }

    /// Of a word, or a sandbox's id.
    pub(super) fn word(self, word: &str) -> u32 {
        let mut hasher = self.hasher();
        hasher.write(word.as_bytes());
        tag(hasher.finish())
    }

    /// Of what makes an owner the same.
    pub(super) fn owner(self, key: OwnerKey<'_>) -> u32 {
        let mut hasher = self.hasher();
        match key {
            OwnerKey::Uid { kind, uid } => {
                hasher.write(kind.as_bytes());
                hasher.write(uid.as_bytes());
            }
            OwnerKey::Name { kind, namespace, name } => {
                hasher.write(kind.as_bytes());
                hasher.write(namespace.as_bytes());
                hasher.write(name.as_bytes());
            }
        }
        tag(hasher.finish())
    }

    /// Of a block's place.
    pub(super) fn block(self, vrf: u32, base: Key) -> u32 {
        let mut hasher = self.hasher();
        hasher.write_u128(base);
        hasher.write_u32(vrf);
        tag(hasher.finish())
    }

    pub(super) fn mac(self, mac: Mac) -> u32 {
        let mut bytes = [0; 8];
        bytes[..6].copy_from_slice(&mac.0);
        let mut hasher = self.hasher();
        hasher.write_u64(u64::from_le_bytes(bytes));
        tag(hasher.finish())
    }
}

/// Of an attachment, the same in every process and for ever: the order `random` is chosen by it.
pub(super) fn stable(attachment: &Attachment) -> u64 {
    let mut hasher = Seed(0x616c_6c6f_746d_656e).hasher();
    for part in [&attachment.holder, &attachment.network, &attachment.interface] {
        hasher.write(part.as_bytes());
        hasher.write_u8(0);
    }
    hasher.finish()
}

fn tag(hash: u64) -> u32 {
    u32::try_from(hash >> 32).expect("32 bits are left")
}
