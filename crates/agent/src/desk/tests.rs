use allotment_proof::Due;
use allotment_wire::cni::code;
use serde_json::{Value, from_value, json};

use super::*;
use crate::pods::Named;

const NODE: &str = "node-uid";

/// A desk on an empty journal whose node is known.
fn desk(folder: &std::path::Path) -> Desk {
    let mut desk = reopened(folder);
    desk.identified(NODE);
    desk.rebuilt(Vec::new());
    desk
}

fn reopened(folder: &std::path::Path) -> Desk {
    let found = Journal::open(folder).unwrap_or_else(|error| panic!("{error}"));
    Desk::new("n", "boot", found, 7)
}

fn pod(uid: &str, version: u64, annotations: &Value) -> Pod {
    let metadata = json!({"uid": uid, "namespace": "shop", "name": uid, "resourceVersion": version.to_string(),
        "annotations": annotations});
    from_value(json!({"metadata": metadata})).unwrap()
}

fn granted(uid: &str, version: u64) -> Pod {
    let ips = json!([{"address": "10.0.0.1", "prefix": 24, "vrf": "default", "subnet": "a"}]);
    let entry = json!({"interface": "net1", "config": "lan", "network": "shop/lan", "ips": ips});
    let grant = json!({"pod": uid, "nodeUID": NODE, "attachments": [entry]}).to_string();
    pod(uid, version, &json!({"allotment.dev/grant": grant, "k8s.v1.cni.cncf.io/networks": "lan"}))
}

fn listed(version: u64, objects: Vec<Pod>) -> Event<Pod> {
    Event::Listed { objects, version: version.to_string().parse().unwrap() }
}

fn adding(desk: &mut Desk, uid: &str) -> Adding {
    let pod = Named { uid: uid.to_owned(), namespace: "shop".to_owned(), name: uid.to_owned() };
    let mut adding = Adding::new("c1", "net1", "lan", pod);
    desk.arrived(&mut adding);
    adding
}

/// `10.0.0.1`, `wait: …` or `100: …`.
fn said(step: &Step) -> String {
    match step {
        Step::Answer(entry, _) => entry.ips[0].address.to_string(),
        Step::Refuse(error) => format!("{}: {}", error.code, error.msg),
        Step::Wait(why) => format!("wait: {why}"),
    }
}

#[test]
fn what_an_add_waits_for_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(folder.path());
    let mut adding = adding(&mut desk, "u");
    let mut step = |desk: &mut Desk| said(&desk.step(&mut adding));
    assert!(step(&mut desk).ends_with("no pod has been seen yet: the API server has not answered"));
    desk.pod_event(listed(5, Vec::new()));
    assert!(
        step(&mut desk)
            .ends_with("is not among the pods of node `n`; the watch of the node's pods is at version 5")
    );
    desk.pod_event(Event::Applied(pod("u", 6, &json!({"k8s.v1.cni.cncf.io/networks": "lan"}))));
    assert!(step(&mut desk).ends_with("has no grant yet: the controller has not decided"));
    desk.pod_event(Event::Applied(granted("u", 7)));
    assert_eq!(step(&mut desk), "10.0.0.1");
}

#[test]
fn nobody_waits_for_an_agent_that_stops() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(folder.path());
    let mut adding = adding(&mut desk, "u");
    desk.drain();
    let text = said(&desk.step(&mut adding));
    assert!(text.starts_with("11: the agent is about to stop, and pod shop/u "), "{text}");
    desk.pod_event(listed(9, vec![granted("u", 7)]));
    assert_eq!(said(&desk.step(&mut adding)), "10.0.0.1", "what is there is answered");
}

#[test]
fn events_that_a_list_has_told_already_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(folder.path());
    desk.pod_event(listed(9, vec![granted("u", 7)]));
    desk.pod_event(Event::Deleted(granted("u", 8)));
    desk.pod_event(Event::Applied(pod("u", 6, &json!({}))));
    let mut adding = adding(&mut desk, "u");
    assert_eq!(said(&desk.step(&mut adding)), "10.0.0.1");
}

#[test]
fn pods_on_the_nodes_own_network_are_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(folder.path());
    let mut host = granted("u", 7);
    host.spec.host_network = true;
    desk.pod_event(listed(9, vec![host.clone()]));
    host.metadata.resource_version = Some("10".to_owned());
    desk.pod_event(Event::Applied(host));
    assert_eq!(desk.counts().pods, 0);
}

#[test]
fn a_grant_of_another_machine_raises_a_doubt_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(folder.path());
    desk.identified("another");
    desk.pod_event(listed(9, vec![granted("u", 7)]));
    let mut desk_of_now = desk;
    let mut adding = adding(&mut desk_of_now, "u");
    // It was this machine's UID before: the grant is still good.
    assert_eq!(said(&desk_of_now.step(&mut adding)), "10.0.0.1");

    let folder = tempfile::tempdir().unwrap();
    let mut desk = reopened(folder.path());
    desk.identified("another");
    desk.rebuilt(Vec::new());
    desk.pod_event(listed(9, vec![granted("u", 7)]));
    let mut adding = super::tests::adding(&mut desk, "u");
    desk.take_news();
    let text = said(&desk.step(&mut adding));
    assert!(text.contains("has a grant for the node with UID `node-uid`"), "{text}");
    assert!(desk.wants_identity() && desk.take_news());
    desk.identified("another");
    desk.step(&mut adding);
    assert!(!desk.wants_identity(), "it was looked into");
}

