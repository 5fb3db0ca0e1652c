use allotment_core::{Object, Owner, Release, ReleaseMode, Request, SubnetSpec, Target, Timestamp, Want};

use super::*;

const NAME: &str = "default.10-0-0-0";

/// A small ledger that some process believes in.
#[derive(Default)]
struct World {
    state: State,
    now: u64,
}

impl World {
    fn new() -> World {
        let mut state = State::new();
        state.put(Object::Subnet(SubnetSpec::new("a", vec!["10.0.0.0/29".parse().unwrap()]))).unwrap();
        World { state, now: 1000 }
    }

    /// Gives the pod an address, by name where the world has forgotten that it is taken.
    fn ask(&mut self, pod: &str) -> String {
        self.now += 1000;
        let mut want = Want { targets: vec![Target::Subnet("a".to_owned())], ..Want::default() };
        want.attachment.holder = pod.to_owned();
        want.attachment.interface = "eth0".to_owned();
        let owner =
            Owner { kind: "Pod".to_owned(), uid: pod.to_owned(), name: pod.to_owned(), ..Owner::default() };
        let request = Request { owner, wants: vec![want], ..Request::default() };
        let plan = self.state.plan(&request, Timestamp(self.now)).unwrap();
        self.state.apply(&plan, &mut Vec::new());
        self.state.grant(&plan).entries[0].ips[0].address.to_string()
    }

    fn end(&mut self, pod: &str, address: &str) {
        self.now += 1000;
        let address = address.parse().unwrap();
        let (vrf, holder, mode) = ("default".to_owned(), pod.to_owned(), ReleaseMode::Cool);
        let release = Release::Address { vrf, address, holder, mode, since: None };
        self.state.release(&release, Timestamp(self.now), &mut Vec::new());
    }

    fn content(&self, written: u64) -> Content {
        let base = "10.0.0.0".parse().unwrap();
        let block = self.state.block_of("default", base).unwrap();
        let mut records = Records::default();
        for place in self.state.places(block) {
            let mut record = Vec::new();
            self.state.write_record(place, &mut record);
            records.push(place.offset(), &record);
        }
        Content { written, body: Body::Block { vrf: "default".to_owned(), base, records } }
    }

    /// What a process that starts from this content knows.
    fn from(content: &Content, now: u64) -> World {
        let mut world = World { now, ..World::new() };
        let Body::Block { vrf, base, records } = &content.body else { panic!("it is a block") };
        for (offset, record) in records.iter() {
            world.state.load(vrf, at(*base, offset), record).unwrap();
        }
        world.state.settle();
        world
    }
}

fn stamp(uid: &str, version: u64) -> Stamp {
    Stamp { uid: uid.to_owned(), version: version.to_string().parse().unwrap() }
}

fn item(content: &Content, stamp: Stamp) -> Item {
    let name = content.of().name();
    Item { data: content.pack(&name), name, stamp, of: content.of().to_string() }
}

fn copy(content: &Content, stamp: Stamp) -> Copy {
    Copy::read(item(content, stamp)).unwrap().1
}

/// Who holds what, in the content that is to be written.
fn united(verdict: &Verdict) -> Vec<(String, String)> {
    let Verdict::Write { content, set_back: true, .. } = verdict else { panic!("{verdict:?}") };
    let world = World::from(content, 0);
    let places = world.state.blocks().flat_map(|block| world.state.places(block));
    let held = places.filter_map(|place| world.state.at(place)).filter(|known| known.state.is_held());
    held.map(|known| (known.address.to_string(), known.owner.uid)).collect()
}

fn held(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(address, pod)| (address.to_owned(), pod.to_owned())).collect()
}

#[test]
fn what_is_written_more_often_came_of_the_other() {
    let mut world = World::new();
    world.ask("a");
    let old = world.content(3);
    world.ask("b");
    let new = world.content(4);
    let ours = copy(&old, stamp("u", 10));
    assert_eq!(judge(NAME, Some(&ours), Some(&item(&old, stamp("u", 10)))), Verdict::Same);
    let theirs = item(&new, stamp("u", 11));
    assert_eq!(judge(NAME, Some(&ours), Some(&theirs)), Verdict::Theirs(Some(copy(&new, stamp("u", 11)))));
    assert_eq!(judge(NAME, None, Some(&theirs)), Verdict::Theirs(Some(copy(&new, stamp("u", 11)))));
    assert_eq!(judge(NAME, None, None), Verdict::Same);
}

#[test]
fn a_label_changes_nothing() {
    let mut world = World::new();
    world.ask("a");
    let content = world.content(3);
    let ours = copy(&content, stamp("u", 10));
    let theirs = item(&content, stamp("u", 11));
    assert_eq!(judge(NAME, Some(&ours), Some(&theirs)), Verdict::Restamp(stamp("u", 11)));
}

