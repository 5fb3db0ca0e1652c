//! What happens in a long sequence: steps that say by numbers who does what, and what they mean where they come.

use std::net::IpAddr;

use allotment_core::{
    Asked, Attachment, Family, FamilyWant, IpRange, Mac, MacWant, Netns, Object, ObjectKey, ObjectKind,
    Order, Owner, Release, ReleaseMode, Request, SubnetSpec, Target, Want,
};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

use super::pair::{Op, Pair};
use crate::check;
use crate::world::{container, labels, pool, reservation, selector, stateful, subnet};

/// One thing that happens, before it is known to whom: numbers choose among what is there then.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Ask { who: u8, interfaces: u8, on: [u8; 3], how: u8, arg: u16, mac: u8 },
    Del { who: u8 },
    End { which: u16, keep: bool },
    Sweep { which: u16, stale: bool },
    Pass { seconds: u8 },
    Pool { which: u8, variant: u8 },
    Exclude { which: u8, variant: u8 },
    Order { which: u8, order: u8, cooling: u8 },
    Reserve { variant: u8, owner: u8 },
    Restart,
    Reload { which: u16 },
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ask = (any::<u8>(), 1..4_u8, any::<[u8; 3]>(), any::<u8>(), any::<u16>(), any::<u8>())
        .prop_map(|(who, interfaces, on, how, arg, mac)| Step::Ask { who, interfaces, on, how, arg, mac });
    let step = prop_oneof![
        40 => ask,
        20 => any::<u8>().prop_map(|who| Step::Del { who }),
        10 => any::<(u16, bool)>().prop_map(|(which, keep)| Step::End { which, keep }),
        4 => any::<(u16, bool)>().prop_map(|(which, stale)| Step::Sweep { which, stale }),
        10 => (0..40_u8).prop_map(|seconds| Step::Pass { seconds }),
        3 => any::<(u8, u8)>().prop_map(|(which, variant)| Step::Pool { which, variant }),
        2 => any::<(u8, u8)>().prop_map(|(which, variant)| Step::Exclude { which, variant }),
        1 => any::<(u8, u8, u8)>().prop_map(|(which, order, cooling)| Step::Order { which, order, cooling }),
        2 => any::<(u8, u8)>().prop_map(|(variant, owner)| Step::Reserve { variant, owner }),
        1 => Just(Step::Restart),
        2 => any::<u16>().prop_map(|which| Step::Reload { which }),
    ];
    vec(step, 1..160)
}

/// Subnets of every kind. What is excluded leaves a few addresses of each block, so that they become full and are drained
/// across blocks.
pub(super) fn subnets() -> Vec<SubnetSpec> {
    let of = |name: &str, cidrs: &[&str], exclude: &[&str], order| SubnetSpec {
        exclude: exclude.iter().map(|range| range.parse().unwrap()).collect(),
        order,
        ..subnet(name, cidrs)
    };
    let narrow = &["10.1.0.8-10.1.0.251", "10.1.1.6-10.1.1.252", "10.1.2.4-10.1.3.253"];
    let wide = &["fd00:c::6-fd00:c::fd", "fd00:c::104-fd00:c::1fe", "fd00:c::204-fd00:c::ffff"];
    vec![
        of("a", &["10.0.0.0/28"], &["10.0.0.9-10.0.0.10"], Order::Oldest),
        of("b", &["10.1.0.0/22"], narrow, Order::Oldest),
        of("c", &["fd00:c::/64"], wide, Order::Oldest),
        of("d", &["10.2.0.0/20", "fd00:d::/124"], &[], Order::Sequential),
        of("e", &["10.3.0.0/28"], &[], Order::Random),
        SubnetSpec { cooling_ms: 0, ..of("f", &["10.4.0.0/28"], &[], Order::NextAfterLast) },
        SubnetSpec { vrf: "red".into(), ..of("red", &["10.0.0.0/29", "fd00:c::/126"], &[], Order::Oldest) },
    ]
}

fn pools(which: u8, variant: u8) -> Object {
    let mut spec = match (which % 4, variant % 2) {
        (0, 0) => pool("pa", "a", &["10.0.0.4-10.0.0.6"]),
        (0, _) => pool("pa", "a", &["10.0.0.7-10.0.0.11", "10.0.0.3"]),
        (1, 0) => pool("pb", "b", &["10.1.0.252-10.1.1.3"]),
        (1, _) => pool("pb", "b", &["10.1.1.253-10.1.2.2", "10.1.0.3"]),
        (2, 0) => pool("pd", "d", &["10.2.0.4-10.2.0.9"]),
        (2, _) => pool("pd", "d", &["10.2.0.250-10.2.1.5", "fd00:d::8/126"]),
        (_, 0) => pool("pe", "e", &["10.3.0.8/29"]),
        (_, _) => pool("pe", "b", &["10.1.0.253"]),
    };
    if matches!(spec.name.as_str(), "pb" | "pe") {
        spec.pod_selector = Some(selector(&[("app", "web")]));
    }
    Object::IPPool(spec)
}

