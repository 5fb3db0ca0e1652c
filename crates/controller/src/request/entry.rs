//! Our own annotations on a pod.

use allotment_api::annotation::{IPS, MAC, POOLS, REQUEST, SUBNETS};
use allotment_core::{Mac, Owner, Refusal};
use allotment_wire::cni::{AskedIp, Error, Field, Wish};
use serde_json::Value;

use super::PodView;
use super::selection::illegal_interface;
use super::view::{OURS, bounded, document, invalid, words};

/// What becomes of addresses that outlive their pods, when the last reason to keep them is gone (R6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    pub on_scale_down: Fate,
    pub on_owner_gone: Fate,
}

impl Keep {
    /// Whether what such an owner has stays its own when it is gone. A pod that nothing but itself owns is never gone and
    /// there again.
    pub(crate) fn outlives(self, owner: &Owner) -> bool {
        owner.kind != "Pod" && self.on_owner_gone == Fate::Keep
    }
}

/// See [`Keep`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    #[default]
    Free,
    Keep,
}

/// What the pod asks for on some of its interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where it stands, for people.
    pub(super) at: String,
    pub(super) place: Place,
    pub(super) wish: Wish,
    pub(super) macs: Vec<Mac>,
    pub(super) keep: Keep,
}

/// Which interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// That of the default network.
    Primary,
    Interface(String),
    /// All of this network, `namespace/name`.
    Network(String),
}

/// Whether the pod has any of our annotations.
pub(super) fn any(pod: &PodView) -> bool {
    OURS.iter().any(|key| pod.says(key).is_some())
}

/// What the pod asks for, the short forms first.
pub(super) fn entries(pod: &PodView) -> Result<Vec<Entry>, Refusal> {
    let mut entries: Vec<Entry> = short(pod)?.into_iter().collect();
    if let Some(text) = pod.says(REQUEST) {
        entries.extend(list(text, &pod.namespace)?);
    }
    Ok(entries)
}

/// The short forms, which are about the primary interface.
fn short(pod: &PodView) -> Result<Option<Entry>, Refusal> {
    let present: Vec<String> = [SUBNETS, POOLS, IPS, MAC]
        .iter()
        .filter(|key| pod.says(key).is_some())
        .map(|key| format!("`{key}`"))
        .collect();
    if present.is_empty() {
        return Ok(None);
    }
    let list =
        |key: &str| pod.says(key).map_or(Ok(Vec::new()), |text| words(&format!("annotation `{key}`"), text));
    let mut ips: Vec<AskedIp> = Vec::new();
    for word in list(IPS)? {
        let wrong = |why| {
            invalid(&format!("annotation `{IPS}`"), format!("`{word}`: {why}"), "write `10.1.2.3, fd00::3`")
        };
        ips.push(word.parse().map_err(wrong)?);
    }
    let mut macs: Vec<Mac> = Vec::new();
    for word in list(MAC)? {
        macs.push(
            word.parse()
                .map_err(|why| invalid(&format!("annotation `{MAC}`"), why, "write `02:00:5e:00:00:01`"))?,
        );
    }
    Ok(Some(Entry {
        at: format!("annotation {}", present.join(", ")),
        place: Place::Primary,
        wish: Wish { subnets: list(SUBNETS)?, pools: list(POOLS)?, ips, ..Wish::default() },
        macs,
        keep: Keep::default(),
    }))
}

/// The entries of `allotment.dev/request`.
fn list(text: &str, namespace: &str) -> Result<Vec<Entry>, Refusal> {
    let at = format!("annotation `{REQUEST}`");
    let hint = "write a list such as `[{\"interface\": \"net1\", \"subnets\": [\"rack-a\"]}]`";
    let text = bounded(&at, text)?;
    let value: Value =
        document(text).map_err(|why| invalid(&at, format!("it is neither YAML nor JSON: {why}"), hint))?;
    let refused = |error: Error| invalid(&at, error.msg, hint);
    let root = Field::named("request", &value);
    let items = root.few_items().map_err(refused)?;
    let read = |(index, item): (usize, &Field<'_>)| {
        entry(item, namespace, format!("{at}[{index}]")).map_err(refused)
    };
    items.iter().enumerate().map(read).collect()
}

fn entry(item: &Field<'_>, namespace: &str, at: String) -> Result<Entry, Error> {
    let mut known = vec!["interface", "network", "mac", "keep"];
    known.extend(Wish::KEYS);
    item.only(&known)?;
    let interface = item.one("interface", |field| {
        let name = field.text()?;
        illegal_interface(name).map_or_else(|| Ok(name.to_owned()), |why| Err(field.invalid(&why)))
    })?;
    let network = item.one("network", |field| {
        let name = field.name()?;
        Ok(if name.contains('/') { name } else { format!("{namespace}/{name}") })
    })?;
    let place = match (interface, network) {
        (Some(_), Some(_)) => {
            return Err(item.invalid("it has both `interface` and `network`; one of them says which"));
        }
        (Some(name), None) => Place::Interface(name),
        (None, Some(name)) => Place::Network(name),
        (None, None) => Place::Primary,
    };
    let macs = item.one("mac", |field| match field.text() {
        Ok(_) => Ok(vec![field.parse()?]),
        Err(_) => field.few_items()?.iter().map(Field::parse).collect(),
    })?;
    let keep = item.one("keep", |field| {
        field.only(&["onScaleDown", "onOwnerGone"])?;
        let fate = |key| {
            field.one(key, |field| match field.text()? {
                "free" => Ok(Fate::Free),
                "keep" => Ok(Fate::Keep),
                _ => Err(field.invalid("it is `free` or `keep`")),
            })
        };
        Ok(Keep {
            on_scale_down: fate("onScaleDown")?.unwrap_or_default(),
            on_owner_gone: fate("onOwnerGone")?.unwrap_or_default(),
        })
    })?;
    Ok(Entry {
        at,
        place,
        wish: Wish::read(item)?,
        macs: macs.unwrap_or_default(),
        keep: keep.unwrap_or_default(),
    })
}
