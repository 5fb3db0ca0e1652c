use allotment_api::v1alpha1::{NodeAttachmentsSpec, NodeAttachmentsStatus};
use allotment_cluster::Node;
use allotment_core::{Choice, Dns, GrantEntry, GrantedIp, Pick, Rule};
use allotment_proof::{Address, Admission};
use serde_json::json;

use super::*;
use crate::request::Settings;

const ADDRESS: &str = "10.40.0.7";

/// A leader that knows node `n1`, whose agent has published as of 10, and pod `p`, which has an address there.
struct Scene {
    releases: Releases,
    owners: Owners,
    now: Instant,
    /// Of the node's object.
    version: u64,
}

fn pod(uid: &str, version: u64, phase: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": uid, "namespace": "shop", "uid": uid, "resourceVersion": version.to_string()},
        "spec": {"nodeName": "n1"},
        "status": {"phase": phase},
    }))
    .unwrap()
}

fn node(uid: &str) -> Node {
    serde_json::from_value(json!({"metadata": {"name": "n1", "uid": uid}})).unwrap()
}

fn listed(objects: Vec<Node>) -> Event<Node> {
    Event::Listed { objects, version: "10".parse().unwrap() }
}

fn held() -> Held {
    let address = Address { vrf: "default".to_owned(), address: ADDRESS.parse().unwrap() };
    Held { holder: "p".to_owned(), node: "n1".to_owned(), address }
}

impl Scene {
    fn new() -> Scene {
        let owners = Owners::new(&Settings::default());
        let mut scene =
            Scene { releases: Releases::new(Settings::default()), owners, now: Instant::now(), version: 10 };
        scene.input(&Input::Node(listed(vec![node("u1")])));
        let pods = vec![pod("p", 9, "Running")];
        scene.input(&Input::Pod(Event::Listed { objects: pods, version: "10".parse().unwrap() }));
        scene.report("u1", 10, NodeAttachmentsSpec { node_uid: "u1".to_owned(), ..Default::default() });
        scene.releases.begin();
        let actions = scene.next();
        assert!(matches!(actions[..], [Action::Survey]), "{actions:?}");
        let survey = Survey { held: vec![held()], version: Version(10) };
        scene.outcome(Outcome::Surveyed(Some(survey)));
        assert!(scene.next().is_empty());
        scene
    }

    fn input(&mut self, input: &Input) {
        self.releases.input(input);
    }

    /// Looks at the epoch aside, which fail.
    fn next(&mut self) -> Vec<Action> {
        let mut actions = self.releases.next(&self.owners, self.now);
        if actions.iter().any(|action| matches!(action, Action::LookAtEpoch)) {
            actions.retain(|action| !matches!(action, Action::LookAtEpoch));
            self.outcome(Outcome::EpochUnread);
        }
        actions
    }

    fn outcome(&mut self, outcome: Outcome) -> bool {
        self.releases.outcome(outcome, self.now)
    }

    fn report(&mut self, uid: &str, as_of: u64, spec: NodeAttachmentsSpec) {
        self.version += 10;
        let mut object = NodeAttachments::new("n1", spec);
        object.metadata.uid = Some("object".to_owned());
        object.metadata.resource_version = Some(self.version.to_string());
        object.status = Some(NodeAttachmentsStatus {
            node_uid: uid.to_owned(),
            as_of: as_of.to_string(),
            ..NodeAttachmentsStatus::default()
        });
        self.input(&Input::Attachments(Event::Applied(object)));
    }

    fn admitted(&mut self, as_of: u64) {
        self.report("u1", as_of, NodeAttachmentsSpec { node_uid: "u1".to_owned(), ..Default::default() });
    }

    fn end_pod(&mut self) {
        self.input(&Input::Pod(Event::Deleted(pod("p", 12, "Running"))));
    }

    /// What is looked up now.
    #[track_caller]
    fn looked_up(&mut self) -> Freed {
        match &self.next()[..] {
            [Action::LookUp(freed)] => freed[0].clone(),
            other => panic!("{other:?}"),
        }
    }

    fn found(&mut self, freed: Freed) {
        let owner = Owner { kind: "Pod".to_owned(), uid: "p".to_owned(), ..Owner::default() };
        let found =
            Found { owner, attachment: Attachment::default(), since: Timestamp(5), outlives_owner: false };
        self.outcome(Outcome::LookedUp(vec![(freed, Some(found))]));
    }

    /// Some seconds go by.
    fn round(&mut self) -> Vec<Action> {
        self.now += ROUND;
        self.next()
    }

