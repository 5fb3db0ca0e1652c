//! What has to be done so that what is declared comes into force.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use allotment_core::{IpRange, Object, ObjectKey};

use super::Declared;

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Remove(ObjectKey),
    /// A subnet that is to go and cannot yet: nobody new gets an address of it.
    Drain(Box<Object>),
    Put(Box<Object>),
}

impl Step {
    pub(crate) fn key(&self) -> ObjectKey {
        match self {
            Step::Remove(key) => key.clone(),
            Step::Drain(object) | Step::Put(object) => object.key(),
        }
    }
}

/// Removals first, what depends on others before them; then the rest in the reverse order, and among those of a kind the
/// one created first: of two that overlap the later one is not used.
pub(super) fn steps(
    in_force: &BTreeMap<ObjectKey, Object>,
    declared: &BTreeMap<ObjectKey, Declared>,
    gone: &BTreeSet<ObjectKey>,
) -> Vec<Step> {
    let deleting = declared.iter().filter(|(_, declared)| declared.deleting).map(|(key, _)| key);
    let mut leaving: Vec<&ObjectKey> =
        deleting.chain(gone).filter(|key| in_force.contains_key(key)).collect();
    leaving.sort_by_key(|key| Reverse(*key));
    let mut steps = Vec::new();
    for key in leaving {
        if let Some(drained) = in_force.get(key).and_then(drained)
            && in_force.get(key) != Some(&drained)
        {
            steps.push(Step::Drain(Box::new(drained)));
        }
        steps.push(Step::Remove(key.clone()));
    }
    let wanted = declared.iter().filter(|(_, declared)| !declared.deleting);
    let mut changed: Vec<(&ObjectKey, &Declared)> =
        wanted.filter(|(key, declared)| in_force.get(key) != Some(&declared.object)).collect();
    changed.sort_by_key(|(key, declared)| (key.kind, declared.created, &key.name));
    steps.extend(changed.into_iter().map(|(_, declared)| Step::Put(Box::new(declared.object.clone()))));
    steps
}

/// The subnet, bound to nothing: what is held stays held, nothing new is given. Programs before 0.2 do not know `draining`;
/// for them everything is excluded.
fn drained(object: &Object) -> Option<Object> {
    let Object::Subnet(spec) = object else { return None };
    let mut spec = spec.clone();
    spec.exclude = spec.cidrs.iter().copied().map(IpRange::from).collect();
    spec.default = false;
    spec.draining = true;
    spec.networks.clear();
    Some(Object::Subnet(spec))
}

#[cfg(test)]
mod tests {
    use allotment_api::v1alpha1::ObjectStatus;
    use allotment_core::{ObjectKind, PoolSpec, SubnetSpec};
    use jiff::Timestamp;

    use super::*;

    fn subnet(name: &str, cidr: &str) -> Object {
        Object::Subnet(SubnetSpec::new(name, vec![cidr.parse().unwrap()]))
    }

    fn pool(name: &str, subnet: &str) -> Object {
        Object::IPPool(PoolSpec {
            name: name.to_owned(),
            subnet: subnet.to_owned(),
            ranges: vec!["10.0.0.8/29".parse().unwrap()],
            namespaces: Vec::new(),
            pod_selector: None,
            namespace_selector: None,
            node_selector: None,
        })
    }

    fn declared(object: Object, created: i64, deleting: bool) -> (ObjectKey, Declared) {
        let declared = Declared {
            uid: String::new(),
            created: Timestamp::from_second(created).unwrap(),
            generation: None,
            deleting,
            finalizer: true,
            status: ObjectStatus::default(),
            object,
        };
        (declared.object.key(), declared)
    }

    fn check(in_force: &[Object], all: Vec<(ObjectKey, Declared)>, gone: &[ObjectKey], expect: &[&str]) {
        let in_force = in_force.iter().map(|object| (object.key(), object.clone())).collect();
        let steps = steps(&in_force, &all.into_iter().collect(), &gone.iter().cloned().collect());
        let names: Vec<String> = steps
            .iter()
            .map(|step| match step {
                Step::Remove(key) => format!("-{}", key.name),
                Step::Drain(object) => format!("~{}", object.key().name),
                Step::Put(object) => format!("+{}", object.key().name),
            })
            .collect();
        assert_eq!(names, expect);
    }

    #[test]
    fn what_is_the_same_is_left_alone() {
        let a = subnet("a", "10.0.0.0/24");
        check(std::slice::from_ref(&a), vec![declared(a.clone(), 1, false)], &[], &[]);
    }

    #[test]
    fn the_one_created_first_comes_first_and_pools_after_subnets() {
        let all = vec![
            declared(subnet("a", "10.0.0.0/16"), 9, false),
            declared(subnet("z", "10.0.0.0/24"), 1, false),
            declared(subnet("b", "10.2.0.0/16"), 9, false),
            declared(pool("p", "z"), 0, false),
        ];
        check(&[], all, &[], &["+z", "+a", "+b", "+p"]);
    }

    #[test]
    fn what_is_deleted_goes_before_the_rest_comes_and_gives_nothing_out_meanwhile() {
        let (a, p) = (subnet("a", "10.0.0.0/24"), pool("p", "a"));
        let all = vec![
            declared(a.clone(), 1, true),
            declared(p.clone(), 1, true),
            declared(subnet("b", "10.1.0.0/24"), 2, false),
        ];
        check(&[a, p], all, &[], &["-p", "~a", "-a", "+b"]);
    }

    #[test]
    fn a_missing_object_proves_nothing_and_a_deleted_one_does() {
        let a = subnet("a", "10.0.0.0/24");
        check(std::slice::from_ref(&a), Vec::new(), &[], &[]);
        let key = ObjectKey { kind: ObjectKind::Subnet, name: "a".to_owned() };
        check(&[a], Vec::new(), &[key], &["~a", "-a"]);
    }
}
