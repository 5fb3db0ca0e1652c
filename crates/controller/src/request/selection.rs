//! Multus' annotations: which networks a pod has, under which interfaces, and what they ask for.
//!
//! As Multus 4.3 reads them (`pkg/k8sclient`): a text with `[`, `{` or `"` is JSON, any other a list of
//! `[namespace/]name[@interface]`. Fields that are not ours are passed over.

use allotment_core::{Mac, Refusal};
use allotment_wire::cni::{AskedIp, Error, Field};
use serde_json::{Map, Value};

use super::view::{DEFAULT_NETWORK, NETWORKS, bounded, invalid};
use super::{PodView, Settings};

/// The interface of the default network.
pub(super) const PRIMARY: &str = "eth0";

/// The longest name that Linux takes for an interface, in bytes.
const INTERFACE_MAX: usize = 15;

/// The most networks of a pod; core takes no more interfaces in one request. Each is compared with every other.
const NETWORKS_MAX: usize = 256;

/// One interface that the pod announces.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Slot {
    pub(super) interface: String,
    /// `namespace/name`; empty: the cluster's default network.
    pub(super) network: String,
    /// Where it stands, for people.
    pub(super) at: String,
    pub(super) ips: Vec<AskedIp>,
    pub(super) mac: Option<Mac>,
    pub(super) args: Option<Map<String, Value>>,
}

/// One selection, as it is written.
struct Selection {
    slot: Slot,
    /// Nothing: by its place in the list.
    interface: Option<String>,
}

/// The interfaces of a pod, the default network's first.
pub(super) fn slots(pod: &PodView, settings: &Settings) -> Result<Vec<Slot>, Refusal> {
    let mut slots = vec![primary(pod, settings)?];
    if let Some(text) = pod.says(NETWORKS) {
        for (index, selection) in selections(NETWORKS, text, &pod.namespace)?.into_iter().enumerate() {
            let Selection { slot, interface } = selection;
            let interface = interface.unwrap_or_else(|| format!("net{}", index + 1));
            if let Some(other) = slots.iter().find(|other| other.interface == interface) {
                let other = match other.network.as_str() {
                    "" => "the default network".to_owned(),
                    network => format!("network `{network}`"),
                };
                let what = format!("interface `{interface}` is {other}'s already");
                return Err(invalid(&slot.at, what, "give each selection an `interface` of its own"));
            }
            slots.push(Slot { interface, ..slot });
        }
    }
    Ok(slots)
}

fn primary(pod: &PodView, settings: &Settings) -> Result<Slot, Refusal> {
    let Some(text) = pod.says(DEFAULT_NETWORK) else {
        return Ok(Slot { interface: PRIMARY.to_owned(), ..Slot::default() });
    };
    let mut all = selections(DEFAULT_NETWORK, text, &settings.multus_namespace)?;
    match (all.pop(), all.len()) {
        (Some(Selection { slot, interface }), 0) => {
            let interface = interface.unwrap_or_else(|| PRIMARY.to_owned());
            Ok(Slot { interface, ..slot })
        }
        (_, more) => {
            let at = format!("annotation `{DEFAULT_NETWORK}`");
            let count = if more == 0 { 0 } else { more + 1 };
            let what = format!("it names {count} networks, and a pod has one default network");
            Err(invalid(&at, what, "name one network, such as `kube-system/lan`"))
        }
    }
}

fn selections(key: &str, text: &str, namespace: &str) -> Result<Vec<Selection>, Refusal> {
    let at = format!("annotation `{key}`");
    let text = bounded(&at, text)?;
    let few = |count: usize| match count {
        0..=NETWORKS_MAX => Ok(()),
        _ => {
            Err(invalid(&at, format!("it names {count} networks, {NETWORKS_MAX} are allowed"), "name fewer"))
        }
    };
    if !text.contains(['[', '{', '"']) {
        few(text.split(',').count())?;
        let items = text.split(',').enumerate();
        return items.map(|(index, item)| short(&format!("{at}[{index}]"), item, namespace)).collect();
    }
    let value: Value = serde_json::from_str(text).map_err(|why| {
        let hint = "write a JSON list of networks, or `namespace/name@interface` separated by commas";
        invalid(&at, format!("it is not JSON: {why}"), hint)
    })?;
    let refused = |error: Error| invalid(&at, error.msg, "correct the annotation");
    let root = Field::named("networks", &value);
    let items = root.items().map_err(refused)?;
    few(items.len())?;
    let read = |(index, item): (usize, &Field<'_>)| {
        long(item, namespace, &format!("{at}[{index}]")).map_err(refused)
    };
    items.iter().enumerate().map(read).collect()
}

