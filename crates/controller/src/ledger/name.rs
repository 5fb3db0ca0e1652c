//! Which object holds what (L1): a function of VRF and base alone, so that racing overlaps, recreated or resized subnets and
//! several subnets within one block meet in the same object.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use allotment_core::{ObjectKey, ObjectKind};

/// What one object of the ledger holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Of {
    /// What concerns the ledger as a whole.
    Ledger,
    /// The content of a Subnet, `IPPool` or Reservation that was accepted last.
    Object(ObjectKey),
    /// The records of a block.
    Block { vrf: String, base: IpAddr },
}

const LEDGER: &str = "ledger";
const LEDGER_TEXT: &str = "the ledger";
const OBJECT: &str = "object";
const HASHED: &str = "hashed";

/// The longest name that an object may have (RFC 1123 subdomain).
const LONGEST: usize = 253;

/// The longest last label of a block's name: eight groups of an IPv6 address.
const LONGEST_BASE: usize = 39;

impl Of {
    /// The object's name.
    pub(super) fn name(&self) -> String {
        match self {
            Of::Ledger => LEDGER.to_owned(),
            Of::Object(key) => {
                let head = format!("{OBJECT}.{}.", kind_label(key.kind));
                let name = readable(&key.name, &[HASHED], LONGEST - head.len());
                head + &name
            }
            Of::Block { vrf, base } => {
                let vrf = readable(vrf, &[OBJECT, HASHED], LONGEST - 1 - LONGEST_BASE);
                format!("{vrf}.{}", base_label(*base))
            }
        }
    }

    /// Whether an object of this name holds a Subnet, `IPPool` or Reservation.
    pub(super) fn is_object(name: &str) -> bool {
        name.split_once('.').is_some_and(|(first, _)| first == OBJECT)
    }

    /// What the object named `name` holds, going by its name and by what it says for people (`Display`). It is asked only
    /// where the content cannot be read.
    pub(super) fn guess(name: &str, of: &str) -> Option<Of> {
        let by_name = name
            .rsplit_once('.')
            .and_then(|(vrf, base)| Some(Of::Block { vrf: vrf.to_owned(), base: parse_base_label(base)? }));
        let words = of.rsplit_once(' ');
        let by_words =
            words.and_then(|(vrf, base)| Some(Of::Block { vrf: vrf.to_owned(), base: base.parse().ok()? }));
        let kinds = [ObjectKind::Subnet, ObjectKind::IPPool, ObjectKind::Reservation];
        let object = of.split_once(' ').and_then(|(word, name)| {
            let kind = kinds.into_iter().find(|kind| format!("{kind:?}") == word)?;
            Some(Of::Object(ObjectKey { kind, name: name.to_owned() }))
        });
        [Some(Of::Ledger), object, by_words, by_name].into_iter().flatten().find(|of| of.name() == name)
    }
}

impl fmt::Display for Of {
    /// What the object's field `of` says, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Of::Ledger => f.write_str(LEDGER_TEXT),
            Of::Object(key) => write!(f, "{:?} {}", key.kind, key.name),
            Of::Block { vrf, base } => write!(f, "{vrf} {base}"),
        }
    }
}

fn kind_label(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Subnet => "subnet",
        ObjectKind::IPPool => "ippool",
        ObjectKind::Reservation => "reservation",
    }
}

/// `10-40-3-0`, or eight groups of hexadecimal digits.
fn base_label(base: IpAddr) -> String {
    let groups: Vec<String> = match base {
        IpAddr::V4(v4) => v4.octets().iter().map(ToString::to_string).collect(),
        IpAddr::V6(v6) => v6.segments().iter().map(|group| format!("{group:x}")).collect(),
    };
    groups.join("-")
}

fn parse_base_label(label: &str) -> Option<IpAddr> {
    let groups: Vec<&str> = label.split('-').collect();
    match groups.len() {
        4 => label.replace('-', ".").parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        8 => label.replace('-', ":").parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => None,
    }
}