#[test]
fn l6_what_is_gone_is_written_again() {
    let mut world = World::new();
    world.ask("a");
    let ours = copy(&world.content(3), stamp("u", 10));
    assert_eq!(judge(NAME, Some(&ours), None), Verdict::Lost);
    // Somebody else did it with what they knew, which was the same, and went on.
    world.ask("b");
    let theirs = item(&world.content(4), stamp("v", 12));
    assert!(matches!(judge(NAME, Some(&ours), Some(&theirs)), Verdict::Theirs(Some(_))));
}

#[test]
fn l6_what_was_set_back_is_brought_forward() {
    let mut world = World::new();
    world.ask("a");
    world.ask("b");
    let then = world.content(2);
    world.end("a", "10.0.0.2");
    world.ask("c");
    let ours = copy(&world.content(4), stamp("u", 40));
    let verdict = judge(NAME, Some(&ours), Some(&item(&then, stamp("u", 20))));
    assert_eq!(united(&verdict), held(&[("10.0.0.3", "b"), ("10.0.0.4", "c")]));
    let Verdict::Write { over, content, .. } = verdict else { unreachable!() };
    assert_eq!((over, content.written), (stamp("u", 20), 5), "and whoever reads both knows which is newer");
}

#[test]
fn l6_what_was_given_since_the_set_back_is_kept_too() {
    let mut world = World::new();
    world.ask("a");
    let then = world.content(1);
    world.ask("b");
    world.ask("c");
    let ours = copy(&world.content(3), stamp("u", 30));
    // Another process started after the set-back. It knows neither `b` nor `c`, and gives `b`'s address to `x`.
    let mut other = World::from(&then, world.now);
    assert_eq!(other.ask("x"), "10.0.0.3");
    other.end("a", "10.0.0.2");
    let theirs = item(&other.content(3), stamp("u", 21));
    let verdict = judge(NAME, Some(&ours), Some(&theirs));
    assert_eq!(
        united(&verdict),
        held(&[("10.0.0.3", "b"), ("10.0.0.4", "c")]),
        "who had it first; `a` has ended"
    );
}

#[test]
fn l6_a_block_begun_anew_by_somebody_who_knew_nothing_loses_nothing() {
    let mut world = World::new();
    world.ask("a");
    let ours = copy(&world.content(1), stamp("u", 30));
    let mut other = World::new();
    other.now = world.now;
    for pod in ["x", "y"] {
        other.ask(pod);
    }
    // It was written more often than ours, and still did not come of it.
    let theirs = item(&other.content(2), stamp("v", 50));
    let verdict = judge(NAME, Some(&ours), Some(&theirs));
    assert_eq!(united(&verdict), held(&[("10.0.0.2", "a"), ("10.0.0.3", "y")]));
}

#[test]
fn l2_what_was_spoiled_is_written_again_and_what_is_newer_is_not() {
    let mut world = World::new();
    world.ask("a");
    let content = world.content(3);
    let ours = copy(&content, stamp("u", 10));
    for data in ["", "spoiled", "AQAAAAAA"] {
        let found = Item { data: data.to_owned(), ..item(&content, stamp("u", 11)) };
        let again = Content { written: 4, ..content.clone() };
        let verdict = Verdict::Write { over: stamp("u", 11), content: again, set_back: false };
        assert_eq!(judge(NAME, Some(&ours), Some(&found)), verdict, "{data}");
    }
    let newer = Item { data: "Aw==".to_owned(), ..item(&content, stamp("u", 11)) };
    let Verdict::Theirs(Some(copy)) = judge(NAME, Some(&ours), Some(&newer)) else {
        panic!("it was written over")
    };
    assert_eq!(copy.written, Err(Unreadable::Newer(3)));
    // And when whoever wrote it brings it back, it is read again.
    let back = item(&content, stamp("u", 12));
    assert!(matches!(judge(NAME, Some(&copy), Some(&back)), Verdict::Theirs(Some(_))));
}

#[test]
fn an_emptied_object_is_removed() {
    let object = Object::Subnet(SubnetSpec::new("a", vec!["10.0.0.0/29".parse().unwrap()]));
    let content = Content { written: 1, body: Body::Object(Box::new(object)) };
    let ours = copy(&content, stamp("u", 10));
    let found = Item { data: String::new(), ..item(&content, stamp("u", 11)) };
    assert_eq!(judge(&found.name, Some(&ours), Some(&found)), Verdict::Theirs(None));
    assert_eq!(judge(&found.name, None, Some(&found)), Verdict::Theirs(None));
}
