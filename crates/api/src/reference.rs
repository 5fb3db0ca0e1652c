//! The pages of the reference about objects and annotations.
//!
//! Their source is the source of [`v1alpha1`](crate::v1alpha1) and [`annotation`](crate::annotation): whoever documents a
//! field there has documented it for everybody. Tests compare what is found there with what serde reads.

mod source;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use allotment_core::{Object, SubnetSpec};

use self::source::{Kind, Type};
use crate::v1alpha1::CONDITIONS;
use crate::{API_VERSION, to_yaml};

/// An object: its kind, its short name, the type of its `spec`, and an example that has every field.
const OBJECTS: [(&str, &str, &str, &str); 3] = [
    ("Subnet", "sn", "SubnetSpec", include_str!("reference/subnet.yaml")),
    ("IPPool", "ipp", "IPPoolSpec", include_str!("reference/pool.yaml")),
    ("Reservation", "rsv", "ReservationSpec", include_str!("reference/reservation.yaml")),
];

/// The controller's half of an object, and its parts.
const STATUS: [&str; 3] = ["ObjectStatus", "Condition", "UsageStatus"];

/// What the controller writes on pods, and its parts.
const WRITTEN: [(&str, Option<&str>); 5] = [
    ("PodGrant", Some(include_str!("reference/grant.json"))),
    ("GrantedAttachment", None),
    ("GrantedAddress", None),
    ("PodRefusal", Some(include_str!("reference/refusal.json"))),
    ("RefusalCount", None),
];

/// Objects that nobody writes by hand: title and type.
const INTERNAL: [(&str, &str); 8] = [
    ("AddressBlock", "AddressBlockSpec"),
    ("NodeAttachments: spec", "NodeAttachmentsSpec"),
    ("NodeAttachments: status", "NodeAttachmentsStatus"),
    ("LedgerBlock", "LedgerBlock"),
    ("Former", "Former"),
    ("Still", "Still"),
    ("Ask", "Ask"),
    ("Answer", "Answer"),
];

const NODE: &str = include_str!("reference/node.yaml");

/// The types that fields of objects have.
const PARTS: [&str; 5] = ["Route", "Dns", "Selector", "Requirement", "Owner"];

/// How values are written: the word for them, what is right and what is wrong.
const VALUES: [(&str, &str, &str); 7] = [
    ("address", "`10.40.0.1`, `\"fd00:40::1\"`", "one IP address, without a prefix length"),
    ("CIDR", "`10.40.0.0/16`, `\"fd00:40::/64\"`", "a network with its prefix length, without host bits"),
    (
        "range",
        "`10.40.7.7`, `10.40.0.2-10.40.0.9`, `10.40.255.0/24`",
        "an address, the first and the last of a run, or a CIDR",
    ),
    (
        "duration",
        "`30s`, `5m`, `1h30m`, `0s`",
        "whole numbers with the units `h`, `m`, `s`, `ms`, the longest first",
    ),
    (
        "name of an object",
        "`rack-a`",
        "lower-case letters, digits, `-` and `.`, at most 253, with a letter or digit at both ends",
    ),
    (
        "name of a namespace",
        "`shop`",
        "lower-case letters, digits and `-`, at most 63, with a letter or digit at both ends",
    ),
    (
        "name of a network",
        "`pods`, `telecom/macvlan-a`",
        "the `name` of a CNI configuration, or `namespace/name` of a NetworkAttachmentDefinition",
    ),
];

/// The page about what people declare, as Markdown.
pub fn reference() -> String {
    let types = source::types();
    let find = |name: &str| find(&types, name);
    let mut page = format!(
        "# Objects\n\n\
         The objects of `{API_VERSION}`: files in the folder that `allot standalone --objects` names, which follows them. \
         Those that end in `.yaml`, `.yml` or `.json` are read, those in folders below are not; a file may have several \
         documents. Each document has `apiVersion`, `kind`, `metadata.name` and the `spec` described here; labels and \
         annotations may be there. A field that is not known is an error, and `allot check FILE…` says what else would be \
         wrong.\n\n\
         An object that is not accepted changes nothing: what was in force before stays in force, across restarts too. \
         The log and `allot check` name file, line and field.\n\n\
         In a cluster the same objects are applied with `kubectl`; `kubectl get allotment` lists them all, and each has a \
         short name. What makes no sense by itself is refused by the API server; what contradicts other objects, or \
         addresses that somebody holds, is said by the object's [condition](#condition), and what was in force stays in \
         force. A list has at most 256 items there, `routes` and `matchExpressions` 64.\n"
    );
    for (kind, short, spec, example) in OBJECTS {
        let spec = find(spec);
        section(&mut page, kind, spec);
        let _ = write!(page, "\nShort name: `{short}`.\n");
        let _ = write!(page, "\n```yaml\n{example}```\n");
    }
    for part in PARTS {
        section(&mut page, part, find(part));
    }
    for item in types.iter().filter(|item| item.kind == Kind::Enum) {
        let _ = write!(page, "\n## {}\n\n{}\n\n| value | meaning |\n| --- | --- |\n", item.name, item.doc);
        for member in &item.members {
            let _ = writeln!(page, "| `{}` | {} |", member.name, member.doc);
        }
    }
    for part in STATUS {
        section(&mut page, part, find(part));
    }
    page.push_str("\n| condition | status | reason | meaning |\n| --- | --- | --- | --- |\n");
    for (kind, status, reason, meaning) in CONDITIONS {
        let _ = writeln!(page, "| `{kind}` | `{status}` | `{reason}` | {meaning} |");
    }
    page.push_str("\n## Values\n\n| value | such as | rule |\n| --- | --- | --- |\n");
    for (word, examples, rule) in VALUES {
        let _ = writeln!(page, "| {word} | {examples} | {rule} |");
    }
    page.push_str(
        "\nAn address that ends in a colon, such as `\"fd00::\"`, has to be in quotes; others may be.\n",
    );
    page
}

