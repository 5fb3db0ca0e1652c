//! Records as bytes: what is written comes back, and what is damaged is said to be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use allotment_core::{
    Allocation, AllocationState, Attachment, Choice, Code, LoadError, Mac, Netns, Object, Owner, Pick,
    Release, ReleaseMode, Rule, State, Timestamp,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;

use crate::world::{World, stateful, subnet};
use crate::{cases, check};

/// The format as it is written down, for allocations as they are: an independent writer of it.
pub(crate) fn encoded(allocation: &Allocation) -> Vec<u8> {
    let Allocation { owner, attachments, mac, rule, .. } = allocation;
    let first = attachments.first();
    let flags = u8::from(mac.is_some())
        | u8::from(first.is_some()) << 1
        | u8::from(attachments.len() > 1) << 2
        | u8::from(allocation.outlives_owner) << 6;
    let mut out = vec![allocation.state as u8, rule.choice as u8, rule.pick as u8, flags];
    out.extend(allocation.since.0.to_le_bytes());
    out.extend(mac.iter().flat_map(|mac| mac.0));
    let of = |part: fn(&Attachment) -> &String| first.map_or("", |attachment| part(attachment));
    for text in [&owner.kind, &owner.namespace, of(|a| &a.network), of(|a| &a.interface), of(|a| &a.node)] {
        encode(&mut out, text);
    }
    encode(&mut out, &owner.uid);
    encode(&mut out, &owner.name);
    for text in [of(|a| &a.holder), of(|a| &a.container_id)] {
        if text == owner.uid && !text.is_empty() { out.push(254) } else { encode(&mut out, text) }
    }
    encode_netns(&mut out, first);
    if let Some(Attachment { holder, container_id, network, interface, node, .. }) = attachments.get(1) {
        for text in [holder, container_id, network, interface, node] {
            encode(&mut out, text);
        }
        encode_netns(&mut out, attachments.get(1));
        // Nothing was given to it with this one.
        out.push(0);
    }
    out
}

fn encode(out: &mut Vec<u8>, text: &str) {
    let is_hex = |text: &str| text.bytes().all(|b| b"0123456789abcdef".contains(&b));
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let digits = groups.concat();
    let pairs = |text: &str| {
        (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..][..2], 16).unwrap()).collect()
    };
    let (mark, bytes): (Vec<u8>, Vec<u8>) = match text.len() {
        _ if lengths == [8, 4, 4, 4, 12] && is_hex(&digits) => (vec![252], pairs(&digits)),
        64 if is_hex(text) => (vec![253], pairs(text)),
        length if length < 248 => (vec![u8::try_from(length).unwrap()], text.into()),
        length => {
            let [low, high] = u16::try_from(length).unwrap().to_le_bytes();
            (vec![248, low, high], text.into())
        }
    };
    out.extend(mark);
    out.extend(bytes);
}

fn encode_netns(out: &mut Vec<u8>, attachment: Option<&Attachment>) {
    let Some(netns) = attachment.and_then(|attachment| attachment.netns.as_ref()) else { return out.push(0) };
    out.push(1);
    for number in [netns.device, netns.inode, netns.cookie.unwrap_or(0)] {
        out.extend(number.to_le_bytes());
    }
    encode(out, &netns.boot);
    encode(out, &netns.path);
}

/// Strings of every form that is stored in a way of its own, and some that nearly are.
fn text() -> impl Strategy<Value = String> {
    let digits = |length| vec(select(b"0123456789abcdef".as_slice()), length);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let uuid =
        (digits(32..33), 0..36_usize, select(b"----_AFg".as_slice())).prop_map(|(digits, at, other)| {
            let mut text = digits;
            for at in [8, 13, 18, 23] {
                text.insert(at, b'-');
            }
            if other != b'-' {
                text[at] = other;
            }
            text
        });
    prop_oneof![
        1 => Just(String::new()),
        2 => vec(any::<char>(), 0..30).prop_map(|letters| letters.into_iter().collect()),
        2 => uuid.prop_map(text),
        2 => digits(63..66).prop_map(text),
        2 => (prop_oneof![0..300_usize, 4080..4097_usize], any::<char>())
            .prop_map(|(length, letter)| letter.to_string().repeat(length / letter.len_utf8())),
    ]
}

