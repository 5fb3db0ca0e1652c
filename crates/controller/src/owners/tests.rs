use serde_json::json;

use super::*;
use crate::request::Settings;

fn owners() -> (Owners, Source) {
    let families = families(&Settings::default());
    let source = families[0].sources[0].clone();
    (Owners::new(families), source)
}

fn set(name: &str, replicas: u64, request: Option<&str>) -> Workload {
    let annotations = request.map(|text| json!({"allotment.dev/request": text}));
    serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": name, "uid": "u"},
        "spec": {"replicas": replicas, "template": {"metadata": {"annotations": annotations}}},
    }))
    .unwrap()
}

fn listed(objects: Vec<Workload>) -> Event<Workload> {
    Event::Listed { objects, version: "1".parse().unwrap() }
}

fn owner(kind: &str, name: &str) -> Owner {
    Owner { kind: kind.to_owned(), namespace: "shop".to_owned(), name: name.to_owned(), uid: "u".to_owned() }
}

#[test]
fn r6_nothing_is_freed_before_it_is_known_what_there_is() {
    let (mut owners, source) = owners();
    assert_eq!(owners.mode(&owner("StatefulSet", "db-0"), None, false), ReleaseMode::Keep);
    owners.event(&source, listed(Vec::new()));
    assert_eq!(owners.mode(&owner("StatefulSet", "db-0"), None, false), ReleaseMode::Cool);
}

#[test]
fn r6_a_pod_keeps_nothing() {
    assert_eq!(owners().0.mode(&owner("Pod", "web"), None, false), ReleaseMode::Cool);
}

#[test]
fn r6_what_is_scaled_down_for_good_is_freed_unless_it_is_to_be_kept() {
    let (mut owners, source) = owners();
    let keep = r#"[{"interface": "net1", "keep": {"onScaleDown": "keep"}}]"#;
    owners.event(&source, listed(vec![set("db", 2, None), set("kept", 0, Some(keep))]));
    assert!(owners.take_due() && !owners.take_due());
    assert_eq!(owners.mode(&owner("StatefulSet", "db-1"), None, false), ReleaseMode::Keep);
    assert_eq!(owners.mode(&owner("StatefulSet", "db-2"), None, false), ReleaseMode::Cool);
    let on = |interface: &str| Attachment { interface: interface.to_owned(), ..Attachment::default() };
    assert_eq!(owners.mode(&owner("StatefulSet", "kept-0"), Some(&on("net1")), false), ReleaseMode::Keep);
    assert_eq!(owners.mode(&owner("StatefulSet", "kept-0"), Some(&on("net2")), false), ReleaseMode::Cool);
    // Only a change of ordinals is a reason to look.
    owners.event(&source, Event::Applied(set("db", 2, Some(keep))));
    assert!(!owners.take_due());
    owners.event(&source, Event::Applied(set("db", 1, None)));
    assert!(owners.take_due());
}

#[test]
fn r6_what_outlives_its_owner_is_kept_when_that_is_gone_and_not_when_it_has_shrunk() {
    let (mut owners, source) = owners();
    owners.event(&source, listed(vec![set("db", 1, None)]));
    assert_eq!(owners.mode(&owner("StatefulSet", "db-1"), None, true), ReleaseMode::Cool, "scaled down");
    owners.event(&source, Event::Deleted(set("db", 1, None)));
    assert_eq!(owners.mode(&owner("StatefulSet", "db-0"), None, true), ReleaseMode::Keep);
    assert_eq!(owners.mode(&owner("StatefulSet", "db-0"), None, false), ReleaseMode::Cool);
    // A kind that is named in the configuration no more.
    assert_eq!(owners.mode(&owner("CloneSet.apps.kruise.io", "c"), None, true), ReleaseMode::Keep);
}

#[test]
fn r6_numbers_may_start_anywhere() {
    let (mut owners, source) = owners();
    let numbered = json!({"metadata": {"namespace": "shop", "name": "db"},
        "spec": {"replicas": 2, "ordinals": {"start": 5}}});
    owners.event(&source, listed(vec![serde_json::from_value(numbered).unwrap()]));
    let modes = [4, 5, 6, 7].map(|n| owners.mode(&owner("StatefulSet", &format!("db-{n}")), None, false));
    assert_eq!(modes, [ReleaseMode::Cool, ReleaseMode::Keep, ReleaseMode::Keep, ReleaseMode::Cool]);
}

#[test]
fn r6_a_virtual_machine_is_there_as_long_as_it_or_its_instance_is() {
    let families = families(&Settings::default());
    let [machine, instance] = &families[1].sources[..] else { panic!("two kinds stand for it") };
    let mut owners = Owners::new(families.clone());
    owners.event(machine, listed(Vec::new()));
    assert_eq!(
        owners.mode(&owner("VirtualMachine", "vm"), None, false),
        ReleaseMode::Keep,
        "instances may be there"
    );
    owners.event(instance, listed(vec![set("vm", 0, None)]));
    assert_eq!(owners.mode(&owner("VirtualMachine", "vm"), None, false), ReleaseMode::Keep);
    owners.event(instance, Event::Deleted(set("vm", 0, None)));
    assert_eq!(owners.mode(&owner("VirtualMachine", "vm"), None, false), ReleaseMode::Cool);
}
