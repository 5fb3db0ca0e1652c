use allotment_api::v1alpha1::{NodeAttachmentsSpec, NodeAttachmentsStatus};
use allotment_cluster::{Namespace, Node};
use serde_json::json;

use super::*;

struct Scene {
    asks: Asks,
    around: Surroundings,
    now: Instant,
}

fn listed<K>(objects: Vec<K>) -> Event<K> {
    Event::Listed { objects, version: "1".parse().unwrap() }
}

fn scene() -> Scene {
    let mut around = Surroundings::default();
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "shop"}})).unwrap();
    around.namespace(listed(vec![namespace]));
    around.network(listed(Vec::new()));
    let node: Node = serde_json::from_value(json!({"metadata": {"name": "n1", "uid": "nu"}})).unwrap();
    around.node(listed(vec![node]));
    Scene { asks: Asks::default(), around, now: Instant::now() }
}

fn ask(id: &str, uid: &str) -> Ask {
    Ask {
        id: id.to_owned(),
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        pod_uid: uid.to_owned(),
        interface: "eth0".to_owned(),
        network: "cbr0".to_owned(),
        subnets: vec!["a".to_owned()],
        ..Ask::default()
    }
}

fn object(asks: Vec<Ask>, answers: Vec<Answer>) -> Event<NodeAttachments> {
    let mut object = NodeAttachments::new("n1", NodeAttachmentsSpec { answers, ..Default::default() });
    object.metadata.uid = Some("ou".to_owned());
    object.status = Some(NodeAttachmentsStatus { asks, ..Default::default() });
    Event::Applied(object)
}

fn pod(node: &str) -> Box<Pod> {
    let metadata = json!({"namespace": "shop", "name": "web", "uid": "pu"});
    let pod = json!({"metadata": metadata, "spec": {"nodeName": node}});
    Box::new(serde_json::from_value(pod).unwrap())
}

impl Scene {
    fn next(&mut self) -> Vec<String> {
        let words = |action: Action| match action {
            Action::Judge { id, name, .. } => format!("judge {} {name}", id.ask),
            Action::Ask { id, request, .. } => format!("ask {} {}", id.ask, request.owner.uid),
            Action::Answer { node, answers, .. } => {
                let said = answers.iter().map(|answer| match &answer.refusal {
                    Some(refusal) => format!("{}: {}", answer.id, refusal.code),
                    None => format!("{}: granted", answer.id),
                });
                format!("answer {node} {:?}", said.collect::<Vec<_>>())
            }
        };
        self.asks.next(self.now).into_iter().map(words).collect()
    }

    fn judged(&mut self, id: &str, pod: Option<Box<Pod>>) -> usize {
        let id = Id { node: "n1".into(), ask: id.to_owned() };
        self.asks.judged(&id, Ok(pod), &self.around, self.now).len()
    }

    fn granted(&mut self, id: &str) {
        let id = Id { node: "n1".into(), ask: id.to_owned() };
        let entry = allotment_core::GrantEntry {
            attachment: allotment_core::Attachment::default(),
            ips: Vec::new(),
            mac: None,
            routes: Vec::new(),
            dns: allotment_core::Dns::default(),
            mtu: None,
        };
        self.asks.answered(&id, Ok(&Grant { entries: vec![entry] }), self.now);
    }
}

