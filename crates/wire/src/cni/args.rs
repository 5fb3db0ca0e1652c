//! `CNI_ARGS`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use super::ip::parse_address;
use super::{AskedIp, Error, ParseIpError, code};

/// `CNI_ARGS`: `K=V;K=V`.
///
/// Keys may repeat, and the last one wins: Multus hands on the runtime's pairs and adds all of them once more. Empty
/// segments and unknown keys are passed over, with or without `IgnoreUnknown`: runtimes add keys at will.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CniArgs(BTreeMap<String, String>);

impl CniArgs {
    /// A segment without `=` is code 4.
    pub fn parse(text: &str) -> Result<CniArgs, Error> {
        let mut pairs = BTreeMap::new();
        for segment in text.split(';').filter(|segment| !segment.is_empty()) {
            let Some((key, value)) = segment.split_once('=') else {
                let msg = format!("CNI_ARGS has `{segment}`, which is not KEY=VALUE");
                return Err(Error::new(code::INVALID_ENVIRONMENT, msg, "write it as KEY=VALUE;KEY=VALUE"));
            };
            pairs.insert(key.to_owned(), value.to_owned());
        }
        Ok(CniArgs(pairs))
    }

    /// The key's last value; an empty one counts as none.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub fn pod_namespace(&self) -> Option<&str> {
        self.get("K8S_POD_NAMESPACE")
    }

    pub fn pod_name(&self) -> Option<&str> {
        self.get("K8S_POD_NAME")
    }

    /// For a static pod the hash of its configuration, not the UID of its mirror (K6).
    pub fn pod_uid(&self) -> Option<&str> {
        self.get("K8S_POD_UID")
    }

    /// `IP`: addresses with or without prefix length, separated by commas.
    pub fn ips(&self) -> Result<Vec<AskedIp>, Error> {
        self.list("IP", AskedIp::from_str)
    }

    /// `GATEWAY`: addresses, separated by commas.
    pub fn gateways(&self) -> Result<Vec<IpAddr>, Error> {
        self.list("GATEWAY", parse_address)
    }

    /// `MAC`, as it came.
    pub fn mac(&self) -> Option<&str> {
        self.get("MAC")
    }

    fn list<T>(&self, key: &str, read: impl Fn(&str) -> Result<T, ParseIpError>) -> Result<Vec<T>, Error> {
        let items =
            self.get(key).unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty());
        items
            .map(|item| {
                read(item).map_err(|why| {
                    let msg = format!("CNI_ARGS has {key}={item}: {why}");
                    Error::new(code::INVALID_ENVIRONMENT, msg, "correct what asks for the address")
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> CniArgs {
        CniArgs::parse(text).unwrap()
    }

    #[test]
    fn as_containerd_and_multus_write_it() {
        let args = args(
            "IgnoreUnknown=true;K8S_POD_NAMESPACE=default;K8S_POD_NAME=mp;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=old;\
             K8S_POD_UID=u1;IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;MAC=02:00:00:00:44:04;IP=10.98.44.4/16,fd00::4",
        );
        assert_eq!(args.pod_namespace(), Some("shop"));
        assert_eq!(args.pod_name(), Some("mp"));
        assert_eq!(args.pod_uid(), Some("u1"));
        assert_eq!(args.mac(), Some("02:00:00:00:44:04"));
        let ips = args.ips().unwrap();
        assert_eq!(ips.iter().map(AskedIp::to_string).collect::<Vec<_>>(), ["10.98.44.4/16", "fd00::4"]);
        assert_eq!(args.gateways(), Ok(vec![]));
    }

    #[test]
    fn what_is_tolerated() {
        assert_eq!(args(""), CniArgs::default());
        assert_eq!(args(";;A=1;;").get("A"), Some("1"));
        assert_eq!(args("A=x=y;B=").get("A"), Some("x=y"));
        assert_eq!(args("B=").get("B"), None);
        assert_eq!(args("B=1;B=").get("B"), None, "the last one wins");
        assert_eq!(args("IP= 10.0.0.1 , ,10.0.0.2,").ips().unwrap().len(), 2);
        assert_eq!(args("GATEWAY=10.0.0.1,fd00::1").gateways().unwrap().len(), 2);
    }

    #[test]
    fn what_is_not() {
        let error = CniArgs::parse("A=1;foo").unwrap_err();
        assert!(error.code == 4 && error.msg.contains("`foo`"), "{error}");
        let error = args("IP=10.0.0.1,ten").ips().unwrap_err();
        assert!(error.code == 4 && error.msg.contains("IP=ten"), "{error}");
        assert!(args("GATEWAY=10.0.0.1/24").gateways().is_err());
    }
}