/// The name itself where it can be part of an object's name, else what stands for it. First labels in `taken` mean
/// something else in its place.
fn readable(name: &str, taken: &[&str], longest: usize) -> String {
    let first = name.split('.').next().unwrap_or_default();
    if name.len() <= longest && name.split('.').all(is_label) && !taken.contains(&first) {
        return name.to_owned();
    }
    format!("{HASHED}.{:032x}", fnv(name.as_bytes()))
}

fn is_label(label: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
}

/// FNV-1a of 128 bits: the same for ever, and no two VRFs of a cluster meet by chance. If two did, the content would tell
/// (it says whose it is).
fn fnv(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, &byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(vrf: &str, base: &str) -> Of {
        Of::Block { vrf: vrf.to_owned(), base: base.parse().unwrap() }
    }

    fn object(kind: ObjectKind, name: &str) -> Of {
        Of::Object(ObjectKey { kind, name: name.to_owned() })
    }

    #[test]
    fn l1_a_name_is_a_function_of_vrf_and_base() {
        let long = "v".repeat(214);
        for (of, name) in [
            (Of::Ledger, "ledger"),
            (block("default", "10.40.3.0"), "default.10-40-3-0"),
            (block("blue.shop", "0.0.0.0"), "blue.shop.0-0-0-0"),
            (block("default", "fd00:40::"), "default.fd00-40-0-0-0-0-0-0"),
            (block("default", "fd00:40::1:ab00"), "default.fd00-40-0-0-0-0-1-ab00"),
            (object(ObjectKind::Subnet, "rack-a"), "object.subnet.rack-a"),
            (object(ObjectKind::IPPool, "rack-a.db"), "object.ippool.rack-a.db"),
            (object(ObjectKind::Reservation, "printer"), "object.reservation.printer"),
            // What cannot be said stands hashed; these must never change.
            (block("/var/lib/cni podman", "10.0.0.0"), "hashed.4ad781f276c5972c947cecba2f1963cd.10-0-0-0"),
            (block(&long, "10.0.0.0"), "hashed.37b0facb91a19505e368c7c01e6b9bc5.10-0-0-0"),
            (block("object.subnet", "10.0.0.0"), "hashed.16377503ba41ceb0c85b909bd97167e9.10-0-0-0"),
        ] {
            assert_eq!(of.name(), name);
            assert_eq!(Of::guess(name, &of.to_string()), Some(of), "{name}");
        }
    }

    #[test]
    fn l1_no_two_have_one_name() {
        let subnet_like_a_block = object(ObjectKind::Subnet, "10-0-0-0");
        assert_ne!(block("object.subnet", "10.0.0.0").name(), subnet_like_a_block.name());
        let hashed = block("A", "10.0.0.0").name();
        let vrf = hashed.strip_suffix(".10-0-0-0").unwrap();
        assert_ne!(block(vrf, "10.0.0.0").name(), hashed, "nobody can name a VRF like a hash");
        assert_ne!(object(ObjectKind::Subnet, "hashed.x").name(), "object.subnet.hashed.x");
    }

    #[test]
    fn l1_every_name_is_one_that_objects_may_have() {
        for vrf in ["default", "", "-", "a..b", "Grün", &"x.".repeat(120), &"v".repeat(1024)] {
            for base in ["10.0.0.0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00"] {
                let name = block(vrf, base).name();
                assert!(name.len() <= LONGEST && name.split('.').all(is_label), "{name}");
            }
        }
        let name = object(ObjectKind::Reservation, &"r".repeat(253)).name();
        assert!(name.len() <= LONGEST && name.split('.').all(is_label), "{name}");
    }

    #[test]
    fn a_name_says_what_it_is_where_nothing_else_does() {
        assert_eq!(Of::guess("blue.shop.10-0-0-0", "?"), Some(block("blue.shop", "10.0.0.0")));
        assert_eq!(Of::guess("blue.fd00-0-0-0-0-0-0-0", ""), Some(block("blue", "fd00::")));
        for (name, of) in [("x", "x"), ("hashed.00.10-0-0-0", "?"), ("a.10-0-0", ""), ("a.10-0-0-256", "")] {
            assert_eq!(Of::guess(name, of), None, "{name}");
        }
        let words = block("Subnet", "10.0.0.0");
        assert_eq!(Of::guess(&words.name(), &words.to_string()), Some(words), "as if it were an object");
    }
}
