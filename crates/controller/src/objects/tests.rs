use allotment_api::v1alpha1::{IPPool, Reservation, Subnet};
use allotment_core::{Family, Obstacle, SubnetSpec};
use serde_json::json;

use super::*;

/// Objects that a leader follows; the engine accepts whatever is not told to be refused.
struct Scene {
    objects: Objects,
    now: Instant,
}

fn listed<K>(objects: Vec<K>) -> Event<K> {
    Event::Listed { objects, version: "1".parse().unwrap() }
}

fn subnet(name: &str, cidr: &str, deleting: bool) -> Subnet {
    serde_json::from_value(json!({
        "metadata": {"name": name, "uid": format!("{name}-uid"), "generation": 1, "finalizers": [declared::FINALIZER],
            "deletionTimestamp": deleting.then_some("2026-01-01T00:00:00Z")},
        "spec": {"cidrs": [cidr]},
    }))
    .unwrap()
}

fn key(name: &str) -> ObjectKey {
    ObjectKey { kind: ObjectKind::Subnet, name: name.to_owned() }
}

fn refusal(name: &str) -> ObjectError {
    let (field, text, hint) = ("spec.cidrs".to_owned(), "no".to_owned(), "wait".to_owned());
    ObjectError { object: key(name), field, text, hint, obstacle: Obstacle::Held }
}

fn usage(held: u64, cooling: u64) -> AllUsage {
    let usage = allotment_core::Usage { family: Family::V4, total: 10, held, beside: 0, cooling };
    [(key("a"), vec![usage])].into()
}

impl Scene {
    /// With these subnets declared and nothing in force.
    fn new(subnets: Vec<Subnet>) -> Scene {
        let mut objects = Objects::default();
        objects.event(listed(subnets));
        objects.event(listed(Vec::<IPPool>::new()));
        objects.event(listed(Vec::<Reservation>::new()));
        objects.begin(BTreeMap::new());
        Scene { objects, now: Instant::now() }
    }

    fn next(&mut self) -> Vec<Action> {
        self.objects.next(self.now, Timestamp::UNIX_EPOCH)
    }

    /// The steps that there are; what is to be written is.
    fn steps(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for action in self.next() {
            match action {
                Action::Settle(all) => steps = all,
                Action::WriteStatus { key, status, .. } => self.objects.written(&key, Ok(status), self.now),
                Action::Survey | Action::Finalize { .. } => {}
            }
        }
        steps
    }

    /// Does the steps that there are; those of `refused` are refused.
    fn settle(&mut self, refused: &[&str]) {
        let steps = self.steps();
        assert!(!steps.is_empty());
        let is_refused = |step: &Step| refused.contains(&step.key().name.as_str());
        let (blocked, done): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(is_refused);
        let blocked = blocked.into_iter().map(|step| (step.clone(), refusal(&step.key().name))).collect();
        self.objects.take(Settled { done, blocked, failed: None }, self.now);
    }

    /// Looks at how full everything is.
    fn survey(&mut self, usage: AllUsage) {
        let actions = self.next();
        assert!(actions.iter().any(|action| matches!(action, Action::Survey)), "{actions:?}");
        self.objects.surveyed(Some(usage), self.now);
    }

    /// The statuses that are to be written, which they are.
    fn statuses(&mut self) -> Vec<(String, String)> {
        let mut said = Vec::new();
        for action in self.next() {
            if let Action::WriteStatus { key, status, .. } = action {
                let condition = &status.conditions[0];
                said.push((key.name.clone(), format!("{}={}", condition.kind, condition.status)));
                self.objects.written(&key, Ok(status), self.now);
            }
        }
        said
    }
}

#[test]
fn nothing_is_tried_before_everything_is_listed() {
    let mut objects = Objects::default();
    objects.begin(BTreeMap::new());
    objects.event(listed(vec![subnet("a", "10.0.0.0/24", false)]));
    assert!(objects.next(Instant::now(), Timestamp::UNIX_EPOCH).is_empty());
    assert!(!objects.are_settled());
}

#[test]
fn what_is_accepted_and_what_is_not_says_so_once() {
    let mut scene = Scene::new(vec![subnet("a", "10.0.0.0/24", false), subnet("b", "10.0.0.0/16", false)]);
    scene.settle(&["b"]);
    assert!(scene.objects.are_settled());
    let first = scene.next();
    assert!(matches!(first[..], [Action::Survey]), "no status without its counts: {first:?}");
    scene.objects.surveyed(Some(usage(0, 0)), scene.now);
    let expect = [("a", "Ready=True"), ("b", "Ready=False")];
    assert_eq!(scene.statuses(), expect.map(|(name, said)| (name.to_owned(), said.to_owned())));
    assert!(scene.next().is_empty());
    assert_eq!((scene.objects.sayings.len(), scene.objects.problems()), (1, 1));
    // Nothing is tried again for nothing.
    assert_eq!(scene.objects.due(), None);
    scene.objects.freed(scene.now);
    scene.now += RETRY;
    scene.settle(&["b"]);
    assert_eq!(scene.objects.sayings.len(), 1, "the same again is not said again");
}

#[test]
fn counts_are_written_when_they_change_and_not_too_often() {
    let mut scene = Scene::new(vec![subnet("a", "10.0.0.0/24", false)]);
    scene.settle(&[]);
    scene.survey(usage(0, 0));
    assert_eq!(scene.statuses().len(), 1);
    for held in 1..100 {
        scene.objects.touched(scene.now);
        assert!(scene.next().is_empty(), "{held}: too early");
    }
    scene.now = scene.objects.due().unwrap();
    scene.survey(usage(99, 1));
    assert_eq!(scene.statuses().len(), 1);
    // What cools becomes free by itself, and then all is said.
    scene.now = scene.objects.due().unwrap();
    scene.survey(usage(99, 0));
    assert_eq!(scene.statuses().len(), 1);
    assert_eq!(scene.objects.due(), None);
}