/// Names that an owner or attachment has to have.
fn name() -> impl Strategy<Value = String> {
    text().prop_map(|text| if text.is_empty() { "x".to_owned() } else { text })
}

fn netns() -> impl Strategy<Value = Netns> {
    let cookie = option::of(1..=u64::MAX);
    (text(), any::<u64>(), any::<u64>(), cookie, text())
        .prop_map(|(boot, device, inode, cookie, path)| Netns { boot, device, inode, cookie, path })
}

/// Attachments that often share the owner's uid.
fn attachment() -> impl Strategy<Value = (Attachment, u8)> {
    (name(), text(), text(), text(), text(), option::of(netns()), any::<u8>()).prop_map(
        |(holder, container_id, network, interface, node, netns, same)| {
            (Attachment { holder, container_id, network, interface, node, netns }, same)
        },
    )
}

fn owner() -> impl Strategy<Value = Owner> {
    let kind = prop_oneof![Just("Pod".to_owned()), Just("Container".to_owned()), name()];
    (kind, text(), name(), name()).prop_map(|(kind, namespace, name, uid)| Owner {
        kind,
        namespace,
        name,
        uid,
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    use Pick::{Asked, Fresh, Hashed, Listed, Lowest, Next, Oldest, Reservation, Returned};
    let choices = [
        Choice::Address,
        Choice::Request,
        Choice::Namespace,
        Choice::Network,
        Choice::Selector,
        Choice::Default,
    ];
    let picks = [Asked, Listed, Reservation, Returned, Fresh, Oldest, Lowest, Hashed, Next];
    (select(choices.to_vec()), select(picks.to_vec())).prop_map(|(choice, pick)| Rule { choice, pick })
}

pub(crate) fn allocation() -> impl Strategy<Value = Allocation> {
    let address = prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
    ];
    let states = [AllocationState::Reserved, AllocationState::Active, AllocationState::Cooling];
    let attachments = vec(attachment(), 0..3);
    let mac = option::of(any::<[u8; 6]>().prop_map(Mac));
    let state = (select(states.to_vec()), any::<u64>(), any::<bool>());
    let all = (text(), address, state, owner(), attachments, mac, rule());
    all.prop_map(|(vrf, address, (state, since, outlives_owner), owner, attachments, mac, rule)| {
        let attachments = attachments.into_iter().map(|(mut attachment, same)| {
            if same % 2 == 0 {
                attachment.holder.clone_from(&owner.uid);
            }
            if same % 3 == 0 {
                attachment.container_id.clone_from(&owner.uid);
            }
            attachment
        });
        let attachments = attachments.collect();
        let since = Timestamp(since);
        Allocation { vrf, address, state, attachments, owner, mac, rule, since, outlives_owner }
    })
}

fn load(state: &mut State, allocation: &Allocation, bytes: &[u8]) -> Result<(), LoadError> {
    let result = state.load(&allocation.vrf, allocation.address, bytes).map(drop);
    state.settle();
    result
}

#[test]
fn every_allocation_comes_back() {
    cases::run(200, &allocation(), |allocation| {
        let record = encoded(&allocation);
        let mut state = State::new();
        load(&mut state, &allocation, &record).unwrap();
        assert_eq!(check::all(&state), std::slice::from_ref(&allocation));
        check::check(&state, Timestamp(0));
        let place = state.blocks().flat_map(|block| state.places(block)).next().unwrap();
        let mut written = Vec::new();
        assert!(state.write_record(place, &mut written));
        assert_eq!(written, record, "the format is as it is written down");
        let doubled = LoadError::Doubled { vrf: allocation.vrf.clone(), address: allocation.address };
        assert_eq!(load(&mut state, &allocation, &record), Err(doubled));
        assert_eq!(check::all(&state), [allocation]);
    });
}

#[test]
fn a_record_that_was_cut_off_or_has_more_is_damaged() {
    cases::run(30, &allocation(), |allocation| {
        let record = encoded(&allocation);
        let mut state = State::new();
        let damaged = LoadError::Damaged { vrf: allocation.vrf.clone(), address: allocation.address };
        let ends = (0..record.len().min(120)).chain((record.len() - record.len().min(60))..record.len());
        for end in ends {
            assert_eq!(load(&mut state, &allocation, &record[..end]), Err(damaged.clone()), "{end}");
        }
        let longer = [&record[..], &[0]].concat();
        assert_eq!(load(&mut state, &allocation, &longer), Err(damaged));
        assert!(state.is_empty(), "nothing of it is taken in");
        load(&mut state, &allocation, &record).unwrap();
    });
}

/// Changes of single bytes.
fn changes() -> impl Strategy<Value = Vec<(usize, u8)>> {
    vec((prop_oneof![0..64_usize, any::<usize>()], any::<u8>()), 1..4)
}

#[test]
fn a_record_that_was_changed_is_damaged_or_another_one() {
    cases::run(600, &(allocation(), changes()), |(allocation, changes)| {
        let mut record = encoded(&allocation);
        for (at, byte) in changes {
            let at = at % record.len();
            record[at] = byte;
        }
        let mut state = State::new();
        state.put(Object::Subnet(subnet("v6", &["2001:db8::/32"]))).unwrap();
        match load(&mut state, &allocation, &record) {
            Err(LoadError::Damaged { .. }) => assert!(state.is_empty()),
            Err(error) => panic!("{error}"),
            Ok(()) => live_on(&mut state),
        }
    });
}

/// A record that was read works as any other.
fn live_on(state: &mut State) {
    let all = check::all(state);
    let now = Timestamp(u64::MAX);
    check::check(state, now);
    let again: Vec<u8> = encoded(&all[0]);
    let mut fresh = State::new();
    fresh.load(&all[0].vrf, all[0].address, &again).unwrap();
    assert_eq!(check::all(&fresh), all);
    for attachment in &all[0].attachments {
        let Attachment { holder, container_id, interface, netns, .. } = attachment.clone();
        if let Some(netns) = netns {
            state.release(
                &Release::Sandbox { container_id: container_id.clone(), netns },
                now,
                &mut Vec::new(),
            );
        }
        let release = Release::Interface { container_id, interface, network: None };
        state.release(&release, now, &mut Vec::new());
        let Allocation { vrf, address, .. } = all[0].clone();
        for mode in [ReleaseMode::Keep, ReleaseMode::Cool] {
            let (vrf, holder) = (vrf.clone(), holder.clone());
            let release = Release::Address { vrf, address, holder, mode, since: None };
            state.release(&release, now, &mut Vec::new());
        }
    }
    check::check(state, now);
    let held = check::all(state)[0].state.is_held();
    assert_eq!(held, all[0].attachments.is_empty() && all[0].state.is_held(), "who is there can be released");
}

#[test]
fn any_bytes_are_a_record_or_not() {
    cases::run(600, &(allocation(), vec(any::<u8>(), 0..200)), |(allocation, bytes)| {
        let mut state = State::new();
        if load(&mut state, &allocation, &bytes).is_ok() {
            live_on(&mut state);
        }
    });
}

#[test]
fn a_name_longer_than_any_that_is_granted_is_damage() {
    let mut allocation = granted();
    let long = |length: usize| "x".repeat(length);
    allocation.owner.name = long(4096);
    load(&mut State::new(), &allocation, &encoded(&allocation)).unwrap();
    // Four of these do not fit in where the names of a record are kept.
    allocation.owner.name = long(60_000);
    allocation.attachments[0].holder = long(60_001);
    let record = encoded(&allocation);
    assert!(matches!(load(&mut State::new(), &allocation, &record), Err(LoadError::Damaged { .. })));
}

/// An allocation as the rules make it.
fn granted() -> Allocation {
    let mut world = World::new([subnet("s", &["10.0.0.0/24"])]);
    world.ask("a").on("s").grant().unwrap();
    check::all(&world.state).remove(0)
}

#[test]
fn what_a_newer_version_adds_is_not_misread() {
    let allocation = granted();
    let record = encoded(&allocation);
    let mut newer = record.clone();
    newer[3] |= 1 << 7;
    assert!(matches!(load(&mut State::new(), &allocation, &newer), Err(LoadError::Damaged { .. })));
    for (at, first_unknown) in [(0, 3), (1, 6), (2, 9)] {
        let mut newer = record.clone();
        newer[at] = first_unknown;
        assert!(
            matches!(load(&mut State::new(), &allocation, &newer), Err(LoadError::Damaged { .. })),
            "{at}"
        );
    }
    let mut halved = record.clone();
    halved[3] = 4;
    assert!(matches!(load(&mut State::new(), &allocation, &halved), Err(LoadError::Damaged { .. })));
}

#[test]
fn an_import_brings_nothing_that_no_request_could() {
    let mut world = World::new([subnet("s", &["10.0.0.0/24"])]);
    let refused = |world: &mut World, change: &dyn Fn(&mut Allocation)| {
        let mut allocation = granted();
        change(&mut allocation);
        world.state.adopt(&allocation, Timestamp(world.now), &mut Vec::new()).unwrap_err().code
    };
    let check = |world: &mut World, change: &dyn Fn(&mut Allocation)| {
        assert_eq!(refused(world, change), Code::Invalid);
    };
    let long = "x".repeat(70_000);
    check(&mut world, &|a| a.owner.name.clone_from(&long));
    check(&mut world, &|a| a.attachments[0].network.clone_from(&long));
    check(&mut world, &|a| a.attachments[0].holder.clear());
    check(&mut world, &|a| a.owner.kind.clear());
    check(&mut world, &|a| a.owner.uid.clear());
    // The gateway, spelled as an IPv6 address.
    assert_eq!(refused(&mut world, &|a| a.address = "::ffff:10.0.0.1".parse().unwrap()), Code::Unknown);
    assert!(world.state.is_empty());
}

#[test]
fn kinds_of_owner_are_numbered_and_bounded() {
    let mut world = World::new([subnet("s", &["10.0.0.0/8"])]);
    let mut request = world.ask("a").on("s").owner(stateful("db-0")).request;
    for kind in 0..(1 << 16) {
        request.owner.kind = format!("Kind{kind}");
        request.wants[0].attachment.container_id.clone_from(&request.owner.kind);
        let plan = world.state.plan(&request, Timestamp(world.now)).unwrap();
        world.state.apply(&plan, &mut Vec::new());
    }
    let kinds = world.state.len();
    request.owner.kind = "OneMore".into();
    let refusal = world.state.plan(&request, Timestamp(world.now)).map(drop).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.to_string().as_str()),
        (Code::Invalid, "`OneMore` would be one kind of owner too many, after 65536")
    );
    let mut allocation = world.state.owned_by(&Owner { kind: "Kind7".into(), ..stateful("db-0") }).remove(0);
    allocation.owner.kind = "OneMore".into();
    allocation.address = "10.200.0.1".parse().unwrap();
    assert!(world.state.adopt(&allocation, Timestamp(world.now), &mut Vec::new()).is_err());
    assert!(load(&mut world.state, &allocation, &encoded(&allocation)).is_err());
    assert_eq!(world.state.len(), kinds);
    request.owner = Owner { kind: "Kind7".into(), ..stateful("db-1") };
    world.state.plan(&request, Timestamp(world.now)).map(drop).unwrap();
}
