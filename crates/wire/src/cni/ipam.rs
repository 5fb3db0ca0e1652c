//! The `ipam` section. Its keys decide whose section it is, not the program's name (O5).

use std::net::IpAddr;

use super::field::Field;
use super::{AskedIp, Dns, Error, Family, Net, Route, code};

/// Keys that only we have.
const OURS: [&str; 5] = ["subnets", "pools", "ips", "family", "familyPolicy"];

/// Keys that only `host-local` has.
const HOST_LOCAL: [&str; 7] =
    ["ranges", "subnet", "rangeStart", "rangeEnd", "gateway", "dataDir", "resolvConf"];

/// Keys that only `static` has.
const STATIC: [&str; 2] = ["addresses", "dns"];

/// A key that both of them have.
const ROUTES: &str = "routes";

/// The `ipam` section of a network configuration. `socket` is the plugin's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ipam {
    /// The name under which the plugin was called; empty where there is no section.
    pub kind: String,
    pub section: Section,
}

/// Whose keys the section has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Section {
    /// Ours, or none but `type` and `socket`.
    Ours(Wish),
    HostLocal(HostLocal),
    Static(Static),
}

impl Default for Section {
    fn default() -> Section {
        Section::Ours(Wish::default())
    }
}

/// What is wanted, in our own words: in `ipam`, and for one attachment in `args.cni`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Names, in the order in which they are tried.
    pub subnets: Vec<String>,
    /// Names, in the order in which they are tried.
    pub pools: Vec<String>,
    pub ips: Vec<AskedIp>,
    pub family: FamilyWish,
}

/// `family` and `familyPolicy` (C5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FamilyWish {
    /// One address of each family that the subnet has.
    #[default]
    All,
    /// Of this one only.
    Require(Family),
    /// Of this one, else of the other.
    Prefer(Family),
}

impl FamilyWish {
    /// `family` and `familyPolicy` as they are written; empty: left out.
    pub fn words(self) -> [&'static str; 2] {
        let name = |family| match family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        match self {
            FamilyWish::All => ["", ""],
            FamilyWish::Require(family) => [name(family), "require"],
            FamilyWish::Prefer(family) => [name(family), "prefer"],
        }
    }
}

/// `host-local`'s section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostLocal {
    /// One address comes from each set: those of `runtimeConfig.ipRanges`, then the section's own `subnet`, then those of
    /// `ranges`.
    pub ranges: Vec<Vec<Range>>,
    pub routes: Vec<Route>,
    /// Two configurations of one network with different folders know nothing of each other.
    pub data_dir: Option<String>,
    /// A file in `resolv.conf`'s form that gives the DNS settings.
    pub resolv_conf: Option<String>,
}

/// A piece of one network, with first and last address inside it and of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// No host bits set.
    pub subnet: Net,
    /// Nothing: the network's first usable address.
    pub first: Option<IpAddr>,
    /// Nothing: the network's last usable address.
    pub last: Option<IpAddr>,
    /// Nothing: the network's first usable address.
    pub gateway: Option<IpAddr>,
}

/// `static`'s section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Static {
    /// Replaced by the addresses that the runtime asks for, if it does.
    pub addresses: Vec<StaticAddress>,
    pub routes: Vec<Route>,
    pub dns: Dns,
}

/// One of `static`'s addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticAddress {
    pub address: Net,
    pub gateway: Option<IpAddr>,
}

impl Ipam {
    /// Reads `ipam` with the sets of `runtimeConfig.ipRanges`.
    pub(super) fn read(ipam: Option<&Field<'_>>, runtime_ranges: Vec<Vec<Range>>) -> Result<Ipam, Error> {
        let empty = serde_json::json!({});
        let none = Field::root(&empty);
        let field = ipam.unwrap_or(&none);
        let kind = field.string("type")?.unwrap_or_default();
        let present = |keys: &[&'static str]| keys.iter().copied().find(|key| field.has(key));
        let host_local =
            present(&HOST_LOCAL).or((!runtime_ranges.is_empty()).then_some("runtimeConfig.ipRanges"));
        let fixed = present(&STATIC);
        let theirs = host_local.or(fixed).or(present(&[ROUTES]));
        let section = match (present(&OURS), theirs) {
            (Some(ours), Some(theirs)) => return Err(mixed(ours, theirs, "host-local's or static's")),
            // Of `static`, whose addresses the runtime may bring, nothing but the name can be left.
            (None, None) if kind == "static" => Section::Static(Static::default()),
            (_, None) => Section::Ours(Wish::read(field)?),
            (None, Some(_)) => match (host_local, fixed) {
                (Some(one), Some(other)) => return Err(mixed(one, other, "static's")),
                (Some(_), None) => Section::HostLocal(HostLocal::read(field, runtime_ranges)?),
                (None, _) => Section::Static(Static::read(field)?),
            },
        };
        Ok(Ipam { kind, section })
    }
}

fn mixed(one: &str, other: &str, whose: &str) -> Error {
    let msg = format!("`ipam` has `{one}` and `{other}`, which is {whose}: they cannot be mixed");
    Error::new(
        code::INVALID_CONFIG,
        msg,
        "keep the keys of one of them; addresses of a subnet are asked for with `ips`",
    )
}

impl Wish {
    /// Keys of a [`Wish`].
    pub const KEYS: [&str; 5] = OURS;