/// The sections about what the controller writes on pods, as Markdown.
pub fn annotation_reference() -> String {
    let types = source::types();
    let mut page = String::new();
    for (part, example) in WRITTEN {
        section(&mut page, part, find(&types, part));
        if let Some(example) = example {
            let _ = write!(page, "\n```json\n{example}```\n");
        }
    }
    elsewhere(&page)
}

/// The page about objects that nobody writes by hand, as Markdown.
pub fn internal_reference() -> String {
    let types = source::types();
    let mut page = "# Internal objects\n\n\
         What controller and agents keep on the API server. Nobody else writes them, and the policies that `allot policies` \
         prints see to that. The columns of `kubectl get addressblocks` and `kubectl get nodeattachments` say what they are \
         about; `allot ip`, `allot who-has` and `allot audit` read what is in them.\n"
        .to_owned();
    for (title, part) in INTERNAL {
        section(&mut page, title, find(&types, part));
        if part == "NodeAttachmentsStatus" {
            let _ = write!(page, "\n```yaml\n{NODE}```\n");
        }
    }
    elsewhere(&page)
}

/// Lets links to sections that a page does not have lead to another page's.
fn elsewhere(page: &str) -> String {
    let mut out = String::new();
    for (index, part) in page.split("](#").enumerate() {
        if index > 0 {
            let anchor = part.split(')').next().unwrap_or_default();
            let titles = page.lines().filter_map(|line| line.strip_prefix("## "));
            let other = match anchor {
                _ if titles.into_iter().any(|title| title.to_lowercase() == anchor) => "",
                "grantedattachment" | "podrefusal" => "annotations.md",
                _ => "objects.md",
            };
            let _ = write!(out, "]({other}#");
        }
        out.push_str(part);
    }
    out
}

fn find<'a>(types: &'a [Type], name: &str) -> &'a Type {
    types.iter().find(|item| item.name == name).expect("a test looks for all of them")
}

fn section(page: &mut String, title: &str, item: &Type) {
    let _ = write!(
        page,
        "\n## {title}\n\n{}\n\n| field | type | default | meaning |\n| --- | --- | --- | --- |\n",
        item.doc
    );
    let defaults = defaults();
    for member in &item.members {
        let written = defaults.iter().find(|(name, _)| *name == member.name && item.name == "SubnetSpec");
        let default = match written {
            _ if member.required => "required".to_owned(),
            Some((_, value)) => format!("`{value}`"),
            None if member.rust_type == "bool" => "`false`".to_owned(),
            None => String::new(),
        };
        let words = words(&member.rust_type).unwrap_or(&member.rust_type);
        let _ = writeln!(page, "| `{}` | {words} | {default} | {} |", member.name, member.doc);
    }
}

/// What a subnet is written with of which nothing but the CIDR was given.
fn defaults() -> Vec<(String, String)> {
    let bare = SubnetSpec::new("a", vec!["10.0.0.0/8".parse().expect("it is a CIDR")]);
    let yaml = to_yaml(&Object::Subnet(bare));
    let spec = yaml.lines().skip_while(|line| *line != "spec:");
    let fields = spec.filter_map(|line| line.strip_prefix("  ")?.split_once(": "));
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What people call a type.
fn words(rust_type: &str) -> Option<&'static str> {
    Some(match rust_type {
        "String" | "Option<String>" => "text",
        "Vec<String>" => "list of text",
        "bool" => "`true`, `false`",
        "Option<u32>" | "Option<i64>" | "u64" | "u8" => "whole number",
        "Option<Mac>" => "MAC",
        "Vec<Condition>" => "list of [Condition](#condition)",
        "Vec<UsageStatus>" => "list of [UsageStatus](#usagestatus)",
        "Vec<GrantedAttachment>" => "list of [GrantedAttachment](#grantedattachment)",
        "Option<GrantedAttachment>" => "[GrantedAttachment](#grantedattachment)",
        "Vec<GrantedAddress>" => "list of [GrantedAddress](#grantedaddress)",
        "Vec<RefusalCount>" => "list of [RefusalCount](#refusalcount)",
        "Option<PodRefusal>" => "[PodRefusal](#podrefusal)",
        "Vec<Former>" => "list of [Former](#former)",
        "Vec<LedgerBlock>" => "list of [LedgerBlock](#ledgerblock)",
        "Vec<Still>" => "list of [Still](#still)",
        "Vec<Ask>" => "list of [Ask](#ask)",
        "Vec<Answer>" => "list of [Answer](#answer)",
        "Cidr" => "CIDR",
        "Vec<Cidr>" => "list of CIDRs",
        "Option<Address>" | "IpAddr" | "Option<IpAddr>" => "address",
        "Vec<Address>" | "Option<Vec<Address>>" | "Vec<IpAddr>" => "list of addresses",
        "Vec<IpRange>" => "list of ranges",
        "Duration" => "duration",
        "Vec<Route>" => "list of [Route](#route)",
        "Dns" => "[Dns](#dns)",
        "Order" => "[Order](#order)",
        "Option<Selector>" => "[Selector](#selector)",
        "Vec<Requirement>" => "list of [Requirement](#requirement)",
        "Operator" => "[Operator](#operator)",
        "Option<Owner>" => "[Owner](#owner)",
        "BTreeMap<String, String>" => "text by text",
        _ => return None,
    })
}