#[test]
fn k1_many_asks_are_one_write() {
    let mut scene = scene();
    scene.asks.event(&object(vec![ask("1", "pu"), ask("2", "pu")], Vec::new()));
    assert_eq!(scene.next(), ["judge 1 web", "judge 2 web"]);
    assert_eq!((scene.judged("1", Some(pod("n1"))), scene.judged("2", Some(pod("n1")))), (1, 1));
    scene.granted("1");
    assert!(scene.next().is_empty(), "the second answer is about to come");
    scene.granted("2");
    scene.now = scene.asks.due().unwrap();
    assert_eq!(scene.next(), [r#"answer n1 ["1: granted", "2: granted"]"#]);
    assert!(scene.next().is_empty(), "it is being written");
}

#[test]
fn k1_an_ask_counts_for_pods_of_its_node_only() {
    for (found, code) in [(Some(pod("n2")), "not-allowed"), (None, "unknown")] {
        let mut scene = scene();
        scene.asks.event(&object(vec![ask("1", "pu")], Vec::new()));
        assert_eq!(scene.next(), ["judge 1 web"]);
        assert_eq!(scene.judged("1", found), 0);
        assert_eq!(scene.next(), [format!("answer n1 [\"1: {code}\"]")]);
    }
    let mut scene = scene();
    scene.asks.event(&object(vec![ask("1", "an older pod's")], Vec::new()));
    scene.next();
    scene.judged("1", Some(pod("n1")));
    assert_eq!(scene.next(), [r#"answer n1 ["1: unknown"]"#]);
}

#[test]
fn k6_a_static_pod_is_known_by_the_hash_of_its_configuration() {
    let mut scene = scene();
    scene.asks.event(&object(vec![ask("1", "hash")], Vec::new()));
    scene.next();
    let id = Id { node: "n1".into(), ask: "1".to_owned() };
    let mut mirror = pod("n1");
    mirror.metadata.annotations = Some([(MIRROR.to_owned(), "hash".to_owned())].into());
    let actions = scene.asks.judged(&id, Ok(Some(mirror)), &scene.around, scene.now);
    let [Action::Ask { request, .. }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((&*request.owner.uid, &*request.wants[0].attachment.holder), ("hash", "hash"));
}

#[test]
fn k1_an_answer_goes_with_its_ask() {
    let mut scene = scene();
    let answer = Answer { id: "1".to_owned(), grant: None, refusal: None };
    scene.asks.event(&object(Vec::new(), vec![answer]));
    assert_eq!(scene.next(), ["answer n1 []"]);
}

#[test]
fn k1_a_new_leader_asks_nothing_that_was_answered() {
    let mut scene = scene();
    scene.asks.event(&object(vec![ask("1", "pu")], Vec::new()));
    scene.next();
    scene.judged("1", Some(pod("n1")));
    scene.granted("1");
    let answers = scene.asks.nodes["n1"].answers();
    let mut next = self::scene();
    next.asks.event(&object(vec![ask("1", "pu")], answers));
    next.asks.begin();
    assert!(next.next().is_empty());
}

#[test]
fn what_was_refused_is_asked_again_when_something_is_freed_and_not_before() {
    let mut scene = scene();
    scene.asks.event(&object(vec![ask("1", "pu")], Vec::new()));
    scene.next();
    scene.judged("1", Some(pod("n1")));
    let id = Id { node: "n1".into(), ask: "1".to_owned() };
    let refused = EngineError::Refused(Refusal::new(Code::Full, "full", "wait"));
    scene.asks.answered(&id, Err(&refused), scene.now);
    assert_eq!(scene.next(), [r#"answer n1 ["1: full"]"#]);
    let written = scene.asks.nodes["n1"].answers();
    scene.asks.written(&"n1".into(), Ok(written), scene.now);
    scene.now += Duration::from_hours(1);
    assert!(scene.next().is_empty());
    scene.asks.wake(scene.now);
    assert!(scene.next().is_empty(), "after a moment");
    scene.now += RETRY;
    assert_eq!(scene.next(), ["judge 1 web"], "and nothing is written until it is known");
}

#[test]
fn l6_the_blocks_of_what_was_answered_are_written_with_it_and_stay() {
    let mut scene = scene();
    scene.asks.event(&object(vec![ask("1", "pu")], Vec::new()));
    scene.next();
    scene.judged("1", Some(pod("n1")));
    let id = Id { node: "n1".into(), ask: "1".to_owned() };
    let ip = |address: &str| allotment_core::GrantedIp {
        address: address.parse().unwrap(),
        prefix: 16,
        gateway: None,
        vrf: "blue".to_owned(),
        subnet: "a".to_owned(),
        pool: None,
        rule: allotment_core::Rule {
            choice: allotment_core::Choice::Request,
            pick: allotment_core::Pick::Fresh,
        },
    };
    let entry = allotment_core::GrantEntry {
        attachment: allotment_core::Attachment::default(),
        ips: vec![ip("10.0.7.9"), ip("fd00::1:2fe")],
        mac: None,
        routes: Vec::new(),
        dns: allotment_core::Dns::default(),
        mtu: None,
    };
    scene.asks.answered(&id, Ok(&Grant { entries: vec![entry] }), scene.now);
    let actions = scene.asks.next(scene.now);
    let [Action::Answer { blocks, answers, .. }] = &actions[..] else { panic!("{actions:?}") };
    let block = |base: &str| LedgerBlock { vrf: "blue".to_owned(), base: base.parse().unwrap() };
    let expect = BTreeSet::from([block("10.0.7.0"), block("fd00::1:200")]);
    assert_eq!(*blocks, expect);
    // The ask is gone, and its answer with it.
    scene.asks.written(&"n1".into(), Ok(answers.clone()), scene.now);
    scene.asks.event(&object(Vec::new(), answers.clone()));
    let mut after = NodeAttachments::new("n1", NodeAttachmentsSpec::default());
    after.spec.blocks = expect.iter().cloned().collect();
    scene.asks.event(&Event::Applied(after));
    assert_eq!(scene.asks.blocks(), expect);
}
