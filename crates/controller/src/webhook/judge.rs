//! What core thinks of an object that somebody wants to write or delete.

use allotment_core::{Object, ObjectError, ObjectKey, ObjectKind, Obstacle, State};

const SWAP: &str = "to exchange the CIDRs of two subnets, move one of them to a third CIDR first";

/// What somebody wants.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wish {
    Write(Box<Object>),
    Delete(ObjectKey),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opinion {
    Fine,
    /// It may be done, and will not have its effect yet.
    Early(String),
    Refused(String),
}

/// Compares the wish with what is in force and held.
pub(super) fn judge(state: &State, wish: &Wish) -> Opinion {
    match wish {
        Wish::Write(object) => match state.check(object) {
            Ok(()) => Opinion::Fine,
            // Files may be applied in any order.
            Err(error) => match missing_subnet(state, object) {
                Some(name) if object.validate().is_ok() => {
                    Opinion::Early(format!("it is not in force before its subnet `{name}` is"))
                }
                _ if swaps(state, object, &error) => Opinion::Refused(format!("{}; {SWAP}", told(&error))),
                _ => Opinion::Refused(told(&error)),
            },
        },
        // A deletion takes nothing from holders: the object stays until they have gone, and gives nothing out meanwhile.
        Wish::Delete(key) => match state.check_removal(key) {
            Ok(()) => Opinion::Fine,
            Err(error) => Opinion::Early(format!("it does not go yet: {}; {}", error.text, error.hint)),
        },
    }
}

/// Whether it may be the first half of an exchange: both at once are fine, and the API server asks about one after the other.
fn swaps(state: &State, object: &Object, error: &ObjectError) -> bool {
    matches!(object, Object::Subnet(_))
        && error.obstacle == Obstacle::Overlap
        && state.object(&object.key()).is_some()
}

/// The subnet that the object is to be a part of, where it is not in force.
fn missing_subnet<'a>(state: &State, object: &'a Object) -> Option<&'a str> {
    let name = match object {
        Object::Subnet(_) => return None,
        Object::IPPool(spec) => &spec.subnet,
        Object::Reservation(spec) => &spec.subnet,
    };
    let key = ObjectKey { kind: ObjectKind::Subnet, name: name.clone() };
    state.object(&key).is_none().then_some(name)
}

/// As people are told: the API server has named the object already.
fn told(error: &ObjectError) -> String {
    let ObjectError { field, text, hint, .. } = error;
    format!("{field}: {text}; {hint}")
}

#[cfg(test)]
mod tests {
    use allotment_api::parse;

    use super::*;

    fn object(kind: &str, name: &str, spec: &str) -> Object {
        let yaml = format!(
            "apiVersion: allotment.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
        );
        parse("f", &yaml).objects.remove(0).value
    }

    fn in_force(objects: &[Object]) -> State {
        let mut state = State::new();
        assert_eq!(state.put_all(objects.to_vec()), []);
        state
    }

    fn written(objects: &[Object], new: Object) -> Opinion {
        judge(&in_force(objects), &Wish::Write(Box::new(new)))
    }

    #[test]
    fn an_overlap_names_both() {
        let there = [object("Subnet", "a", "cidrs: [10.0.0.0/16]")];
        let says = "spec.cidrs[0]: 10.0.1.0/24 of `b` overlaps 10.0.0.0/16 of subnet `a` in VRF `default`; choose another CIDR, \
                    or another VRF if both networks really are apart";
        let opinion = written(&there, object("Subnet", "b", "cidrs: [10.0.1.0/24]"));
        assert_eq!(opinion, Opinion::Refused(says.to_owned()));
        assert_eq!(written(&there, object("Subnet", "b", "cidrs: [10.1.0.0/24]")), Opinion::Fine);
        assert_eq!(written(&there, object("Subnet", "b", "cidrs: [10.0.1.0/24], vrf: red")), Opinion::Fine);
        assert_eq!(written(&there, object("Subnet", "a", "cidrs: [10.0.0.0/17]")), Opinion::Fine);
    }

    #[test]
    fn an_exchange_of_two_is_told_how() {
        let there = ["a, 10.0.0.0/16", "b, 10.1.0.0/16"].map(|both| {
            let (name, cidr) = both.split_once(", ").unwrap();
            object("Subnet", name, &format!("cidrs: [{cidr}]"))
        });
        let opinion = written(&there, object("Subnet", "a", "cidrs: [10.1.0.0/16]"));
        assert!(matches!(&opinion, Opinion::Refused(text) if text.ends_with(SWAP)), "{opinion:?}");
    }

    #[test]
    fn files_may_be_applied_in_any_order() {
        let pool = object("IPPool", "p", "subnet: a, ranges: [10.0.0.8]");
        let early = Opinion::Early("it is not in force before its subnet `a` is".to_owned());
        assert_eq!(written(&[], pool.clone()), early);
        assert_eq!(written(&[object("Subnet", "a", "cidrs: [10.0.0.0/16]")], pool), Opinion::Fine);
    }

    #[test]
    fn what_lies_outside_its_subnet_is_refused() {
        let there = [object("Subnet", "a", "cidrs: [10.0.0.0/16]")];
        let outside = written(&there, object("IPPool", "p", "subnet: a, ranges: [10.9.0.8]"));
        assert!(matches!(&outside, Opinion::Refused(text) if text.contains("10.9.0.8")), "{outside:?}");
    }

    #[test]
    fn a_subnet_does_not_shrink_below_its_parts_and_goes_after_them() {
        let there = [
            object("Subnet", "a", "cidrs: [10.0.0.0/16]"),
            object("Reservation", "r", "subnet: a, addresses: [10.0.9.9], reason: printer"),
        ];
        let shrunk = written(&there, object("Subnet", "a", "cidrs: [10.0.0.0/24]"));
        assert!(matches!(&shrunk, Opinion::Refused(text) if text.contains("`r`")), "{shrunk:?}");
        let state = in_force(&there);
        let says = "it does not go yet: 1 reservation is made in it, `r`; remove its reservations first";
        assert_eq!(judge(&state, &Wish::Delete(there[0].key())), Opinion::Early(says.to_owned()));
        assert_eq!(judge(&state, &Wish::Delete(there[1].key())), Opinion::Fine);
        assert_eq!(judge(&State::new(), &Wish::Delete(there[0].key())), Opinion::Fine);
    }
}
