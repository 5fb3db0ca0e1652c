//! The objects as `CustomResourceDefinition`s: schemas from the types, and around them what people see of an object in a
//! list.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool, SelectableField,
};
use kube::CustomResourceExt;

use crate::v1alpha1::{AddressBlock, IPPool, NodeAttachments, Reservation, Subnet};
use crate::write::documents;

/// Lists all objects of ours: `kubectl get allotment`.
const CATEGORY: &str = "allotment";

/// A column of `kubectl get`: its name, type, path and meaning; one that only `-o wide` shows begins with `+`.
type Column = (&'static str, &'static str, &'static str, &'static str);

const READY: Column = (
    "Ready",
    "string",
    ".status.conditions[?(@.type==\"Ready\")].status",
    "Whether this generation of it is in force",
);
const REASON: Column =
    ("+Reason", "string", ".status.conditions[?(@.type==\"Ready\")].reason", "Why it is not in force");
// Of a path that has several values a column shows the first.
const FREE_V4: Column = (
    "Free IPv4",
    "string",
    ".status.usage[?(@.family==\"IPv4\")].free",
    "IPv4 addresses that can be given out",
);
const FREE_V6: Column = (
    "Free IPv6",
    "string",
    ".status.usage[?(@.family==\"IPv6\")].free",
    "IPv6 addresses that can be given out",
);
const HELD_V4: Column = (
    "+Held IPv4",
    "string",
    ".status.usage[?(@.family==\"IPv4\")].held",
    "IPv4 addresses reserved or active",
);
const HELD_V6: Column = (
    "+Held IPv6",
    "string",
    ".status.usage[?(@.family==\"IPv6\")].held",
    "IPv6 addresses reserved or active",
);
const AGE: Column = ("Age", "date", ".metadata.creationTimestamp", "");

/// What of an object is not in its type.
struct Face {
    short: &'static [&'static str],
    columns: &'static [Column],
    /// Fields that `--field-selector` knows.
    selectable: &'static [&'static str],
    /// Whether people write it, so that the category lists it and its rules speak to them.
    declared: bool,
}

const SUBNET: Face = Face {
    short: &["sn"],
    columns: &[
        ("CIDRs", "string", ".spec.cidrs", "One, or one per family"),
        ("VRF", "string", ".spec.vrf", "The domain in which an address is unique"),
        READY,
        FREE_V4,
        FREE_V6,
        HELD_V4,
        HELD_V6,
        ("+Gateways", "string", ".spec.gateways", "Where given; else the first usable addresses"),
        ("+Default", "boolean", ".spec.default", "Whether requests that nothing else decides come here"),
        REASON,
        AGE,
    ],
    selectable: &[".spec.vrf"],
    declared: true,
};

const POOL: Face = Face {
    short: &["ipp"],
    columns: &[
        ("Subnet", "string", ".spec.subnet", "What it is a part of"),
        ("Ranges", "string", ".spec.ranges", "What it has"),
        READY,
        FREE_V4,
        FREE_V6,
        HELD_V4,
        HELD_V6,
        REASON,
        AGE,
    ],
    selectable: &[".spec.subnet"],
    declared: true,
};

const RESERVATION: Face = Face {
    short: &["rsv"],
    columns: &[
        ("Subnet", "string", ".spec.subnet", "Where the addresses are"),
        ("Addresses", "string", ".spec.addresses", "What is reserved"),
        ("Owner", "string", ".spec.owner.name", "For whom"),
        ("Reason", "string", ".spec.reason", "Why"),
        READY,
        AGE,
    ],
    selectable: &[".spec.subnet"],
    declared: true,
};

const BLOCK: Face = Face {
    short: &[],
    columns: &[("Of", "string", ".spec.of", "What is stored here"), AGE],
    selectable: &[],
    declared: false,
};

const NODE: Face = Face {
    short: &[],
    columns: &[
        ("AsOf", "string", ".status.asOf", "The resourceVersion that its agent has reached"),
        ("Epoch", "integer", ".status.epoch", "The epoch of its last full inventory"),
        ("+Boot", "string", ".status.bootID", "The kernel's boot id"),
        AGE,
    ],
    selectable: &[],
    declared: false,
};

/// All of them as YAML, as `kubectl apply` takes it.
pub fn crds_yaml() -> String {
    documents(&crds())
}

/// All of them, in the order in which they are printed.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        faced(Subnet::crd(), &SUBNET),
        faced(IPPool::crd(), &POOL),
        faced(Reservation::crd(), &RESERVATION),
        faced(AddressBlock::crd(), &BLOCK),
        faced(NodeAttachments::crd(), &NODE),
    ]
}

fn faced(mut crd: CustomResourceDefinition, face: &Face) -> CustomResourceDefinition {
    let owned = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
    crd.spec.names.short_names = owned(face.short).filter(|names| !names.is_empty());
    crd.spec.names.categories = owned(&[CATEGORY]).filter(|_| face.declared);
    for version in &mut crd.spec.versions {
        version.additional_printer_columns = Some(face.columns.iter().map(column).collect());
        let fields = face.selectable.iter().map(|path| SelectableField { json_path: (*path).to_owned() });
        version.selectable_fields = Some(fields.collect()).filter(|fields: &Vec<_>| !fields.is_empty());
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        let schema = schema.expect("a derived resource has a schema");
        tidy(schema, face.declared);
        let spec = schema.properties.as_ref().and_then(|fields| fields.get("spec"));
        schema.description = spec.and_then(|spec| spec.description.clone());
        schema.title = None;
    }
    crd
}

fn column(&(name, kind, path, meaning): &Column) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition {
        name: name.trim_start_matches('+').to_owned(),
        type_: kind.to_owned(),
        json_path: path.to_owned(),
        description: Some(meaning.to_owned()).filter(|meaning| !meaning.is_empty()),
        priority: name.starts_with('+').then_some(1),
        ..CustomResourceColumnDefinition::default()
    }
}

/// Makes of a derived schema one that reads well, and that an API server has no warnings about.
///
/// * Text is not broken into lines.
/// * A field that may be left out is not nullable: null then means that it is left out, as it does on one machine.
/// * Formats that Kubernetes has not are left out, where bounds say the same, or said in its own.
/// * What nobody writes by hand needs no rules: they would cost with every write.
fn tidy(schema: &mut JSONSchemaProps, rules: bool) {
    schema.description = schema.description.take().map(|text| text.replace('\n', " "));
    schema.nullable = None;
    if schema.format.as_deref() == Some("ip") {
        let family = |format: &str| JSONSchemaProps { format: Some(format.to_owned()), ..Default::default() };
        schema.any_of = Some(vec![family("ipv4"), family("ipv6")]);
    }
    schema.format = schema.format.take().filter(|format| ["int32", "int64"].contains(&format.as_str()));
    if !rules {
        schema.x_kubernetes_validations = None;
    }
    for field in schema.properties.iter_mut().flat_map(|fields| fields.values_mut()) {
        tidy(field, rules);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items, rules);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values, rules);
    }
}
