use serde_json::json;

use super::*;
use crate::request::Settings;

fn owners() -> (Owners, Source) {
    let families = families(&Settings::default());
    let source = families[0].sources[0].clone();
    (Owners::new(&Settings::default()), source)
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
    assert_eq!((owners.take_due(), owners.take_due()), (Some(Look::All), None));
    assert_eq!(owners.mode(&owner("StatefulSet", "db-1"), None, false), ReleaseMode::Keep);
    assert_eq!(owners.mode(&owner("StatefulSet", "db-2"), None, false), ReleaseMode::Cool);
    let on = |interface: &str| Attachment { interface: interface.to_owned(), ..Attachment::default() };
    assert_eq!(owners.mode(&owner("StatefulSet", "kept-0"), Some(&on("net1")), false), ReleaseMode::Keep);
    assert_eq!(owners.mode(&owner("StatefulSet", "kept-0"), Some(&on("net2")), false), ReleaseMode::Cool);
    // Only a change of ordinals is a reason to look.
    owners.event(&source, Event::Applied(set("db", 2, Some(keep))));
    assert_eq!(owners.take_due(), None);
    owners.event(&source, Event::Applied(set("db", 1, None)));
    assert_eq!(owners.take_due(), Some(Look::All));
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
    let mut owners = Owners::new(&Settings::default());
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

/// A pod of `StatefulSet` `db`, or of the virtual machine `vm`.
fn pod(uid: &str, controller: &str, phase: &str) -> Event<Pod> {
    let (version, kind, name, pod) = match controller {
        "db" => ("apps/v1", "StatefulSet", "db", "db-0"),
        _ => ("kubevirt.io/v1", "VirtualMachineInstance", "vm", uid),
    };
    let pod = json!({
        "metadata": {"namespace": "shop", "name": pod, "uid": uid, "ownerReferences":
            [{"apiVersion": version, "kind": kind, "name": name, "uid": "u", "controller": true}]},
        "spec": {"nodeName": "n1"},
        "status": {"phase": phase},
    });
    Event::Applied(serde_json::from_value(pod).unwrap())
}

fn deleted(pod: Event<Pod>) -> Event<Pod> {
    let Event::Applied(pod) = pod else { unreachable!("made above") };
    Event::Deleted(pod)
}

#[test]
fn r6_what_the_next_pod_runs_without_is_freed() {
    let (mut owners, source) = owners();
    owners.event(&source, listed(vec![set("db", 1, None)]));
    let ordinal = owner("StatefulSet", "db-0");
    owners.take_due();
    owners.pods(&pod("1", "db", "Running"));
    owners.take_due();
    owners.pods(&deleted(pod("1", "db", "Running")));
    assert_eq!(owners.mode(&ordinal, None, false), ReleaseMode::Keep, "the next one may ask for it");
    owners.pods(&pod("2", "db", "Pending"));
    assert_eq!(owners.mode(&ordinal, None, false), ReleaseMode::Keep, "it may be about to ask for it");
    assert_eq!(owners.take_due(), None);
    owners.pods(&pod("2", "db", "Running"));
    assert_eq!(owners.mode(&ordinal, None, true), ReleaseMode::Cool);
    let unnamed = Owner { uid: String::new(), ..ordinal.clone() };
    assert_eq!((owners.take_due(), owners.take_due()), (Some(Look::Of(vec![unnamed])), None));
    assert_eq!(owners.mode(&owner("StatefulSet", "db-1"), None, false), ReleaseMode::Cool, "scaled down");
    owners.pods(&pod("2", "db", "Failed"));
    assert_eq!(owners.mode(&ordinal, None, false), ReleaseMode::Keep, "there will be another");
    assert_eq!(owners.take_due(), None);
}

#[test]
fn r6_a_machine_that_migrates_lets_nothing_go_before_both_of_its_pods_run() {
    let mut owners = Owners::new(&Settings::default());
    let machine = owner("VirtualMachine", "vm");
    owners.pods(&pod("source", "vm", "Running"));
    assert_eq!(owners.mode(&machine, None, false), ReleaseMode::Cool);
    assert!(owners.take_due().is_some());
    owners.pods(&pod("target", "vm", "Pending"));
    assert_eq!(owners.mode(&machine, None, false), ReleaseMode::Keep);
    assert_eq!(owners.take_due(), None);
    // Given up, or done: what was withheld meanwhile is looked at.
    owners.pods(&deleted(pod("target", "vm", "Pending")));
    assert!(owners.take_due().is_some());
    let gone = Event::Listed { objects: Vec::new(), version: "1".parse().unwrap() };
    owners.pods(&gone);
    assert_eq!(owners.mode(&machine, None, false), ReleaseMode::Keep);
}
