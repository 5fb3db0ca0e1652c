//! What the watch has shown of the node's own pods.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use allotment_api::annotation::{self, GrantedAddress, PodGrant, PodRefusal};
use allotment_cluster::{Pod, ResourceVersion};
use allotment_proof::{Seen, Use};
use serde::de::DeserializeOwned;

/// Further networks, as the Network Plumbing Working Group has it.
const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
/// The network that stands in for the cluster's default one.
const DEFAULT_NETWORK: &str = "v1.multus-cni.io/default-network";
/// On the mirror of a static pod: the hash that CNI has for its UID (K6).
const MIRROR: &str = "kubernetes.io/config.mirror";
const HASH: &str = "kubernetes.io/config.hash";

/// The keys by which a pod says something about its primary interface; with one of them the controller grants it unasked.
const PRIMARY: [&str; 6] = [
    annotation::REQUEST,
    annotation::SUBNETS,
    annotation::POOLS,
    annotation::IPS,
    annotation::MAC,
    DEFAULT_NETWORK,
];

/// What is kept of a pod.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Known {
    pub(crate) uid: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) is_finished: bool,
    /// Its own; a copy of another pod's is none (K2).
    pub(crate) grant: Option<Arc<PodGrant>>,
    pub(crate) refusal: Option<Arc<PodRefusal>>,
    /// Why what stands there as a grant is none.
    pub(crate) odd: Option<String>,
    pub(crate) announces_primary: bool,
    pub(crate) has_networks: bool,
    /// It is the mirror of a static pod: what CNI has for its UID (K6).
    mirror_of: Option<String>,
}

impl Known {
    pub(crate) fn new(pod: &Pod) -> Known {
        let metadata = &pod.metadata;
        let uid = metadata.uid.clone().unwrap_or_default();
        let annotations = metadata.annotations.as_ref();
        let says = |key: &str| annotations.and_then(|all| all.get(key)).map(String::as_str);
        let grant = says(annotation::GRANT).map(|text| own(text, &uid, |grant: &PodGrant| &grant.pod));
        let refusal =
            says(annotation::REFUSAL).map(|text| own(text, &uid, |refusal: &PodRefusal| &refusal.pod));
        let odd = grant.as_ref().and_then(|grant| grant.as_ref().err().cloned());
        Known {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            is_finished: pod.is_finished(),
            grant: grant.and_then(Result::ok).map(Arc::new),
            refusal: refusal.and_then(Result::ok).map(Arc::new),
            odd,
            announces_primary: PRIMARY.iter().any(|key| says(key).is_some()),
            has_networks: says(NETWORKS).is_some_and(|text| !text.trim().is_empty()),
            mirror_of: says(MIRROR).map(|hash| says(HASH).unwrap_or(hash).to_owned()),
            uid,
        }
    }

    /// What the rules of release want to know.
    pub(crate) fn seen(&self) -> Seen {
        Seen {
            is_finished: self.is_finished,
            is_granted: self.grant.is_some(),
            is_retained: self.grant.as_ref().is_some_and(|grant| grant.retained),
        }
    }
}

/// An annotation of ours, if it is for the pod with this UID.
fn own<T: DeserializeOwned>(text: &str, uid: &str, pod: impl Fn(&T) -> &String) -> Result<T, String> {
    match serde_json::from_str::<T>(text) {
        Ok(value) if pod(&value) == uid => Ok(value),
        Ok(value) => Err(format!("the grant on it is that of the pod with UID `{}`", pod(&value))),
        Err(error) => Err(format!("the grant on it cannot be read: {error}")),
    }
}

