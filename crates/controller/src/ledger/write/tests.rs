use allotment_core::{Object, ObjectKey, ObjectKind, Place, SubnetSpec};
use allotment_engine::conformance::{pod, subnet};

use super::*;

fn state() -> (State, Vec<Place>) {
    let mut state = State::new();
    state.put(subnet("a", "default", &["10.0.0.0/23", "fd00::/64"])).unwrap();
    let mut places = Vec::new();
    for n in 0..300 {
        let request = pod(n, "a");
        let plan = state.plan(&request, allotment_core::Timestamp(n)).unwrap();
        state.apply(&plan, &mut places);
    }
    (state, places)
}

fn copy(name: &str, written: Result<u64, Unreadable>) -> Copy {
    let stamp = Stamp { uid: "u".to_owned(), version: "7".parse().unwrap() };
    Copy { stamp, of: Of::guess(name, "Subnet a").unwrap(), data: "".into(), written }
}

fn object(name: &str) -> (ObjectKey, Option<Object>) {
    let object = Object::Subnet(SubnetSpec::new(name, vec!["10.0.0.0/8".parse().unwrap()]));
    (object.key(), Some(object))
}

#[test]
fn every_block_of_a_batch_is_written_once_and_whole() {
    let (state, places) = state();
    // Only two of the blocks are touched, one of them often.
    let v4: Vec<Place> = places.into_iter().filter(|place| place.address().is_ipv4()).collect();
    let batch = Batch { places: [&v4[250..], &v4[250..]].concat(), ..Batch::default() };
    let mut copies = Copies::default();
    copies.put("default.10-0-1-0".to_owned(), copy("default.10-0-1-0", Ok(41)));
    let writes = plan(&state, &batch, &copies).unwrap();
    let names: Vec<&str> = writes.iter().map(|write| write.name.as_str()).collect();
    assert_eq!(names, ["default.10-0-0-0", "default.10-0-1-0"]);
    let count = |write: &Write| match &write.content.as_ref().unwrap().body {
        Body::Block { records, .. } => records.iter().count(),
        _ => panic!("it is no block"),
    };
    assert_eq!(writes.iter().map(count).collect::<Vec<_>>(), [254, 46]);
    let before: Vec<Option<u64>> =
        writes.iter().map(|write| write.before.as_ref().map(|before| before.written)).collect();
    assert_eq!(before, [None, Some(41)]);
    assert_eq!(writes[1].content.as_ref().unwrap().written, 42);
}

#[test]
fn the_last_word_on_an_object_counts() {
    let (state, _) = state();
    let (key, put) = object("a");
    let gone = (ObjectKey { kind: ObjectKind::Subnet, name: "new".to_owned() }, None);
    let batch =
        Batch { objects: vec![(key.clone(), None), object("b"), (key, put), gone], ..Batch::default() };
    let mut copies = Copies::default();
    copies.put("object.subnet.a".to_owned(), copy("object.subnet.a", Ok(3)));
    let writes = plan(&state, &batch, &copies).unwrap();
    let names: Vec<&str> = writes.iter().map(|write| write.name.as_str()).collect();
    assert_eq!(names, ["object.subnet.a", "object.subnet.b"], "what was never there need not be removed");
    assert!(writes.iter().all(|write| write.content.is_some() && write.block.is_none()));
}

#[test]
fn l2_what_cannot_be_read_is_not_written_over() {
    let (state, places) = state();
    let batch = Batch { places, ..Batch::default() };
    for why in [Unreadable::Newer(2), Unreadable::Damaged("it is")] {
        let mut copies = Copies::default();
        copies.put("default.10-0-1-0".to_owned(), copy("default.10-0-1-0", Err(why)));
        let (of, found) = plan(&state, &batch, &copies).unwrap_err();
        assert_eq!((of.name().as_str(), found), ("default.10-0-1-0", why));
    }
    // A damaged object is as good as none: what is accepted now takes its place. A newer one is not.
    let batch = Batch { objects: vec![object("a")], ..Batch::default() };
    let mut copies = Copies::default();
    copies.put("object.subnet.a".to_owned(), copy("object.subnet.a", Err(Unreadable::Damaged("it is"))));
    assert_eq!(plan(&state, &batch, &copies).unwrap()[0].before.as_ref().unwrap().written, 0);
    copies.put("object.subnet.a".to_owned(), copy("object.subnet.a", Err(Unreadable::Newer(2))));
    assert!(plan(&state, &batch, &copies).is_err());
}
