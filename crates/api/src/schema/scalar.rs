//! Addresses, networks, ranges and lengths of time. The rules travel with the type, wherever it stands.
//!
//! Two things shape them. The API server estimates what a rule costs from the size of texts: of what `substring` makes it
//! knows a size, of what `split` or `string` makes it knows none. And CEL compares no addresses: those of IPv4 are compared
//! as the numbers they are.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::Constrain;
use crate::{Address, Duration};

/// Characters of an IPv6 address that ends in an IPv4 one.
const MAX_ADDRESS: u64 = 45;
/// And a prefix length.
const MAX_CIDR: u64 = MAX_ADDRESS + 4;
/// Two addresses, and ` - ` between them.
const MAX_RANGE: u64 = 2 * MAX_ADDRESS + 3;
const MAX_DURATION: u64 = 32;
/// As many digits as CEL can read as a duration, whatever the unit.
pub(super) const DURATION: &str = "^([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?([0-9]{1,12}ms)?$";

/// The two ends of a range that is written with a hyphen.
const FIRST: &str = "self.substring(0, self.indexOf('-')).trim()";
const LAST: &str = "self.substring(self.indexOf('-') + 1).trim()";

/// Stands for core's type of this name, which knows no schemas.
pub(crate) struct Cidr;

/// Stands for core's type of this name, which knows no schemas.
pub(crate) struct IpRange;

/// Stands for core's type of this name, which knows no schemas.
pub(crate) struct Mac;

macro_rules! scalar {
    ($type:ident, $make:ident) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $make().try_into().expect("an object is a schema")
            }
        }
    };
}

scalar!(Cidr, cidr);
scalar!(IpRange, range);
scalar!(Mac, mac);
scalar!(Address, address);
scalar!(Duration, duration);

fn cidr() -> Value {
    let mut schema = text(MAX_CIDR);
    schema.rule(
        "isCIDR(self)",
        "'`' + self + (isIP(self) ? '` has no prefix length' : '` is no network')",
        "write a network such as 10.40.0.0/16 or fd00:40::/64",
    );
    no_host_bits(&mut schema);
    schema
}

fn range() -> Value {
    let right = is_range("self");
    let mut schema = text(MAX_RANGE);
    schema.rule(
        &right,
        "'`' + self + '` is no address, range or CIDR'",
        "write 10.40.7.7, 10.40.0.2-10.40.0.9 or 10.40.255.0/24",
    );
    no_host_bits(&mut schema);
    let not_two = format!("!{right} || !self.contains('-')");
    let one_family = format!("{FIRST}.contains(':') == {LAST}.contains(':')");
    schema
        .rule(
            &format!("{not_two} || {one_family}"),
            "'`' + self + '` mixes IPv4 and IPv6'",
            "give both ends of one family",
        )
        .rule(
            &format!(
                "{not_two} || !({one_family}) || (self.contains(':') ? {} : {})",
                ordered_v6(),
                ordered_v4()
            ),
            &format!(
                "'`' + self + '` ends before it begins; did you mean `' + {LAST} + '-' + {FIRST} + '`?'"
            ),
            "the lower address comes first",
        );
    schema
}

/// One address that an interface can have.
fn address() -> Value {
    let mut schema = text(MAX_ADDRESS);
    schema
        .rule(
            "isIP(self)",
            "'`' + self + (self.contains('/') ? '` has a prefix length' : self.contains('-') ? '` is a range' : \
             '` is neither an IPv4 nor an IPv6 address')",
            "give one address such as 10.40.0.1 or fd00:40::1",
        )
        .rule(
            "!isIP(self) || !(ip(self).isUnspecified() || ip(self) == ip('255.255.255.255') || \
             ['224.0.0.0/4', 'ff00::/8'].exists(multicast, cidr(multicast).containsIP(self)))",
            "'`' + self + '` is an address that no interface can have'",
            "give a unicast address",
        );
    schema
}

fn duration() -> Value {
    let mut schema = text(MAX_DURATION);
    schema.rule(
        &format!("self != '' && self.matches('{DURATION}')"),
        "'`' + self + '` is no duration'",
        "write it as `30s`, `5m`, `1h30m` or `0s`",
    );
    schema
}

/// As the program writes it, which nobody else does.
fn mac() -> Value {
    json!({"type": "string", "pattern": "^([0-9a-f]{2}:){5}[0-9a-f]{2}$"})
}

fn text(most: u64) -> Value {
    json!({"type": "string", "maxLength": most})
}

fn no_host_bits(schema: &mut Value) {
    schema.rule(
        "!isCIDR(self) || cidr(self) == cidr(self).masked()",
        "'`' + self + '` has host bits set'",
        "write the first address of the network before the prefix length",
    );
}

/// Whether the text `x` is an address, two of them, or a CIDR.
pub(super) fn is_range(x: &str) -> String {
    format!(
        "({x}.contains('/') ? isCIDR({x}) : {x}.split('-').size() <= 2 && {x}.split('-').all(a, isIP(a.trim())))"
    )
}

/// Whether four numbers of IPv4 are not above the four that follow them.
fn ordered_v4() -> String {
    format!("[self.findAll('[0-9]+').map(n, int(n))].all(n, {} <= {})", v4("n", 0), v4("n", 4))
}

/// Whether the ends differ in the last group alone, as most do, and there rightly. Of others CEL cannot say it.
fn ordered_v6() -> String {
    let head = |x: &str| format!("{x}.substring(0, {x}.lastIndexOf(':'))");
    let group = |x: &str| format!("{x}.substring({x}.lastIndexOf(':') + 1)");
    let (first, last) = (group(FIRST), group(LAST));
    let plain = "matches('^[1-9a-f][0-9a-f]*$')";
    format!(
        "{} != {} || !{first}.{plain} || !{last}.{plain} || size({first}) < size({last}) || \
         size({first}) == size({last}) && {first} <= {last}",
        head(FIRST),
        head(LAST)
    )
}

/// The address whose bytes begin at `at` in the list `x`, as a number.
pub(super) fn v4(x: &str, at: usize) -> String {
    format!("{x}[{at}] * 16777216 + {x}[{}] * 65536 + {x}[{}] * 256 + {x}[{}]", at + 1, at + 2, at + 3)
}

/// How many addresses a CIDR of IPv4 has, by its prefix length.
pub(super) fn v4_sizes() -> String {
    let sizes: Vec<String> = (0..=32).map(|prefix| (1_u64 << (32 - prefix)).to_string()).collect();
    format!("[{}]", sizes.join(", "))
}

/// Whether the IPv4 ranges in the list `self` are apart: their first and last addresses rise, in the order of the first.
/// Doubled, and the last with one more, they rise where they would be equal.
pub(super) fn apart_v4() -> String {
    let first = v4("n", 0);
    let last = format!(
        "(size(n) == 8 ? {} : size(n) == 5 ? {first} + {}[n[4]] - 1 : {first})",
        v4("n", 4),
        v4_sizes()
    );
    format!(
        "self.filter(r, !r.contains(':')).map(r, r.findAll('[0-9]+').map(n, int(n))).filter(n, size(n) in [4, 5, 8])\
         .map(n, [2 * ({first}), 2 * {last} + 1]).sortBy(e, e[0]).flatten().isSorted()"
    )
}
