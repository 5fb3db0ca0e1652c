//! The network configuration.

use serde_json::Value;

use super::field::Field;
use super::{
    AskedIp, CniArgs, Error, FamilyWish, Ipam, Net, Range, ResultIp, Section, Static, StaticAddress, Version,
    Wish, code,
};

/// What we read of a network configuration (SPEC 1.1.0, section 1, and the plugin's input in section 2). Keys that we
/// do not know are passed over; one that we know and that has a wrong value is an error that names both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetConf {
    pub version: Version,
    /// The network's name.
    pub name: String,
    /// The main plugin; empty where it is not said.
    pub kind: String,
    pub ipam: Ipam,
    pub runtime_config: RuntimeConfig,
    /// `args.cni`: what a person asked of this one attachment; Multus' `cni-args` come here.
    pub args: Wish,
    /// `args.cni.mac`.
    pub args_mac: Option<String>,
    /// The addresses of `prevResult`; none where there is no `prevResult`.
    pub previous: Option<Vec<ResultIp>>,
    /// GC: the attachments that are still there. Missing: nothing is known, so nothing is to be done. Empty: none is.
    pub valid_attachments: Option<Vec<ValidAttachment>>,
}

/// `runtimeConfig`: what the runtime asks where the plugin's `capabilities` allow it to. `ipRanges` are in
/// [`super::HostLocal`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeConfig {
    pub ips: Vec<AskedIp>,
    pub mac: Option<String>,
}

/// One of `cni.dev/valid-attachments` (SPEC 1.1.0, section 2, "GC").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValidAttachment {
    pub container_id: String,
    pub ifname: String,
}

/// What a call asks for, wherever it says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub subnets: Vec<String>,
    pub pools: Vec<String>,
    pub ips: Vec<AskedIp>,
    pub family: FamilyWish,
    pub mac: Option<String>,
}

impl NetConf {
    /// Reads a configuration. Fails with code 1, 6 or 7.
    pub fn parse(config: &Value) -> Result<NetConf, Error> {
        let root = Field::root(config);
        let version: Version = root.string("cniVersion")?.unwrap_or_default().parse()?;
        NetConf::read(&root, version).map_err(|error| Error { cni_version: version.to_string(), ..error })
    }

    /// The network's name in a configuration of which nothing else need be right, for DEL.
    pub fn network(config: &Value) -> Option<&str> {
        config.get("name")?.as_str().filter(|name| !name.is_empty())
    }

    fn read(root: &Field<'_>, version: Version) -> Result<NetConf, Error> {
        let runtime = root.get("runtimeConfig")?;
        let runtime_ranges =
            runtime.as_ref().map_or(Ok(Vec::new()), |runtime| Range::read_sets(runtime, "ipRanges"))?;
        let runtime_config = runtime.as_ref().map(RuntimeConfig::read).transpose()?.unwrap_or_default();
        let args = root.get("args")?.map_or(Ok(None), |args| args.get("cni"))?;
        let previous = root.one("prevResult", |result| {
            result.each("ips", |ip| {
                let address = ip.one("address", Field::parse)?;
                Ok(ResultIp {
                    address: address.ok_or_else(|| ip.invalid("it has no `address`"))?,
                    gateway: ip.one("gateway", Field::address)?,
                })
            })
        });
        Ok(NetConf {
            version,
            name: root.one("name", network_name)?.ok_or_else(|| {
                let details = "every network has a name; Multus takes the NetworkAttachmentDefinition's";
                Error::new(code::INVALID_CONFIG, "the network configuration has no `name`", details)
            })?,
            kind: root.string("type")?.unwrap_or_default(),
            ipam: Ipam::read(root.get("ipam")?.as_ref(), runtime_ranges)?,
            runtime_config,
            args: args.as_ref().map(Wish::read).transpose()?.unwrap_or_default(),
            args_mac: args.map_or(Ok(None), |args| args.string("mac"))?,
            previous: previous?,
            valid_attachments: valid_attachments(root)?,
        })
    }