    /// Reads the members of an object that are a wish's, and passes over the others.
    pub fn read(field: &Field<'_>) -> Result<Wish, Error> {
        let family = field.one("family", |field| match field.text()? {
            "IPv4" => Ok(Family::V4),
            "IPv6" => Ok(Family::V6),
            _ => Err(field.invalid("it is `IPv4` or `IPv6`")),
        })?;
        let prefer = field.one("familyPolicy", |policy| match (policy.text()?, family) {
            (_, None) => Err(policy.invalid("it says nothing without `family`")),
            ("require", _) => Ok(false),
            ("prefer", _) => Ok(true),
            _ => Err(policy.invalid("it is `require` or `prefer`")),
        })?;
        Ok(Wish {
            subnets: field.few("subnets", Field::name)?,
            pools: field.few("pools", Field::name)?,
            ips: field.few("ips", Field::parse)?,
            family: match (family, prefer) {
                (None, _) => FamilyWish::All,
                (Some(family), Some(true)) => FamilyWish::Prefer(family),
                (Some(family), _) => FamilyWish::Require(family),
            },
        })
    }
}

impl HostLocal {
    fn read(field: &Field<'_>, mut ranges: Vec<Vec<Range>>) -> Result<HostLocal, Error> {
        let own = ["subnet", "rangeStart", "rangeEnd", "gateway"];
        if own.into_iter().any(|key| field.has(key)) {
            ranges.push(vec![Range::read(field)?]);
        }
        ranges.extend(Range::read_sets(field, "ranges")?);
        if ranges.is_empty() {
            return Err(field.invalid("it has no ranges; give `subnet` or `ranges`"));
        }
        Ok(HostLocal {
            ranges,
            routes: field.each(ROUTES, Route::read)?,
            data_dir: field.string("dataDir")?,
            resolv_conf: field.string("resolvConf")?,
        })
    }
}

impl Range {
    /// The member `key`: a list of sets of ranges.
    pub(super) fn read_sets(field: &Field<'_>, key: &str) -> Result<Vec<Vec<Range>>, Error> {
        field.each(key, |set| {
            let ranges: Vec<Range> = set.items()?.iter().map(Range::read).collect::<Result<_, _>>()?;
            let mut families = ranges.iter().map(|range| Family::of(range.subnet.address));
            let Some(first) = families.next() else {
                return Err(set.invalid("a set of ranges cannot be empty"));
            };
            if families.any(|family| family != first) {
                return Err(set.invalid("the ranges of a set are of one family"));
            }
            Ok(ranges)
        })
    }

    fn read(field: &Field<'_>) -> Result<Range, Error> {
        let subnet = field.get("subnet")?.ok_or_else(|| field.invalid("it has no `subnet`"))?;
        let net: Net = subnet.parse()?;
        if net.base() != net.address {
            let right = Net { address: net.base(), prefix: net.prefix };
            return Err(subnet.invalid(&format!("it has host bits set; did you mean {right}?")));
        }
        if Family::of(net.address).bits() - net.prefix < 2 {
            return Err(subnet.invalid("it is too small to have addresses besides its first and last"));
        }
        let inside = |bound: &Field<'_>| {
            let address = bound.address()?;
            if net.contains(address) {
                Ok(address)
            } else {
                Err(bound.invalid(&format!("it is not in {net}")))
            }
        };
        let range = Range {
            subnet: net,
            first: field.one("rangeStart", inside)?,
            last: field.one("rangeEnd", inside)?,
            gateway: field.one("gateway", Field::address)?,
        };
        if let (Some(first), Some(last)) = (range.first, range.last)
            && first > last
        {
            return Err(field.invalid("`rangeStart` lies behind `rangeEnd`"));
        }
        if range.gateway.is_some_and(|gateway| Family::of(gateway) != Family::of(net.address)) {
            return Err(field.invalid("`gateway` is of another family than `subnet`"));
        }
        Ok(range)
    }
}

impl Static {
    fn read(field: &Field<'_>) -> Result<Static, Error> {
        let address = |item: &Field<'_>| {
            let address =
                item.one("address", Field::parse)?.ok_or_else(|| item.invalid("it has no `address`"))?;
            Ok(StaticAddress { address, gateway: item.one("gateway", Field::address)? })
        };
        Ok(Static {
            addresses: field.each("addresses", address)?,
            routes: field.each(ROUTES, Route::read)?,
            dns: field.one("dns", Dns::read)?.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;
