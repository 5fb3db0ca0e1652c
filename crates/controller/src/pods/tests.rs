mod unplug;

use std::collections::BTreeMap;

use allotment_api::annotation::{GRANT, REFUSAL, SUBNETS};
use allotment_api::v1alpha1::{NodeAttachments, NodeAttachmentsSpec, NodeAttachmentsStatus};
use allotment_core::{Code, GrantEntry, GrantedIp};
use serde_json::json;

use super::*;
use crate::request::Settings;

/// Pods in namespace `shop`, on the nodes `n1`, which serves, and `n2`, whose agent has not published.
struct Scene {
    pods: Pods,
    around: Surroundings,
    now: Instant,
}

fn listed<K>(objects: Vec<K>) -> Event<K> {
    Event::Listed { objects, version: "1".parse().unwrap() }
}

fn published(node: &str) -> NodeAttachments {
    let spec = NodeAttachmentsSpec { node_uid: format!("{node}-uid"), ..Default::default() };
    let mut object = NodeAttachments::new(node, spec);
    object.status = Some(NodeAttachmentsStatus { node_uid: format!("{node}-uid"), ..Default::default() });
    object
}

/// A pod of this name, whose UID is `NAME-uid`, that wants an address of subnet `a`.
fn pod(name: &str, version: u64, annotations: &[(&str, &str)]) -> Pod {
    let mut all: BTreeMap<&str, &str> = annotations.iter().copied().collect();
    all.insert(SUBNETS, "a");
    let pod = json!({
        "metadata": {
            "namespace": "shop", "name": name, "uid": format!("{name}-uid"), "resourceVersion": version.to_string(),
            "annotations": all, "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"nodeName": "n1"},
    });
    serde_json::from_value(pod).unwrap()
}

fn on(node: &str, mut pod: Pod) -> Pod {
    node.clone_into(&mut pod.spec.node_name);
    pod
}

fn given(address: &str) -> Grant {
    let ip = GrantedIp {
        address: address.parse().unwrap(),
        prefix: 24,
        gateway: None,
        vrf: "default".to_owned(),
        subnet: "a".to_owned(),
        pool: None,
        rule: allotment_core::Rule {
            choice: allotment_core::Choice::Request,
            pick: allotment_core::Pick::Fresh,
        },
    };
    let entry = GrantEntry {
        attachment: allotment_core::Attachment::default(),
        ips: vec![ip],
        mac: None,
        routes: Vec::new(),
        dns: allotment_core::Dns::default(),
        mtu: None,
    };
    Grant { entries: vec![entry] }
}

fn refused(code: Code) -> Result<Grant, EngineError> {
    Err(EngineError::Refused(Refusal::new(code, "no", "wait")))
}

fn words(actions: Vec<Action>) -> Vec<String> {
    let word = |action: Action| match action {
        Action::Ask { uid, .. } => format!("ask {uid}"),
        Action::Show { uid, grant: Some(_), .. } => format!("grant {uid}"),
        Action::Show { uid, grant: None, .. } => format!("refuse {uid}"),
        Action::TakeOut { uid, .. } => format!("take out {uid}"),
        Action::GiveBack { uid, unseen } => format!("give back {uid} {unseen:?}"),
    };
    actions.into_iter().map(word).collect()
}

impl Scene {
    fn new() -> Scene {
        let mut around = Surroundings::new(Settings::default());
        around
            .namespace(listed(vec![serde_json::from_value(json!({"metadata": {"name": "shop"}})).unwrap()]));
        around.network(listed(Vec::new()));
        let node = |name: &str| json!({"metadata": {"name": name, "uid": format!("{name}-uid")}});
        let nodes = ["n1", "n2"].map(|name| serde_json::from_value(node(name)).unwrap());
        around.node(listed(nodes.into()));
        around.attachments(&listed(vec![published("n1")]));
        Scene { pods: Pods::default(), around, now: Instant::now() }
    }

    fn applied(&mut self, pod: Pod) {
        self.pods.event(Event::Applied(pod), &self.around);
    }

    fn next(&mut self) -> Vec<String> {
        words(self.pods.next(&self.around, self.now))
    }

    fn answered(&mut self, uid: &str, answer: Result<Grant, EngineError>) -> Vec<String> {
        words(self.pods.answered(&uid.into(), answer, self.now))
    }

    fn patched(&mut self, uid: &str, patched: Patched) -> Vec<String> {
        words(self.pods.patched(&uid.into(), patched, &self.around, self.now))
    }
}

#[test]
fn a_pod_is_asked_for_shown_and_settled() {
    let mut scene = Scene::new();
    scene.applied(pod("web", 1, &[]));
    assert_eq!(scene.next(), ["ask web-uid"]);
    assert!(scene.next().is_empty());
    assert_eq!(scene.answered("web-uid", Ok(given("10.0.0.2"))), ["grant web-uid"]);
    assert!(scene.patched("web-uid", Patched::Done).is_empty());
    assert_eq!((scene.pods.open(), scene.pods.known()), (0, 1));
}

#[test]
fn a_pod_that_shows_its_grant_costs_nothing_after_a_restart() {
    let mut scene = Scene::new();
    let grant = json!({"pod": "web-uid", "attachments": [{"interface": "eth0", "ips": []}]}).to_string();
    scene.pods.event(listed(vec![pod("web", 1, &[(GRANT, &grant)])]), &scene.around);
    assert_eq!((scene.pods.open(), scene.next().len()), (0, 0));
    // Another pod's is none.
    scene.applied(pod("copy", 2, &[(GRANT, &grant)]));
    assert_eq!(scene.next(), ["ask copy-uid"]);
}

#[test]
fn who_has_ended_or_needs_nothing_is_left_alone() {
    let mut scene = Scene::new();
    let mut finished = pod("done", 1, &[]);
    "Succeeded".clone_into(&mut finished.status.phase);
    let mut deleting = pod("leaving", 1, &[]);
    deleting.metadata.deletion_timestamp = deleting.metadata.creation_timestamp.clone();
    let mut host = pod("host", 1, &[]);
    host.spec.host_network = true;
    let mut plain = pod("plain", 1, &[]);
    plain.metadata.annotations = None;
    for pod in [finished, deleting, host, plain, on("", pod("pending", 1, &[]))] {
        scene.applied(pod);
    }
    assert!(scene.next().is_empty());
    assert_eq!((scene.pods.open(), scene.pods.known()), (0, 3));
}

#[test]
fn r3_a_pod_waits_for_its_nodes_agent() {
    let mut scene = Scene::new();
    scene.applied(on("n2", pod("web", 1, &[])));
    assert!(scene.next().is_empty() && scene.pods.sayings.is_empty());
    // It is said once, and not at once.
    scene.now = scene.pods.due(scene.now).unwrap();
    assert!(scene.next().is_empty());
    assert_eq!(scene.pods.sayings.len(), 1);
    assert_eq!(scene.pods.due(scene.now), None);
    let affected = scene.around.attachments(&Event::Applied(published("n2")));
    scene.pods.affected(&affected);
    assert_eq!(scene.next(), ["ask web-uid"]);
}

#[test]
fn c7_a_refusal_is_written_when_its_code_changes() {
    let mut scene = Scene::new();
    scene.applied(pod("web", 1, &[]));
    scene.next();
    assert_eq!(scene.answered("web-uid", refused(Code::Full)), ["refuse web-uid"]);
    scene.patched("web-uid", Patched::Done);
    for (code, expect) in [(Code::Full, &[][..]), (Code::Taken, &["refuse web-uid"])] {
        scene.now += Duration::from_secs(1);
        scene.pods.waiting.wake();
        assert_eq!(scene.next(), ["ask web-uid"], "{code:?}");
        assert_eq!(scene.answered("web-uid", refused(code)), expect);
        scene.patched("web-uid", Patched::Done);
    }
    assert_eq!(scene.pods.sayings.len(), 2);
    // Nor after a restart, when the pod shows it.
    let mut scene = Scene::new();
    let refusal = json!({"pod": "web-uid", "code": "full", "text": "no"}).to_string();
    scene.applied(pod("web", 1, &[(REFUSAL, &refusal)]));
    scene.next();
    assert!(scene.answered("web-uid", refused(Code::Full)).is_empty());
    assert_eq!(scene.pods.waiting.len(), 1);
}

#[test]
fn a_waiter_that_cannot_be_helped_keeps_nobody_else_waiting() {
    let mut scene = Scene::new();
    scene.around.attachments(&Event::Applied(published("n2")));
    scene.applied(on("n2", pod("far", 1, &[])));
    scene.applied(pod("failing", 1, &[]));
    scene.applied(pod("near", 1, &[]));
    assert_eq!(scene.next(), ["ask failing-uid", "ask far-uid", "ask near-uid"]);
    for uid in ["failing-uid", "far-uid", "near-uid"] {
        scene.answered(uid, refused(Code::Full));
        scene.patched(uid, Patched::Done);
    }
    // One is granted something that its pod does not take, the other's node has lost its agent.
    scene.around.attachments(&Event::Deleted(published("n2")));
    scene.now += Duration::from_secs(1);
    scene.pods.waiting.wake();
    assert_eq!(scene.next(), ["ask failing-uid", "ask near-uid"]);
    assert_eq!(scene.answered("failing-uid", Ok(given("10.0.0.2"))), ["grant failing-uid"]);
    scene.answered("near-uid", refused(Code::Full));
    scene.now += Duration::from_secs(1);
    scene.pods.waiting.wake();
    assert_eq!(scene.next(), ["ask near-uid"], "while the other's patch is under way");
    scene.answered("near-uid", refused(Code::Full));
    scene.patched("failing-uid", Patched::Failed("denied".to_owned()));
    scene.now += RETRY / 2;
    scene.pods.waiting.wake();
    assert_eq!(scene.next(), ["ask near-uid"], "after the other's patch has failed");
    // They come back by themselves.
    scene.now += RETRY;
    assert_eq!(scene.next(), ["ask failing-uid"]);
    let affected = scene.around.attachments(&Event::Applied(published("n2")));
    scene.pods.affected(&affected);
    assert_eq!(scene.next(), ["ask far-uid"]);
}

#[test]
fn l4_whoever_loses_gives_back_what_nobody_has_seen() {
    let mut scene = Scene::new();
    scene.applied(pod("web", 1, &[]));
    scene.next();
    scene.answered("web-uid", Ok(given("10.0.0.2")));
    let theirs = json!({"pod": "web-uid", "attachments": [{"interface": "eth0", "ips": [
        {"address": "10.0.0.9", "prefix": 24, "vrf": "default", "subnet": "a"}]}]});
    let now = Patched::Changed(Box::new(pod("web", 2, &[(GRANT, &theirs.to_string())])), String::new());
    assert_eq!(scene.patched("web-uid", now), [r#"give back web-uid [("default", 10.0.0.2)]"#]);
    assert!(scene.next().is_empty());
    assert_eq!(scene.pods.open(), 0);
}

#[test]
fn l4_whoever_reads_another_grant_while_asking_adds_nothing_to_it() {
    let mut scene = Scene::new();
    scene.applied(pod("web", 1, &[]));
    scene.next();
    let theirs = json!({"pod": "web-uid", "attachments": [{"interface": "eth0", "ips": [
        {"address": "10.0.0.9", "prefix": 24, "vrf": "default", "subnet": "a"}]}]});
    scene.applied(pod("web", 2, &[(GRANT, &theirs.to_string())]));
    let back = scene.answered("web-uid", Ok(given("10.0.0.2")));
    assert_eq!(back, [r#"give back web-uid [("default", 10.0.0.2)]"#]);
    assert!(scene.next().is_empty());
    assert_eq!(scene.pods.open(), 0);
}

#[test]
fn l4_what_both_gave_stays() {
    let mut scene = Scene::new();
    scene.applied(pod("web", 1, &[]));
    scene.next();
    scene.answered("web-uid", Ok(given("10.0.0.2")));
    let same = json!({"pod": "web-uid", "attachments": [{"interface": "eth0", "ips": [
        {"address": "10.0.0.2", "prefix": 24, "vrf": "default", "subnet": "a"}]}]});
    let now = Patched::Changed(Box::new(pod("web", 2, &[(GRANT, &same.to_string())])), String::new());
    assert!(scene.patched("web-uid", now).is_empty());
}

#[test]
fn a_pod_that_changed_meanwhile_is_patched_as_it_is_now() {
    let mut scene = Scene::new();
    scene.applied(pod("web", 1, &[]));
    scene.next();
    scene.answered("web-uid", Ok(given("10.0.0.2")));
    scene.patched("web-uid", Patched::Changed(Box::new(pod("web", 2, &[("a", "b")])), String::new()));
    assert_eq!(scene.next(), ["ask web-uid"]);
    // What the watch tells late changes nothing.
    scene.applied(pod("web", 1, &[]));
    assert_eq!(scene.answered("web-uid", Ok(given("10.0.0.2"))), ["grant web-uid"]);
}

#[test]
fn what_the_api_server_does_not_take_is_said_and_tried_again() {
    let mut scene = Scene::new();
    scene.applied(pod("web", 1, &[]));
    scene.next();
    scene.answered("web-uid", Ok(given("10.0.0.2")));
    let same = Patched::Changed(Box::new(pod("web", 1, &[])), "annotations: Too long".to_owned());
    assert!(scene.patched("web-uid", same).is_empty());
    let said: Vec<_> = scene.pods.sayings.iter().map(|saying| (saying.reason, &*saying.note)).collect();
    assert!(
        matches!(said[..], [(crate::events::NOT_SHOWN, note)] if note.starts_with("annotations: Too long; hint: "))
    );
    assert!(scene.next().is_empty());
    scene.now = scene.pods.due(scene.now).unwrap();
    assert_eq!(scene.next(), ["ask web-uid"]);
}

#[test]
fn failures_are_tried_again_ever_more_slowly() {
    let mut scene = Scene::new();
    scene.applied(pod("web", 1, &[]));
    let mut waits = Vec::new();
    for _ in 0..10 {
        assert_eq!(scene.next(), ["ask web-uid"]);
        scene.answered("web-uid", Err(EngineError::Ledger("full disk".to_owned())));
        let due = scene.pods.due(scene.now).unwrap();
        waits.push(due - scene.now);
        assert!(scene.next().is_empty());
        scene.now = due;
    }
    assert_eq!((waits[0], waits[1], waits[9]), (RETRY, 2 * RETRY, RETRY_LONGEST));
}

#[test]
fn a_pod_that_is_gone_is_forgotten_wherever_it_is() {
    let mut scene = Scene::new();
    for name in ["asked", "waiting", "shown"] {
        scene.applied(pod(name, 1, &[]));
    }
    assert_eq!(scene.next().len(), 3);
    scene.answered("waiting-uid", refused(Code::Full));
    scene.answered("shown-uid", Ok(given("10.0.0.2")));
    scene.pods.event(listed(Vec::new()), &scene.around);
    assert_eq!((scene.pods.open(), scene.pods.known(), scene.pods.waiting.len()), (0, 0, 0));
    // What comes late for them is for nobody.
    assert!(scene.answered("asked-uid", Ok(given("10.0.0.3"))).is_empty());
    assert!(scene.patched("shown-uid", Patched::Done).is_empty());
    assert_eq!(scene.pods.asking, 0);
}

#[test]
fn the_oldest_pods_are_asked_for_first_and_not_too_many_at_once() {
    let mut scene = Scene::new();
    for n in (0..ASKING + 5).rev() {
        let mut pod = pod(&format!("p{n:05}"), 1, &[]);
        pod.metadata.creation_timestamp = None;
        scene.applied(pod);
    }
    let asked = scene.next();
    assert_eq!((asked.len(), &*asked[0]), (ASKING, "ask p00000-uid"));
    assert!(scene.next().is_empty());
    scene.answered("p00000-uid", Ok(given("10.0.0.2")));
    assert_eq!(scene.next().len(), 1);
}

#[test]
fn k4_a_refusal_says_that_the_deployments_list_has_no_room_for_its_surge() {
    let mut scene = Scene::new();
    let deployment = json!({"metadata": {"namespace": "shop", "name": "cart"},
        "spec": {"replicas": 1, "strategy": {"rollingUpdate": {"maxSurge": "25%"}}}});
    let deployment: allotment_cluster::Deployment = serde_json::from_value(deployment).unwrap();
    let told = |scene: &mut Scene, name: &str| {
        let mut pod = pod(name, 1, &[(allotment_api::annotation::IPS, "10.0.0.5")]);
        pod.metadata.labels = Some([("pod-template-hash".to_owned(), "5d9f".to_owned())].into());
        let owner = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart-5d9f", "uid": "u", "controller": true}]);
        pod.metadata.owner_references = serde_json::from_value(owner).unwrap();
        scene.applied(pod);
        scene.next();
        scene.answered(&format!("{name}-uid"), refused(Code::Taken));
        scene.pods.sayings.pop().unwrap().note
    };
    assert!(!told(&mut scene, "early").contains("maxSurge"));
    scene.around.deployment(listed(vec![deployment.clone()]));
    assert!(told(&mut scene, "a").contains("set `maxSurge: 0`, or list 2 addresses; wait"));
    scene.around.deployment(Event::Deleted(deployment));
    assert!(!told(&mut scene, "late").contains("maxSurge"));
}