    #[track_caller]
    fn written(&mut self) -> Spec {
        match &self.next()[..] {
            [Action::Write { node, spec }] => {
                assert_eq!(node, "n1");
                *spec.clone()
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_proved_is_looked_up_and_this_life_of_it_released() {
    let mut scene = Scene::new();
    scene.end_pod();
    assert!(scene.next().is_empty());
    scene.admitted(12);
    let freed = scene.looked_up();
    scene.found(freed.clone());
    let order = Order { freed: freed.clone(), mode: ReleaseMode::Cool, since: Timestamp(5) };
    match &scene.next()[..] {
        [Action::Release(orders)] => assert_eq!(orders[..], [order]),
        other => panic!("{other:?}"),
    }
    assert!(scene.outcome(Outcome::Released(vec![(freed, true)])));
    assert!(scene.round().is_empty());
}

#[test]
fn what_failed_is_judged_anew_in_the_next_round() {
    let mut scene = Scene::new();
    scene.end_pod();
    scene.admitted(12);
    let freed = scene.looked_up();
    assert!(!scene.outcome(Outcome::Released(vec![(freed.clone(), false)])));
    assert!(scene.next().is_empty());
    match &scene.round()[..] {
        [Action::LookUp(again)] => assert_eq!(again[0], freed),
        other => panic!("{other:?}"),
    }
    // It is not in the ledger: nothing is left to be done.
    scene.outcome(Outcome::LookedUp(vec![(freed, None)]));
    assert!(scene.round().is_empty());
}

#[test]
fn a_new_term_takes_up_what_the_last_one_left() {
    let mut scene = Scene::new();
    scene.end_pod();
    scene.admitted(12);
    let freed = scene.looked_up();
    scene.releases.begin();
    match &scene.next()[..] {
        [Action::Survey, Action::LookUp(again)] => assert_eq!(again[..], [freed]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_another_leader_wrote_is_looked_through_soon() {
    let mut scene = Scene::new();
    scene.releases.others_wrote(scene.now);
    assert!(scene.next().is_empty(), "writes of a burst share one walk");
    scene.now += ROUND;
    assert!(matches!(scene.next()[..], [Action::Survey]));
    // What is written while the walk goes on, it may have passed.
    scene.releases.others_wrote(scene.now);
    let survey = Survey { held: vec![held()], version: Version(10) };
    scene.outcome(Outcome::Surveyed(Some(survey)));
    assert!(scene.next().is_empty());
    scene.now += ROUND;
    assert!(matches!(scene.next()[..], [Action::Survey]));
}

#[test]
fn a_walk_that_failed_is_made_again_and_releases_wait_for_it() {
    let mut releases = Releases::new(Settings::default());
    let (owners, now) = (Owners::new(&Settings::default()), Instant::now());
    assert!(releases.next(&owners, now).is_empty(), "a standby does nothing");
    releases.begin();
    assert!(matches!(releases.next(&owners, now)[..], [Action::Survey, Action::LookAtEpoch]));
    releases.outcome(Outcome::Surveyed(None), now);
    assert!(releases.next(&owners, now).is_empty());
    assert!(matches!(releases.next(&owners, now + ROUND)[..], [Action::Survey]));
}

/// One address, for a pod on `n1`.
fn given(holder: &str) -> Grant {
    let ip = GrantedIp {
        address: "10.40.0.8".parse().unwrap(),
        prefix: 24,
        gateway: None,
        vrf: "default".to_owned(),
        subnet: "rack-a".to_owned(),
        pool: None,
        rule: Rule { choice: Choice::Network, pick: Pick::Fresh },
    };
    let attachment = Attachment { holder: holder.to_owned(), node: "n1".to_owned(), ..Attachment::default() };
    let entry = GrantEntry {
        attachment,
        ips: vec![ip],
        mac: None,
        routes: Vec::new(),
        dns: Dns::default(),
        mtu: None,
    };
    Grant { entries: vec![entry] }
}

/// A node asks for a pod that the watch of pods has not come to yet, such as after a connection hung.
#[test]
fn r3_a_pod_newer_than_the_watch_has_not_ended() {
    let mut scene = Scene::new();
    scene.releases.granted(&given("new"), Version(15));
    scene.admitted(15);
    assert!(scene.round().is_empty(), "it may be there: the watch is at 10");
    scene.input(&Input::Pod(Event::Applied(pod("new", 15, "Running"))));
    assert!(scene.round().is_empty(), "it is there");
    scene.input(&Input::Pod(Event::Deleted(pod("new", 16, "Running"))));
    scene.admitted(16);
    assert_eq!(scene.looked_up().holder, "new");
}

#[test]
fn r3_a_quiet_agent_is_asked_to_publish() {
    let mut scene = Scene::new();
    scene.end_pod();
    assert!(scene.round().is_empty());
    scene.now += ROUND;
    let spec = scene.written();
    assert_eq!((spec.reach, spec.replaces), (Version(12), Version(20)));
    // The write failed: it is tried in the next round, and not before.
    scene.outcome(Outcome::Written { node: "n1".to_owned(), spec: Box::new(spec), version: None });
    assert!(scene.next().is_empty());
    scene.now += ROUND;
    let spec = scene.written();
    scene.outcome(Outcome::Written {
        node: "n1".to_owned(),
        spec: Box::new(spec),
        version: Some(Version(21)),
    });
    assert!(scene.round().is_empty());
}

#[test]
fn r4_another_machine_is_admitted_and_what_the_first_had_stays_until_it_is_forgotten() {
    let mut scene = Scene::new();
    scene.end_pod();
    scene.input(&Input::Node(Event::Applied(node("u2"))));
    scene.report("u2", 30, NodeAttachmentsSpec { node_uid: "u1".to_owned(), ..Default::default() });
    let spec = scene.written();
    let former = [(held().address, "u1".to_owned())].into();
    assert_eq!(spec.admission, Admission { node_uid: "u2".to_owned(), former, ..Admission::default() });
    let object = spec.clone().into_object();
    scene.outcome(Outcome::Written {
        node: "n1".to_owned(),
        spec: Box::new(spec),
        version: Some(Version(31)),
    });
    assert!(scene.round().is_empty());
    // A person's word. First it goes from the spec, then it is released.
    let forgotten = vec!["u1".to_owned()];
    scene.report("u2", 30, NodeAttachmentsSpec { forgotten, ..object });
    let spec = scene.written();
    assert!(spec.admission.former.is_empty());
    scene.outcome(Outcome::Written {
        node: "n1".to_owned(),
        spec: Box::new(spec),
        version: Some(Version(50)),
    });
    assert_eq!(scene.looked_up().holder, "p");
}

#[test]
fn r4_no_node_counts_as_gone_before_nodes_and_ledger_are_known() {
    let mut scene = Scene::new();
    scene.releases = Releases::new(Settings::default());
    scene.admitted(10);
    scene.releases.begin();
    let actions = scene.next();
    assert!(matches!(actions[..], [Action::Survey]), "the ledger is not known: {actions:?}");
    scene.outcome(Outcome::Surveyed(Some(Survey { held: Vec::new(), version: Version(10) })));
    assert!(scene.round().is_empty(), "no nodes were listed");
    scene.input(&Input::Node(listed(Vec::new())));
    assert!(matches!(scene.round()[..], [Action::Remove { .. }]));
    // Another term begins with another look at the ledger, which may have something of it by now.
    scene.releases.begin();
    let actions = scene.next();
    assert!(matches!(actions[..], [Action::Survey]), "{actions:?}");
}

#[test]
fn what_a_node_that_is_gone_has_left_is_removed_once_the_ledger_has_nothing_of_it() {
    let mut scene = Scene::new();
    scene.input(&Input::Node(Event::Deleted(node("u1"))));
    assert!(scene.round().is_empty());
    scene.end_pod();
    assert!(scene.round().is_empty());
    let lost: Vec<_> = scene.releases.take_lost().unwrap().iter().map(|lost| lost.node.as_str()).collect();
    assert_eq!(lost, ["n1"]);
    assert_eq!(scene.releases.take_lost(), None);
    scene.admitted(12);
    let freed = scene.looked_up();
    scene.outcome(Outcome::Released(vec![(freed, true)]));
    match &scene.round()[..] {
        [Action::Remove { node, uid, version }] => {
            assert_eq!((node.as_str(), uid.as_str(), *version), ("n1", "object", Version(30)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_keeps_addresses_for_long_is_said_of_the_node() {
    let mut scene = Scene::new();
    scene.end_pod();
    scene.round();
    assert!(scene.releases.sayings.is_empty());
    for _ in 0..21 {
        scene.round();
    }
    let saying = scene.releases.sayings.first().expect("a minute has gone by");
    assert_eq!((saying.regarding.kind, saying.regarding.uid.as_str()), ("Node", "u1"));
    assert_eq!(
        saying.note,
        "addresses of ended pods that stay held: 1, such as 10.40.0.7 of pod p: the agent of node `n1` has published as of \
         version 10 of the pods, and that this one has ended was seen at 12: it has to publish once more; see that the agent runs there. If the machine is switched off for good: taint it \
         `node.kubernetes.io/out-of-service`, or `allot node forget n1`"
    );
}

mod recovery;

#[test]
fn l5_a_new_leader_does_not_wait_for_a_bookmark_where_nothing_happens() {
    let mut scene = Scene::new();
    scene.releases.begin();
    scene.next();
    // A holder without a pod, as of a version that the watch of pods has not come to: leases were written since.
    let gone = Held { holder: "gone".to_owned(), ..held() };
    scene.outcome(Outcome::Surveyed(Some(Survey { held: vec![held(), gone], version: Version(13) })));
    assert!(scene.next().is_empty());
    assert!(scene.round().is_empty(), "most often the watch comes there by itself");
    let actions = scene.round();
    assert!(matches!(actions[..], [Action::ListRunning(0)]), "{actions:?}");
    assert!(scene.round().is_empty(), "once at a time");
    // Of another epoch: it proves nothing.
    scene.outcome(Outcome::ListedRunning(7, Some((vec!["p".to_owned()], Version(99)))));
    let actions = scene.round();
    assert!(matches!(actions[..], [Action::ListRunning(0)]), "{actions:?}");
    scene.outcome(Outcome::ListedRunning(0, Some((vec!["p".to_owned()], Version(14)))));
    scene.admitted(14);
    let freed = scene.looked_up();
    assert_eq!(freed.holder, "gone", "and `p` runs");
}
