//! Every sequence of operations up to a length, on subnets of a few addresses.

use allotment_core::{
    Asked, Family, FamilyWant, Object, ObjectKey, ObjectKind, Order, Owner, Release, ReleaseMode, Request,
    SubnetSpec, Target,
};

use super::pair::{Op, Pair};
use crate::world::{World, pool, reservation, stateful, subnet};

/// Goes through all sequences of up to `depth` of `ops`. A sequence ends where an operation changed nothing: the ones that
/// go on from there are those that go on without it.
fn explore(objects: &[Object], ops: &[Op], depth: usize) {
    let mut pair = Pair::new(objects);
    let mut count = 0;
    descend(objects, ops, depth, &mut pair, &mut Vec::new(), &mut count);
    assert!(count > ops.len().pow(2), "{count} sequences are not many");
}

/// Tries every operation after a path; `pair` is at the end of the path and is left anywhere.
fn descend(
    objects: &[Object],
    ops: &[Op],
    depth: usize,
    pair: &mut Pair,
    path: &mut Vec<usize>,
    count: &mut usize,
) {
    let (model, now) = (pair.model.clone(), pair.now);
    for (at, op) in ops.iter().enumerate() {
        if at > 0 {
            *pair = Pair::new(objects);
            for &at in path.iter() {
                pair.replay(&ops[at]);
            }
            pair.model = model.clone();
            assert_eq!(pair.now, now);
        }
        path.push(at);
        {
            let _context = Context { ops, path };
            pair.step(op);
        }
        *count += 1;
        let passes = matches!(op, Op::Pass(_) | Op::Restart | Op::Reload(..));
        let changed = pair.model.records != model.records
            || pair.model.subnets != model.subnets
            || pair.model.pools != model.pools
            || pair.model.reservations != model.reservations;
        if path.len() < depth && (changed || passes) {
            descend(objects, ops, depth, pair, path, count);
        }
        path.pop();
    }
}

/// Says by which sequence a comparison failed.
struct Context<'a> {
    ops: &'a [Op],
    path: &'a [usize],
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let ops: Vec<String> = self.path.iter().map(|&at| format!("  {:?}", self.ops[at])).collect();
            eprintln!("after\n{}", ops.join("\n"));
        }
    }
}

fn ask(owner: Owner, holder: &str, change: impl Fn(&mut Request)) -> Op {
    let mut request = World::new([]).ask(holder).owner(owner).request;
    request.wants[0].targets = vec![Target::Subnet("s".into())];
    change(&mut request);
    Op::Ask(request)
}

/// A container asks for an address of the subnet.
fn asks(id: &str) -> Op {
    ask(crate::world::container(id), id, |_| {})
}

fn asks_for(id: &str, ip: &str) -> Op {
    let ip = ip.parse().unwrap();
    ask(crate::world::container(id), id, |request| request.wants[0].ips = Asked::Each(vec![ip]))
}

fn del(id: &str) -> Op {
    Op::Release(Release::Interface { container_id: id.into(), interface: "eth0".into(), network: None })
}

fn ended(holder: &str, address: &str, mode: ReleaseMode) -> Op {
    let (vrf, address) = ("default".into(), address.parse().unwrap());
    Op::Release(Release::Address { vrf, address, holder: holder.into(), mode, since: None })
}

fn removed(kind: ObjectKind, name: &str) -> Op {
    Op::Remove(ObjectKey { kind, name: name.into() })
}

fn put_pool(ranges: &[&str]) -> Op {
    Op::Put(Object::IPPool(pool("p", "s", ranges)))
}

fn of(cidrs: &[&str], change: impl Fn(&mut SubnetSpec)) -> Object {
    let mut spec = subnet("s", cidrs);
    change(&mut spec);
    Object::Subnet(spec)
}

fn ordered(cidr: &str, order: Order) -> Object {
    of(&[cidr], |spec| spec.order = order)
}

#[test]
fn containers_come_and_go_in_every_order() {
    for order in [Order::Oldest, Order::Sequential, Order::Random, Order::NextAfterLast] {
        let ops = [
            asks("a"),
            asks("b"),
            asks("c"),
            asks_for("c", "10.0.0.3"),
            del("a"),
            del("b"),
            Op::Pass(30_000),
            Op::Restart,
        ];
        explore(&[ordered("10.0.0.0/29", order)], &ops, 5);
    }
}