/// `[namespace/]name[@interface]`.
fn short(at: &str, text: &str, namespace: &str) -> Result<Selection, Refusal> {
    let wrong = |what: String| invalid(at, what, "write it as `namespace/name@interface`");
    let text = text.trim();
    let (network, interface) = match text.split_once('@') {
        Some((network, interface)) => (network.trim(), Some(interface.trim())),
        None => (text, None),
    };
    let (space, name) = match network.split_once('/') {
        Some((space, name)) => (space.trim(), name.trim()),
        None => ("", network),
    };
    if let Some(bad) = [space, name].into_iter().find(|part| !is_legal_part(part)) {
        return Err(wrong(format!("`{bad}` in `{text}` is no name of a network or namespace")));
    }
    if name.is_empty() {
        return Err(wrong(format!("`{text}` names no network")));
    }
    let interface = interface.filter(|interface| !interface.is_empty());
    if let Some(why) = interface.and_then(illegal_interface) {
        return Err(wrong(why));
    }
    let space = if space.is_empty() { namespace } else { space };
    let slot = Slot { network: format!("{space}/{name}"), at: at.to_owned(), ..Slot::default() };
    Ok(Selection { slot, interface: interface.map(str::to_owned) })
}

/// One item of the JSON list.
fn long(item: &Field<'_>, namespace: &str, at: &str) -> Result<Selection, Error> {
    let part = |key: &str| -> Result<Option<&str>, Error> {
        let Some(field) = item.get(key)? else { return Ok(None) };
        let text = field.text()?;
        if is_legal_part(text) {
            Ok(Some(text).filter(|text| !text.is_empty()))
        } else {
            Err(field.invalid("it is no name"))
        }
    };
    let name = part("name")?.ok_or_else(|| item.invalid("it has no `name`"))?;
    let space = part("namespace")?.unwrap_or(namespace);
    let interface = |key: &str| {
        item.one(key, |field| match field.text()? {
            "" => Ok(None),
            text => illegal_interface(text)
                .map_or_else(|| Ok(Some(text.to_owned())), |why| Err(field.invalid(&why))),
        })
    };
    let mac = |field: &Field<'_>| match field.text()? {
        "" => Ok(None),
        _ => field.parse::<Mac>().map(Some),
    };
    let slot = Slot {
        network: format!("{space}/{name}"),
        at: at.to_owned(),
        ips: item.few("ips", Field::parse)?,
        mac: item.one("mac", mac)?.flatten(),
        args: item.get("cni-args")?.and_then(|args| args.value.as_object().cloned()),
        ..Slot::default()
    };
    let asked = interface("interface")?.flatten();
    Ok(Selection { slot, interface: asked.or(interface("interfaceRequest")?.flatten()) })
}

/// Empty, or letters, digits, `-` and `.`, as Kubernetes has names.
fn is_legal_part(text: &str) -> bool {
    text.len() <= 253
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
}

/// Why Linux would not take an interface's name.
pub(super) fn illegal_interface(name: &str) -> Option<String> {
    let legal = !name.is_empty()
        && name.len() <= INTERFACE_MAX
        && ![".", ".."].contains(&name)
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || ['/', ':'].contains(&c));
    let shown: String = name.chars().take(40).collect();
    (!legal).then(|| {
        format!("`{shown}` is no name for an interface: 1 to {INTERFACE_MAX} bytes without `/`, `:` and white space")
    })
}
