use std::cell::Cell;

use allotment_core::State;
use serde::Deserialize;
use serde::de::value::Error;
use serde::de::{Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

use super::*;
use crate::annotation;
use crate::v1alpha1 as v1;
use crate::{Address, Duration, parse};

/// Asks a type for the names that it is read by.
struct Probe<'a>(&'a Cell<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("neither struct nor enum"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.0.set(fields);
        Err(Error::custom("asked"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_struct(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

fn names<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let names = Cell::new(&[] as &[&str]);
    let _ = T::deserialize(Probe(&names));
    names.get()
}

fn all() -> [(&'static str, &'static [&'static str]); 26] {
    [
        ("SubnetSpec", names::<v1::SubnetSpec>()),
        ("IPPoolSpec", names::<v1::IPPoolSpec>()),
        ("ReservationSpec", names::<v1::ReservationSpec>()),
        ("Route", names::<v1::Route>()),
        ("Dns", names::<v1::Dns>()),
        ("Order", names::<v1::Order>()),
        ("Selector", names::<v1::Selector>()),
        ("Requirement", names::<v1::Requirement>()),
        ("Operator", names::<v1::Operator>()),
        ("Owner", names::<v1::Owner>()),
        ("ObjectStatus", names::<v1::ObjectStatus>()),
        ("Condition", names::<v1::Condition>()),
        ("UsageStatus", names::<v1::UsageStatus>()),
        ("PodGrant", names::<annotation::PodGrant>()),
        ("GrantedAttachment", names::<annotation::GrantedAttachment>()),
        ("GrantedAddress", names::<annotation::GrantedAddress>()),
        ("PodRefusal", names::<annotation::PodRefusal>()),
        ("RefusalCount", names::<annotation::RefusalCount>()),
        ("AddressBlockSpec", names::<v1::AddressBlockSpec>()),
        ("NodeAttachmentsSpec", names::<v1::NodeAttachmentsSpec>()),
        ("LedgerBlock", names::<v1::LedgerBlock>()),
        ("Former", names::<v1::Former>()),
        ("NodeAttachmentsStatus", names::<v1::NodeAttachmentsStatus>()),
        ("Still", names::<v1::Still>()),
        ("Ask", names::<v1::Ask>()),
        ("Answer", names::<v1::Answer>()),
    ]
}

#[test]
fn the_source_has_what_serde_reads_and_says_what_it_means() {
    let types = source::types();
    let found: Vec<&str> = types.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(found, all().map(|(name, _)| name), "a new type has to be probed here, too");
    for (item, (_, read)) in types.iter().zip(all()) {
        let members: Vec<&str> = item.members.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(members, read, "{}", item.name);
        for doc in item.members.iter().map(|member| &member.doc).chain([&item.doc]) {
            assert!(
                doc.ends_with(['.', '…']) && !doc.contains('['),
                "{}: a sentence without links: `{doc}`",
                item.name
            );
        }
        for member in item.members.iter().filter(|_| item.kind == Kind::Struct) {
            assert!(words(&member.rust_type).is_some(), "no words for {}", member.rust_type);
        }
        let name = item.name.as_str();
        let shown = OBJECTS.iter().filter(|(.., spec, _)| *spec == name).count()
            + PARTS.iter().chain(&STATUS).filter(|part| **part == name).count()
            + WRITTEN.iter().filter(|(part, _)| *part == name).count()
            + INTERNAL.iter().filter(|(_, part)| *part == name).count();
        assert_eq!(shown, usize::from(item.kind == Kind::Struct), "{name} has its section");
    }
}

#[test]
fn a_field_is_required_or_can_be_left_out() {
    let required: Vec<String> = source::types()
        .iter()
        .flat_map(|item| {
            item.members
                .iter()
                .filter(|member| member.required)
                .map(|member| format!("{}.{}", item.name, member.name))
        })
        .collect();
    assert_eq!(
        required,
        [
            "SubnetSpec.cidrs",
            "IPPoolSpec.subnet",
            "IPPoolSpec.ranges",
            "ReservationSpec.subnet",
            "ReservationSpec.addresses",
            "Route.to",
            "Requirement.key",
            "Requirement.operator",
            "Owner.kind",
            "Owner.name",
            "Condition.type",
            "Condition.status",
            "Condition.reason",
            "Condition.message",
            "Condition.lastTransitionTime",
            "UsageStatus.family",
            "UsageStatus.total",
            "UsageStatus.held",
            "UsageStatus.cooling",
            "UsageStatus.free",
            "PodGrant.pod",
            "PodGrant.attachments",
            "GrantedAttachment.interface",
            "GrantedAttachment.ips",
            "GrantedAddress.address",
            "GrantedAddress.prefix",
            "GrantedAddress.vrf",
            "GrantedAddress.subnet",
            "PodRefusal.pod",
            "PodRefusal.code",
            "PodRefusal.text",
            "RefusalCount.what",
            "RefusalCount.value",
            "AddressBlockSpec.of",
            "AddressBlockSpec.data",
            "LedgerBlock.vrf",
            "LedgerBlock.base",
            "Former.vrf",
            "Former.address",
            "Former.nodeUID",
            "NodeAttachmentsStatus.nodeUID",
            "NodeAttachmentsStatus.bootID",
            "NodeAttachmentsStatus.epoch",
            "NodeAttachmentsStatus.asOf",
            "Still.pod",
            "Still.vrf",
            "Still.address",
            "Ask.id",
            "Ask.namespace",
            "Ask.name",
            "Ask.podUID",
            "Ask.interface",
            "Ask.network",
            "Answer.id",
        ]
    );
    let defaults = defaults();
    let expected = [("vrf", "default"), ("cooling", "30s"), ("order", "oldest")];
    assert_eq!(defaults, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn the_examples_are_right_and_have_every_field() {
    let text = OBJECTS.map(|(.., example)| example).join("---\n");
    let parsed = parse("reference.yaml", &text);
    assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
    let mut state = State::new();
    for object in parsed.objects {
        assert_eq!(state.put(object.value), Ok(()));
    }
    let declared = all().into_iter().take_while(|(name, _)| *name != "ObjectStatus");
    for (name, read) in declared {
        for field in read.iter().filter(|_| !["Order", "Operator"].contains(&name)) {
            assert!(text.contains(&format!("{field}:")), "no example has {name}.{field}");
        }
    }
}

#[test]
fn what_controller_and_agents_write_reads_as_the_pages_show_it() {
    let reads = |example: &str, read: fn(&str) -> serde_json::Value| {
        let shown: serde_json::Value = serde_saphyr::from_str(example).unwrap();
        assert_eq!(read(example), shown);
    };
    let example = |name: &str| WRITTEN.iter().find(|(part, _)| *part == name).unwrap().1.unwrap();
    reads(example("PodGrant"), again::<annotation::PodGrant>);
    reads(example("PodRefusal"), again::<annotation::PodRefusal>);
    let node: serde_json::Value = serde_saphyr::from_str(NODE).unwrap();
    let half = |name: &str| node[name].to_string();
    let spec = again::<v1::NodeAttachmentsSpec>(&half("spec"));
    let status = again::<v1::NodeAttachmentsStatus>(&half("status"));
    assert_eq!(spec, node["spec"]);
    assert_eq!((&status["asOf"], &status["still"]), (&node["status"]["asOf"], &node["status"]["still"]));
    let shown = [example("PodGrant"), example("PodRefusal"), NODE].concat();
    let written = all().into_iter().skip_while(|(name, _)| *name != "PodGrant");
    for (name, read) in written.filter(|(name, _)| *name != "AddressBlockSpec") {
        for field in read {
            assert!(
                shown.contains(&format!("{field}:")) || shown.contains(&format!("\"{field}\":")),
                "{name}.{field}"
            );
        }
    }
}

/// Reads a text as a type, and writes it again.
fn again<T: for<'de> Deserialize<'de> + serde::Serialize>(text: &str) -> serde_json::Value {
    serde_json::to_value(serde_saphyr::from_str::<T>(text).unwrap()).unwrap()
}

#[test]
fn values_are_written_as_the_page_says() {
    let quoted =
        |examples: &'static str| examples.split('`').skip(1).step_by(2).map(|text| text.trim_matches('"'));
    let mut read = 0;
    for (word, examples, _) in VALUES {
        for text in quoted(examples) {
            let right = match word {
                "address" => text.parse::<Address>().is_ok(),
                "CIDR" => text.parse::<allotment_core::Cidr>().is_ok(),
                "range" => text.parse::<allotment_core::IpRange>().is_ok(),
                "duration" => text.parse::<Duration>().is_ok(),
                _ => continue,
            };
            assert!(right, "{word}: {text}");
            read += 1;
        }
    }
    assert_eq!(read, 11);
}

#[test]
fn the_pages_have_no_broken_table_and_no_link_to_nowhere() {
    let pages = [
        ("objects.md", reference()),
        ("annotations.md", annotation_reference()),
        ("internal.md", internal_reference()),
    ];
    let titles = |page: &str| -> Vec<String> {
        page.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_lowercase).collect()
    };
    for (name, page) in &pages {
        for line in page.lines().filter(|line| line.starts_with('|')) {
            assert!(line.ends_with('|'), "{line}");
        }
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = link.split_once('#').unwrap();
            let target = pages.iter().find(|(other, _)| *other == if file.is_empty() { name } else { file });
            assert!(titles(&target.unwrap().1).contains(&anchor.to_owned()), "{name}: {link}");
        }
    }
}