    /// Puts together what is asked for.
    ///
    /// Addresses: `runtimeConfig`, else `args.cni`, else `CNI_ARGS`, else `ipam`; the MAC in the same order. Subnets, pools
    /// and family: `args.cni`, else `ipam`. Where one place says something, those behind it are not looked at: what is
    /// asked of one attachment replaces what the network has for all.
    pub fn asked(&self, args: &CniArgs) -> Result<Asked, Error> {
        let own = &self.args;
        let network = match &self.ipam.section {
            Section::Ours(wish) => wish.clone(),
            Section::HostLocal(_) | Section::Static(_) if own.subnets.is_empty() && own.pools.is_empty() => {
                Wish::default()
            }
            Section::HostLocal(_) | Section::Static(_) => {
                let msg =
                    "`args.cni` asks for subnets or pools where `ipam` has host-local's or static's keys";
                let details = "name the subnets in `ipam` instead of its ranges or addresses";
                return Err(Error::new(code::INVALID_CONFIG, msg, details));
            }
        };
        let targets = if own.subnets.is_empty() && own.pools.is_empty() { &network } else { own };
        let runtime = &self.runtime_config;
        let mac = runtime.mac.as_deref().or(self.args_mac.as_deref()).or(args.mac());
        Ok(Asked {
            subnets: targets.subnets.clone(),
            pools: targets.pools.clone(),
            ips: [runtime.ips.clone(), own.ips.clone(), args.ips()?, network.ips]
                .into_iter()
                .find(|ips| !ips.is_empty())
                .unwrap_or_default(),
            family: if own.family == FamilyWish::All { network.family } else { own.family },
            mac: mac.map(str::to_owned),
        })
    }
}

impl Static {
    /// The addresses of one attachment, as `static` has them: the section's and those of `CNI_ARGS`, which may bring
    /// gateways too; replaced by those of `args.cni`, and these by those of `runtimeConfig`. Each needs its prefix length.
    pub fn addresses(&self, conf: &NetConf, args: &CniArgs) -> Result<Vec<StaticAddress>, Error> {
        let whole = |ips: &[AskedIp]| {
            let address = |ip: &AskedIp| match ip.prefix {
                Some(prefix) => {
                    Ok(StaticAddress { address: Net { address: ip.address, prefix }, gateway: None })
                }
                None => Err(Error::new(
                    code::INVALID_CONFIG,
                    format!("the address {ip} is asked for without a prefix length"),
                    "static addresses are written as 10.1.2.3/24 or fd00::1/64",
                )),
            };
            ips.iter().map(address).collect()
        };
        if let Some(ips) = [&conf.runtime_config.ips, &conf.args.ips].into_iter().find(|ips| !ips.is_empty())
        {
            return whole(ips);
        }
        let more: Vec<StaticAddress> = whole(&args.ips()?)?;
        let mut addresses: Vec<StaticAddress> = self.addresses.iter().copied().chain(more).collect();
        for gateway in args.gateways()? {
            for address in addresses.iter_mut().filter(|address| address.address.contains(gateway)) {
                address.gateway = Some(gateway);
            }
        }
        Ok(addresses)
    }
}

impl RuntimeConfig {
    fn read(field: &Field<'_>) -> Result<RuntimeConfig, Error> {
        Ok(RuntimeConfig {
            ips: field.each("ips", Field::parse)?,
            mac: field.string("mac")?.filter(|mac| !mac.is_empty()),
        })
    }
}

/// SPEC 1.1.0, section 1, "Configuration format": begins with a letter or digit, then also `_`, `.` and `-`.
fn network_name(field: &Field<'_>) -> Result<String, Error> {
    let name = field.text()?;
    let legal = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if legal {
        Ok(name.to_owned())
    } else {
        Err(field.invalid(
            "a network's name begins with a letter or digit, followed by letters, digits, `_`, `.`, `-`",
        ))
    }
}

/// libcni writes the old name as well; a runtime that does not know its attachments leaves both out or writes null.
fn valid_attachments(root: &Field<'_>) -> Result<Option<Vec<ValidAttachment>>, Error> {
    let read = |item: &Field<'_>| {
        let part = |key: &str| {
            item.one(key, Field::name)?.ok_or_else(|| item.invalid(&format!("it has no `{key}`")))
        };
        Ok(ValidAttachment { container_id: part("containerID")?, ifname: part("ifname")? })
    };
    for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
        if root.has(key) {
            return root.each(key, read).map(Some);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