/// A pod as CNI names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    /// Empty with runtimes that do not tell it.
    pub(crate) uid: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// What is known of a [`Named`] pod.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Found<'a> {
    /// A pod of this node, under its UID.
    Pod(&'a Known),
    /// CNI has another UID for it than the API server (K6); with its mirror, once that is there.
    Static(Option<&'a Known>),
    /// Not seen yet, or gone.
    Unseen,
}

/// All pods of the node with a network of their own.
#[derive(Debug, Default)]
pub(crate) struct Pods {
    version: Option<ResourceVersion>,
    /// By UID.
    known: BTreeMap<String, Known>,
    /// (namespace, name) → UID.
    names: HashMap<(String, String), String>,
}

impl Pods {
    /// Nothing before the first list.
    pub(crate) fn version(&self) -> Option<ResourceVersion> {
        self.version
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// All addresses that stand on pods.
    pub(crate) fn shown(&self) -> impl Iterator<Item = IpAddr> {
        let grants = self.known.values().filter_map(|pod| pod.grant.as_ref());
        grants.flat_map(|grant| grant.ips()).map(|ip| ip.address)
    }

    /// Replaces all.
    pub(crate) fn list(&mut self, version: ResourceVersion, pods: impl IntoIterator<Item = Known>) {
        self.known.clear();
        self.names.clear();
        self.version = Some(version);
        pods.into_iter().for_each(|pod| self.put(pod));
    }

    /// Whether it is newer than what was seen: a list may have told it already.
    pub(crate) fn reach(&mut self, version: ResourceVersion) -> bool {
        let is_news = self.version.is_some_and(|reached| version > reached);
        if is_news {
            self.version = Some(version);
        }
        is_news
    }

    pub(crate) fn put(&mut self, pod: Known) {
        self.names.insert((pod.namespace.clone(), pod.name.clone()), pod.uid.clone());
        self.known.insert(pod.uid.clone(), pod);
    }

    pub(crate) fn remove(&mut self, uid: &str) {
        let Some(pod) = self.known.remove(uid) else { return };
        let name = (pod.namespace, pod.name);
        // A newer one of the same name keeps its place.
        if self.names.get(&name).is_some_and(|of| of == uid) {
            self.names.remove(&name);
        }
    }

    /// Whether a pod's grant has an address. One that was answered without a grant (K1) may not be in it.
    pub(crate) fn grants(&self, used: &Use) -> bool {
        let grant = self.known.get(&used.pod).and_then(|pod| pod.grant.as_ref());
        let is_it = |ip: &GrantedAddress| ip.vrf == used.address.vrf && ip.address == used.address.address;
        grant.is_some_and(|grant| grant.ips().any(is_it))
    }

    pub(crate) fn find(&self, named: &Named) -> Found<'_> {
        if let Some(pod) = self.known.get(&named.uid) {
            return Found::Pod(pod);
        }
        let name = (named.namespace.clone(), named.name.clone());
        let called = self.names.get(&name).and_then(|uid| self.known.get(uid));
        match called {
            Some(pod) if named.uid.is_empty() && pod.mirror_of.is_none() => Found::Pod(pod),
            Some(pod) if pod.mirror_of.as_ref() == Some(&named.uid) => Found::Static(Some(pod)),
            _ if is_hash(&named.uid) => Found::Static(None),
            _ => Found::Unseen,
        }
    }
}

/// The API server's UIDs have dashes; the kubelet's for static pods are a hash.
fn is_hash(uid: &str) -> bool {
    !uid.is_empty() && uid.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    fn pod(uid: &str, name: &str, annotations: &serde_json::Value) -> Known {
        let metadata = json!({"namespace": "shop", "name": name, "uid": uid, "annotations": annotations});
        Known::new(&from_value(json!({"metadata": metadata})).unwrap())
    }

    fn version(number: u64) -> ResourceVersion {
        number.to_string().parse().unwrap()
    }

    fn named(uid: &str, name: &str) -> Named {
        Named { uid: uid.to_owned(), namespace: "shop".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn k2_another_pods_grant_is_none() {
        let grant = json!({"pod": "u-1", "nodeUID": "n", "retained": true, "attachments": []}).to_string();
        let own = pod("u-1", "a", &json!({"allotment.dev/grant": grant}));
        let seen = own.seen();
        assert!(own.grant.is_some() && seen.is_granted && seen.is_retained);
        let copied = pod("u-2", "b", &json!({"allotment.dev/grant": grant}));
        assert!(copied.grant.is_none() && !copied.seen().is_granted);
        assert_eq!(copied.odd.unwrap(), "the grant on it is that of the pod with UID `u-1`");
        let odd = pod("u-1", "a", &json!({"allotment.dev/grant": "{"})).odd.unwrap();
        assert!(odd.starts_with("the grant on it cannot be read: "), "{odd}");
    }

    #[test]
    fn what_a_pod_announces() {
        let none = pod("u", "a", &json!({}));
        assert!(!none.announces_primary && !none.has_networks);
        assert!(pod("u", "a", &json!({"allotment.dev/ips": "10.0.0.9"})).announces_primary);
        assert!(pod("u", "a", &json!({"v1.multus-cni.io/default-network": "lan"})).announces_primary);
        assert!(pod("u", "a", &json!({"k8s.v1.cni.cncf.io/networks": "lan"})).has_networks);
        assert!(!pod("u", "a", &json!({"k8s.v1.cni.cncf.io/networks": " "})).has_networks);
    }

    #[test]
    fn k6_a_static_pod_is_known_by_its_hash() {
        let mut pods = Pods::default();
        let hash = "0f3ad6e1c2b84f7796a0d3c1e5b7a9f0";
        let mirror = json!({"kubernetes.io/config.mirror": hash, "kubernetes.io/config.hash": hash});
        assert_eq!(pods.find(&named(hash, "etcd-a")), Found::Static(None));
        pods.list(version(7), [pod("u-1", "etcd-a", &mirror), pod("u-2", "web", &json!({}))]);
        assert!(matches!(pods.find(&named(hash, "etcd-a")), Found::Static(Some(_))));
        assert_eq!(pods.find(&named("0b-1", "etcd-a")), Found::Unseen);
        assert!(matches!(pods.find(&named("u-2", "web")), Found::Pod(_)));
        assert!(matches!(pods.find(&named("", "web")), Found::Pod(_)));
        assert_eq!(pods.find(&named("u-3", "web")), Found::Unseen, "an older or newer one of the name");
    }

    #[test]
    fn a_new_pod_of_the_name_is_not_lost_with_the_old_one() {
        let mut pods = Pods::default();
        pods.list(version(7), [pod("u-1", "db-0", &json!({}))]);
        assert!(!pods.reach(version(7)) && pods.reach(version(9)));
        pods.put(pod("u-2", "db-0", &json!({})));
        pods.remove("u-1");
        assert!(matches!(pods.find(&named("", "db-0")), Found::Pod(known) if known.uid == "u-2"));
        pods.remove("u-2");
        assert_eq!((pods.find(&named("", "db-0")), pods.len()), (Found::Unseen, 0));
    }
}