/// An owner by number: containers, ordinals of a set, virtual machines.
fn owner(who: u8) -> Owner {
    match who % 24 {
        at @ 0..16 => container(&format!("c{at}")),
        at @ 16..20 => stateful(&format!("db-{at}")),
        at => Owner { kind: "VirtualMachine".into(), ..stateful(&format!("vm-{at}")) },
    }
}

fn netns(inode: u64) -> Netns {
    Netns { boot: "b".into(), device: 4, inode, cookie: None, path: format!("/run/netns/{inode}") }
}

/// What an owner asks for: one to three interfaces, each from one to three subnets or pools.
fn request(pair: &Pair, step: &Step) -> Request {
    let Step::Ask { who, interfaces, on, how, arg, mac } = step.clone() else {
        unreachable!("only for these")
    };
    let owner = owner(who);
    // Owners that are known by name come as one of two pods.
    let holder = match owner.kind.as_str() {
        "Container" => owner.uid.clone(),
        _ => format!("{}-{}", owner.name, arg % 2),
    };
    let names = ["a", "b", "c", "d", "e", "f", "red"];
    let target = |number: u8| match number % 16 {
        at @ 0..7 => Target::Subnet(names[usize::from(at)].into()),
        7 => Target::Subnet("b".into()),
        8 => Target::Pool("pa".into()),
        9 => Target::Pool("pb".into()),
        10 => Target::Pool("pd".into()),
        11 => Target::Pool("pe".into()),
        at => Target::Subnet(names[usize::from(at - 12)].into()),
    };
    let want = |at: u8| {
        let attachment = Attachment {
            holder: holder.clone(),
            container_id: if owner.kind == "Container" {
                holder.clone()
            } else {
                format!("sandbox-{holder}")
            },
            network: "net".into(),
            interface: format!("eth{at}"),
            node: "node".into(),
            netns: Some(netns(u64::from(arg % 3))),
        };
        let count = 1 + usize::from(how) % 3;
        let targets: Vec<Target> =
            on[..count].iter().map(|&on| target(on.wrapping_add(at * u8::from(arg & 8 > 0)))).collect();
        Want { attachment, targets, join: arg % 4 == 1, ..Want::default() }
    };
    let mut wants: Vec<Want> = (0..interfaces).map(want).collect();
    wants[0].mac = (mac.is_multiple_of(4)).then(|| {
        let numbered = |number| Mac([2, 0, 0, 0, 0, number]);
        match arg % 3 {
            0 => MacWant::Asked(numbered(mac / 16)),
            1 => MacWant::Seen(numbered(mac / 16)),
            _ => MacWant::OneOf((0..3).map(|step| numbered((mac / 16 + step * 5) % 16)).collect()),
        }
    });
    wants[0].family = match how / 3 % 8 {
        0 => FamilyWant::Require(Family::V6),
        1 => FamilyWant::Prefer(Family::V4),
        2 => FamilyWant::Prefer(Family::V6),
        _ => FamilyWant::All,
    };
    wants[0].ips = match how / 24 % 6 {
        0 => Asked::Each(vec![address(pair, &wants[0], arg)]),
        1 => Asked::OneOf((0..3).map(|n| address(pair, &wants[0], arg.wrapping_add(n * 7))).collect()),
        _ => Asked::Nothing,
    };
    if let (true, Asked::Each(ips) | Asked::OneOf(ips)) = (arg % 5 == 1, &wants[0].ips) {
        wants[0].prefixes = ips.iter().map(|&ip| (ip, if ip.is_ipv4() { 24 } else { 64 })).collect();
    }
    let pod_labels = if on[0] % 3 == 0 { labels(&[("app", "web")]) } else { labels(&[]) };
    // `c1` and `c10` to `c15` are of one group to each other, all containers to some.
    let siblings = ["", "c", "c1", "db-"][usize::from(arg >> 4) % 4].to_owned();
    Request { owner, wants, siblings, pod_labels, ..Request::default() }
}