#[test]
fn a_finished_pod_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(folder.path());
    let mut done = granted("u", 7);
    done.status.phase = "Succeeded".to_owned();
    desk.pod_event(listed(9, vec![done]));
    let mut adding = adding(&mut desk, "u");
    let Step::Refuse(error) = desk.step(&mut adding) else { panic!("it was not refused") };
    assert_eq!(error.code, code::NOT_ALLOWED);
}

#[test]
fn nothing_is_due_before_node_object_and_pods_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = reopened(folder.path());
    let due = |desk: &Desk| desk.due() != Due::Nothing;
    assert!(!due(&desk));
    desk.identified(NODE);
    desk.pod_event(listed(9, Vec::new()));
    assert!(!due(&desk), "the object was not looked for");
    desk.object_event(Event::Listed { objects: Vec::new(), version: "9".parse().unwrap() });
    assert!(!due(&desk), "what lives was not looked for");
    desk.rebuilt(Vec::new());
    assert!(due(&desk));
    let publication = desk.publication().unwrap();
    assert_eq!((publication.replaces, publication.status.as_of.as_str()), (None, "9"));
}

#[tokio::test]
async fn what_was_given_outlives_the_process_until_its_del() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(folder.path());
    desk.pod_event(listed(9, vec![granted("u", 7)]));
    let mut waiting = adding(&mut desk, "u");
    let Step::Answer(_, durable) = desk.step(&mut waiting) else { panic!("no answer") };
    durable.wait().await.unwrap();
    drop(desk);
    // Without the API server, the same again is the same again.
    let mut desk = reopened(folder.path());
    let mut waiting = adding(&mut desk, "u");
    assert_eq!(said(&desk.step(&mut waiting)), "10.0.0.1");
    assert_eq!(desk.on_network("lan"), [("c1".to_owned(), "net1".to_owned())]);
    desk.delete("c1", "net1").unwrap().wait().await.unwrap();
    assert!(desk.delete("c1", "net1").is_none(), "the second one is nothing new");
    drop(desk);
    let desk = reopened(folder.path());
    assert!(desk.given("c1", "net1").is_none());
    assert_eq!(desk.counts().ending, 1, "whether it has ended is not known");
}

#[tokio::test]
async fn a_rewritten_journal_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(folder.path());
    desk.pod_event(listed(9, vec![granted("u", 7)]));
    let mut waiting = adding(&mut desk, "u");
    assert_eq!(said(&desk.step(&mut waiting)), "10.0.0.1");
    let mut longest = 0;
    // Sandbox after sandbox comes and goes; only the first one stays.
    for number in 0..3000 {
        let mut other = Adding::new(&format!("d{number}"), "net1", "lan", waiting.pod.clone());
        desk.arrived(&mut other);
        assert_eq!(said(&desk.step(&mut other)), "10.0.0.1");
        desk.delete(&other.sandbox, "net1");
        for check in desk.checks() {
            desk.absent(&check);
        }
        if number % 100 == 0 {
            desk.write(Vec::new(), None).wait().await.unwrap();
            longest = longest.max(desk.journal().length());
        }
    }
    desk.write(Vec::new(), None).wait().await.unwrap();
    assert!(longest < 512 << 10, "{longest}");
    drop(desk);
    let mut desk = reopened(folder.path());
    let mut waiting = adding(&mut desk, "u");
    assert_eq!(said(&desk.step(&mut waiting)), "10.0.0.1");
    assert_eq!(desk.counts().ending, 1, "its pod has not been seen");
}

#[tokio::test]
async fn k3_what_a_running_pod_is_granted_no_more_is_listed_until_it_is_unplugged() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(folder.path());
    desk.object_missing();
    desk.pod_event(listed(5, vec![granted("u", 4)]));
    let mut adding = adding(&mut desk, "u");
    assert_eq!(said(&desk.step(&mut adding)), "10.0.0.1");
    let still = |desk: &mut Desk| -> Vec<String> {
        let status = desk.publication().unwrap().status;
        assert!(status.unplugs);
        status.still.iter().map(|still| still.address.to_string()).collect()
    };
    assert!(still(&mut desk).is_empty());
    let left = json!({"pod": "u", "nodeUID": NODE, "attachments": []}).to_string();
    desk.pod_event(Event::Applied(pod("u", 6, &json!({"allotment.dev/grant": left}))));
    assert_eq!(still(&mut desk), ["10.0.0.1"]);
    desk.delete("c1", "net1");
    assert_eq!(still(&mut desk), ["10.0.0.1"], "the link may still be there");
    let checks = desk.checks();
    desk.absent(&checks[0]);
    assert!(still(&mut desk).is_empty());
}