#[test]
fn objects_change_under_what_is_held_and_cools() {
    let excluded = |ranges: &[&str]| {
        Op::Put(of(&["10.0.0.0/29"], |s| s.exclude = ranges.iter().map(|r| r.parse().unwrap()).collect()))
    };
    let ops = [
        asks("a"),
        asks("b"),
        asks_for("b", "10.0.0.4"),
        ask(crate::world::container("b"), "b", |r| r.wants[0].targets = vec![Target::Pool("p".into())]),
        del("a"),
        del("b"),
        Op::Pass(30_000),
        put_pool(&["10.0.0.3-10.0.0.4"]),
        removed(ObjectKind::IPPool, "p"),
        excluded(&["10.0.0.2-10.0.0.3"]),
        excluded(&[]),
        Op::Put(ordered("10.0.0.0/30", Order::Oldest)),
        Op::Put(of(&["10.0.0.0/29"], |s| s.gateways = Some(vec!["10.0.0.2".parse().unwrap()]))),
        Op::Restart,
        Op::Reload("default".into(), "10.0.0.0".parse().unwrap()),
    ];
    explore(&[ordered("10.0.0.0/29", Order::Oldest)], &ops, 4);
}

#[test]
fn retention_migration_and_reservation() {
    let db = |pod: &str, join: bool| ask(stateful("db-0"), pod, move |request| request.wants[0].join = join);
    let reserved = |owner| Op::Put(Object::Reservation(reservation("r", "s", &["10.0.0.2"], owner)));
    let ops = [
        db("p1", false),
        db("p2", true),
        asks("a"),
        asks_for("a", "10.0.0.2"),
        ended("p1", "10.0.0.2", ReleaseMode::Keep),
        ended("p1", "10.0.0.2", ReleaseMode::Cool),
        ended("p2", "10.0.0.2", ReleaseMode::Keep),
        del("p2"),
        del("a"),
        Op::Pass(30_000),
        reserved(Some(stateful("db-0"))),
        reserved(None),
        removed(ObjectKind::Reservation, "r"),
        Op::Restart,
    ];
    explore(&[ordered("10.0.0.0/30", Order::Oldest)], &ops, 5);
}

#[test]
fn both_families() {
    let family = |id: &str, family: FamilyWant| {
        ask(crate::world::container(id), id, move |request| request.wants[0].family = family)
    };
    let ops = [
        asks("a"),
        family("b", FamilyWant::Prefer(Family::V4)),
        family("c", FamilyWant::Require(Family::V6)),
        asks_for("c", "fd00::3"),
        ask(crate::world::container("d"), "d", |request| {
            let mut second = request.wants[0].clone();
            second.attachment.interface = "net1".into();
            request.wants.push(second);
        }),
        del("a"),
        del("b"),
        Op::Pass(30_000),
        Op::Put(of(&["10.0.0.0/29", "fd00::/125"], |_| {})),
        Op::Restart,
    ];
    explore(&[of(&["10.0.0.0/30", "fd00::/125"], |_| {})], &ops, 4);
}

#[test]
fn pools_selectors_and_lists() {
    let mut web = pool("web", "s", &["10.0.0.5-10.0.0.6"]);
    web.pod_selector = Some(crate::world::selector(&[("app", "web")]));
    let labelled = |id: &str| {
        ask(crate::world::container(id), id, |r| r.pod_labels = crate::world::labels(&[("app", "web")]))
    };
    let from = |id: &str, targets: &[Target]| {
        ask(crate::world::container(id), id, |r| r.wants[0].targets = targets.to_vec())
    };
    let (p, q, s) = (Target::Pool("p".into()), Target::Pool("web".into()), Target::Subnet("s".into()));
    let ops = [
        labelled("a"),
        labelled("b"),
        from("c", &[q.clone(), p.clone(), s.clone()]),
        from("d", &[q]),
        ask(crate::world::container("d"), "d", |request| {
            request.wants[0].ips =
                Asked::OneOf(["10.0.0.5", "10.0.0.4", "10.0.0.2"].map(|ip| ip.parse().unwrap()).to_vec());
            request.wants[0].targets = vec![Target::Pool("p".into()), Target::Subnet("s".into())];
        }),
        asks_for("e", "10.0.0.5"),
        del("a"),
        del("c"),
        del("d"),
        Op::Pass(30_000),
        removed(ObjectKind::IPPool, "web"),
        Op::Reload("default".into(), "10.0.0.0".parse().unwrap()),
    ];
    let objects = [
        ordered("10.0.0.0/29", Order::Sequential),
        Object::IPPool(pool("p", "s", &["10.0.0.3-10.0.0.4"])),
        Object::IPPool(web),
    ];
    explore(&objects, &ops, 4);
}