/// An address near the start of a subnet, most often of one that the want names; or one that is in use.
fn address(pair: &Pair, want: &Want, arg: u16) -> IpAddr {
    let records: Vec<IpAddr> = pair.model.records.keys().map(|place| place.1).collect();
    if arg.is_multiple_of(3) && !records.is_empty() {
        return records[usize::from(arg) % records.len()];
    }
    let name = match &want.targets[0] {
        Target::Subnet(name) => name,
        Target::Pool(pool) => pair.model.pools.get(pool).map_or("a", |pool| &pool.subnet),
    };
    let cidrs = &pair.model.subnets[name].cidrs;
    let cidr = cidrs[usize::from(arg / 3) % cidrs.len()];
    let mut address = cidr.first();
    for _ in 0..arg / 6 % 20 {
        address = check::successor(address);
    }
    address
}

fn excluded(which: u8, variant: u8) -> Op {
    let mut spec = subnets()[usize::from(which) % 7].clone();
    let range = match (spec.name.as_str(), variant % 3) {
        ("a", 0) => Some("10.0.0.2-10.0.0.5"),
        ("b", 0) => Some("10.1.1.0-10.1.1.3"),
        ("c", 0) => Some("fd00:c::100-fd00:c::102"),
        ("d", 0) => Some("10.2.0.0-10.2.0.254"),
        _ => None,
    };
    spec.exclude.extend(range.map(|range| range.parse::<IpRange>().unwrap()));
    Op::Put(Object::Subnet(spec))
}

fn ordered(which: u8, order: u8, cooling: u8) -> Op {
    let mut spec = subnets()[usize::from(which) % 5].clone();
    let orders = [Order::Oldest, Order::Sequential, Order::Random];
    // A hash may begin anywhere: only where the model can look at all addresses.
    let usable = if matches!(spec.name.as_str(), "c" | "d") { 2 } else { 3 };
    spec.order = orders[usize::from(order) % usable];
    spec.cooling_ms = [0, 10_000, 30_000, 90_000][usize::from(cooling) % 4];
    Op::Put(Object::Subnet(spec))
}

fn reserved(variant: u8, who: u8) -> Op {
    let name = format!("r{}", variant % 2);
    if variant.is_multiple_of(5) {
        return Op::Remove(ObjectKey { kind: ObjectKind::Reservation, name });
    }
    let mut reserved_for = owner(who);
    reserved_for.uid.clear();
    let owner = (!who.is_multiple_of(3)).then_some(reserved_for);
    let (subnet, addresses) = if variant.is_multiple_of(2) {
        ("a", ["10.0.0.3", "10.0.0.8"])
    } else {
        ("b", ["10.1.0.2", "10.1.0.254"])
    };
    Op::Put(Object::Reservation(reservation(&name, subnet, &addresses, owner)))
}

/// What a step means now; `None`: nothing.
pub(super) fn op(pair: &Pair, step: &Step) -> Option<Op> {
    let held: Vec<_> = pair.model.records.values().filter(|a| a.state.is_held()).collect();
    let chosen = |which: u16| (!held.is_empty()).then(|| held[usize::from(which) % held.len()]);
    Some(match *step {
        Step::Ask { .. } => Op::Ask(request(pair, step)),
        Step::Del { who } => {
            let owner = owner(who);
            let container_id = match owner.kind.as_str() {
                "Container" => owner.uid,
                _ => format!("sandbox-{}-{}", owner.name, who / 24 % 2),
            };
            let network = (who.is_multiple_of(2)).then(|| "net".to_owned());
            Op::Release(Release::Interface {
                container_id,
                interface: format!("eth{}", who / 48 % 3),
                network,
            })
        }
        Step::End { which, keep } => {
            let allocation = chosen(which)?;
            let attachments = &allocation.attachments;
            Op::Release(Release::Address {
                vrf: allocation.vrf.clone(),
                address: allocation.address,
                holder: attachments[usize::from(which / 7) % attachments.len()].holder.clone(),
                mode: if keep { ReleaseMode::Keep } else { ReleaseMode::Cool },
                since: None,
            })
        }
        Step::Sweep { which, stale } => {
            let attachment = &chosen(which)?.attachments[0];
            let netns = if stale { netns(99) } else { attachment.netns.clone()? };
            Op::Release(Release::Sandbox { container_id: attachment.container_id.clone(), netns })
        }
        Step::Pass { seconds } => Op::Pass(u64::from(seconds) * 1_000),
        Step::Pool { which, variant } => match pools(which, variant) {
            Object::IPPool(spec) if variant % 5 == 4 => {
                Op::Remove(ObjectKey { kind: ObjectKind::IPPool, name: spec.name })
            }
            object => Op::Put(object),
        },
        Step::Exclude { which, variant } => excluded(which, variant),
        Step::Order { which, order, cooling } => ordered(which, order, cooling),
        Step::Reserve { variant, owner } => reserved(variant, owner),
        Step::Restart => Op::Restart,
        Step::Reload { which } => {
            let allocation = chosen(which)?;
            Op::Reload(allocation.vrf.clone(), allocation.address)
        }
    })
}
