//! A network's configuration as it is kept, in a `NetworkAttachmentDefinition` or a file: one plugin, or a list of them.

use serde_json::{Map, Value};

use super::field::Field;
use super::{Error, Ipam, Section, Wish, code};

/// The name under which our plugin is called.
const PLUGIN: &str = "allotment";

/// Whose addresses a network has.
#[derive(Clone, Debug, PartialEq)]
pub enum Definition {
    /// Ours.
    Ours(Network),
    /// Those of the IPAM plugin named, or nobody's where the name is empty.
    Others(String),
}

/// What a configuration says to those who use the network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// Empty: it is named by whoever keeps it.
    pub name: String,
    /// Its `ipam` section.
    pub wish: Wish,
    /// Its `args.cni`, over which those of one attachment are laid.
    pub args: Map<String, Value>,
}

impl Definition {
    /// Reads a configuration, or the list under `plugins`, of which the first plugin that we serve counts.
    pub fn parse(config: &str) -> Result<Definition, Error> {
        let value: Value = serde_json::from_str(config).map_err(|why| {
            let msg = format!("the network configuration is not JSON: {why}");
            Error::new(code::DECODE, msg, "correct the network configuration")
        })?;
        let root = Field::root(&value);
        let plugins = match root.get("plugins")? {
            Some(list) => list.items()?,
            None => vec![Field::root(&value)],
        };
        let mut others = String::new();
        for plugin in &plugins {
            // What is not ours may be written as it likes.
            let Ok(Some(ipam)) = plugin.get("ipam") else { continue };
            match ipam.string("type") {
                Ok(Some(kind)) if kind == PLUGIN => {
                    let name = root.string("name")?.unwrap_or_default();
                    return Network::read(name, plugin, &ipam).map(Definition::Ours);
                }
                Ok(Some(kind)) => others = kind,
                Ok(None) | Err(_) => {}
            }
        }
        Ok(Definition::Others(others))
    }
}

impl Network {
    fn read(name: String, plugin: &Field<'_>, ipam: &Field<'_>) -> Result<Network, Error> {
        let Section::Ours(wish) = Ipam::read(Some(ipam), Vec::new())?.section else {
            let msg = "`ipam` has the keys of `host-local` or `static`, whose addresses a cluster cannot tell apart";
            let details = "declare a Subnet with these addresses and name it in `ipam.subnets`";
            return Err(Error::new(code::INVALID_CONFIG, msg, details));
        };
        let args = plugin.get("args")?.map_or(Ok(None), |args| args.get("cni"))?;
        let args = args.and_then(|args| args.value.as_object().cloned()).unwrap_or_default();
        Ok(Network { name, wish, args })
    }

    /// The `args.cni` of one attachment: the network's own, with `more` laid over them key by key, as Multus does with
    /// its `cni-args`.
    pub fn args_with(&self, more: Option<&Map<String, Value>>) -> Value {
        let mut args = self.args.clone();
        args.extend(more.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
        Value::Object(args)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(config: &Value) -> Result<Definition, Error> {
        Definition::parse(&config.to_string())
    }

    fn ours(config: &Value) -> Network {
        match parse(config).unwrap() {
            Definition::Ours(network) => network,
            Definition::Others(kind) => panic!("{kind}"),
        }
    }

    #[test]
    fn one_plugin_and_a_list_say_the_same() {
        let ipam = json!({"type": "allotment", "subnets": ["rack-a"], "ips": ["10.0.0.1"]});
        let one = ours(&json!({"name": "lan", "type": "macvlan", "ipam": ipam}));
        let list =
            ours(&json!({"name": "lan", "plugins": [{"type": "macvlan", "ipam": ipam}, {"type": "tuning"}]}));
        let later =
            ours(&json!({"name": "lan", "plugins": [{"type": "tuning"}, {"Type": "macvlan", "IPAM": ipam}]}));
        assert_eq!((&one, &one), (&list, &later));
        assert_eq!((one.name.as_str(), one.wish.subnets), ("lan", vec!["rack-a".to_owned()]));
        assert_eq!(ours(&json!({"ipam": {"type": "allotment"}})), Network::default());
    }

    #[test]
    fn what_is_not_ours() {
        for (config, kind) in [
            (json!({}), ""),
            (json!({"ipam": {}}), ""),
            (json!({"ipam": [1]}), ""),
            (json!({"ipam": {"type": "whereabouts", "subnets": 7}}), "whereabouts"),
            (json!({"plugins": []}), ""),
            (json!({"plugins": [{"ipam": {"type": "host-local"}}]}), "host-local"),
        ] {
            assert_eq!(parse(&config), Ok(Definition::Others(kind.to_owned())), "{config}");
        }
    }

    #[test]
    fn what_is_ours_and_wrong() {
        let ours = |key: &str, value: Value| {
            let mut ipam = json!({"type": "allotment"});
            ipam[key] = value;
            json!({"plugins": [{"type": "macvlan", "ipam": ipam}]})
        };
        for (config, says) in [
            (ours("subnets", json!("rack-a")), "`plugins[0].ipam.subnets` is not a list"),
            (ours("ips", json!(["ten"])), "`plugins[0].ipam.ips[0]` \"ten\""),
            (ours("ranges", json!([[{"subnet": "10.0.0.0/24"}]])), "keys of `host-local`"),
            (json!({"plugins": {}}), "`plugins` is not a list"),
            (json!([]), "the configuration is not an object"),
        ] {
            let error = parse(&config).unwrap_err();
            assert!(error.msg.contains(says), "{error}");
        }
        assert!(Definition::parse("{").unwrap_err().msg.contains("not JSON"));
    }

    #[test]
    fn one_attachments_args_lie_over_the_networks() {
        let config =
            json!({"ipam": {"type": "allotment"}, "args": {"cni": {"subnets": ["a"], "ips": ["10.0.0.1"]}}});
        let more = json!({"subnets": ["b"]});
        assert_eq!(ours(&config).args_with(more.as_object()), json!({"subnets": ["b"], "ips": ["10.0.0.1"]}));
        assert_eq!(ours(&config).args_with(None), json!({"subnets": ["a"], "ips": ["10.0.0.1"]}));
    }
}