#[test]
fn a_deleted_subnet_is_drained_and_goes_with_its_last_holder() {
    let mut scene = Scene::new(vec![subnet("a", "10.0.0.0/24", false)]);
    scene.settle(&[]);
    scene.survey(usage(1, 0));
    scene.statuses();
    scene.objects.event(Event::Applied(subnet("a", "10.0.0.0/24", true)));
    let steps = scene.steps();
    let [Step::Drain(drained), Step::Remove(gone)] = &steps[..] else { panic!("first one, then the other") };
    assert_eq!(gone, &key("a"));
    let drain = Step::Drain(drained.clone());
    let blocked = vec![(Step::Remove(key("a")), refusal("a"))];
    scene.objects.take(Settled { done: vec![drain], blocked, failed: None }, scene.now);
    let written = scene.next().into_iter().find_map(|action| match action {
        Action::WriteStatus { status, .. } => Some(status),
        _ => None,
    });
    let written = written.unwrap();
    let said = written.conditions.iter().map(|condition| (&*condition.kind, &*condition.status));
    let said: Vec<_> = said.collect();
    assert_eq!(said, [("Ready", "False"), ("InUse", "True")]);
    scene.objects.written(&key("a"), Ok(written), scene.now);
    scene.objects.freed(scene.now);
    scene.now += RETRY;
    scene.settle(&[]);
    let last = scene.next();
    let is_let_go = |action: &Action| matches!(action, Action::Finalize { present: false, .. });
    assert!(last.iter().any(is_let_go), "{last:?}");
}

#[test]
fn a_new_object_gets_its_finalizer_and_one_that_goes_gets_none() {
    let mut bare = subnet("a", "10.0.0.0/24", false);
    bare.metadata.finalizers = None;
    let mut scene = Scene::new(vec![bare]);
    scene.settle(&[]);
    scene.survey(usage(0, 0));
    let actions = scene.next();
    let is_put_on = |action: &Action| matches!(action, Action::Finalize { present: true, .. });
    assert!(actions.iter().any(is_put_on), "{actions:?}");
}

#[test]
fn o6_what_the_ledger_has_and_nobody_declares_stays() {
    let mut scene = Scene::new(Vec::new());
    let spec = SubnetSpec::new("old", vec!["10.9.0.0/24".parse().unwrap()]);
    scene.objects.begin([(key("old"), Object::Subnet(spec))].into());
    let actions = scene.next();
    assert!(actions.iter().all(|action| matches!(action, Action::Survey)), "{actions:?}");
    assert_eq!(scene.objects.undeclared(), 1);
}

#[test]
fn r4_a_subnet_says_what_it_has_lost_to_nodes_that_are_gone() {
    let mut scene = Scene::new(vec![subnet("a", "10.0.0.0/24", false), subnet("b", "10.1.0.0/24", false)]);
    scene.settle(&[]);
    scene.survey(usage(2, 0));
    scene.statuses();
    let lost = |address: &str, node: &str| Lost {
        address: Address { vrf: "default".to_owned(), address: address.parse().unwrap() },
        node: node.to_owned(),
    };
    let said = |scene: &mut Scene| -> Vec<(String, Vec<String>)> {
        let written = scene.next().into_iter().filter_map(|action| match action {
            Action::WriteStatus { key, status, .. } => {
                let said = status.conditions.iter().filter(|condition| condition.kind == "AddressesLost");
                let said = said.map(|condition| condition.message.clone()).collect();
                scene.objects.written(&key, Ok(status), scene.now);
                Some((key.name, said))
            }
            _ => None,
        });
        written.collect()
    };
    let both = [lost("10.0.0.9", "n2"), lost("10.0.0.7", "n1"), lost("192.0.2.1", "n1")];
    scene.objects.lost(&both);
    let message = "addresses of ended pods that stay held: 2, such as 10.0.0.7 on node `n1`, which is gone; if that machine is \
                   switched off for good: `allot node forget n1`";
    assert_eq!(said(&mut scene), [("a".to_owned(), vec![message.to_owned()])]);
    scene.objects.lost(&both);
    assert_eq!(said(&mut scene), [], "the same again is not written");
    scene.objects.lost(&[]);
    assert_eq!(said(&mut scene), [("a".to_owned(), Vec::new())]);
}

#[test]
fn an_edit_is_not_called_accepted_before_it_was_tried() {
    let mut scene = Scene::new(vec![subnet("a", "10.0.0.0/24", false)]);
    scene.settle(&[]);
    scene.survey(usage(2, 0));
    scene.statuses();
    scene.objects.event(Event::Applied(subnet("a", "10.0.0.0/25", false)));
    let actions = scene.next();
    let [Action::Settle(steps)] = &actions[..] else { panic!("{actions:?}") };
    let blocked = vec![(steps[0].clone(), refusal("a"))];
    scene.objects.take(Settled { blocked, ..Settled::default() }, scene.now);
    assert_eq!(scene.statuses(), [("a".to_owned(), "Ready=False".to_owned())]);
    // The same form again, as our own write of its status comes back, says nothing new.
    scene.objects.event(Event::Applied(subnet("a", "10.0.0.0/25", false)));
    assert_eq!(scene.objects.problems(), 1);
}
