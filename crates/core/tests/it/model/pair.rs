//! The state and the model, doing the same things.

use std::net::IpAddr;

use allotment_core::{Allocation, Cidr, Grant, Object, ObjectKey, Release, Request, State, Timestamp};

use super::naive::{Naive, Place};
use crate::check;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Ask(Request),
    Release(Release),
    /// Milliseconds.
    Pass(u64),
    Put(Object),
    Remove(ObjectKey),
    /// The process is started anew and reads the ledger.
    Restart,
    /// The block of this address is forgotten and read anew, as after a conflict.
    Reload(String, IpAddr),
}

pub(super) struct Pair {
    pub(super) state: State,
    pub(super) model: Naive,
    pub(super) now: u64,
}

impl Pair {
    pub(super) fn new(objects: &[Object]) -> Pair {
        let mut pair = Pair { state: State::new(), model: Naive::default(), now: 1_000_000 };
        for object in objects {
            pair.state.put(object.clone()).unwrap();
            assert!(pair.model.put(object));
        }
        pair
    }

    /// Does it to the state alone; it was compared before.
    pub(super) fn replay(&mut self, op: &Op) {
        self.now += 1;
        let now = Timestamp(self.now);
        match op {
            Op::Ask(request) => {
                if let Ok(plan) = self.state.plan(request, now) {
                    self.state.apply(&plan, &mut Vec::new());
                }
            }
            Op::Release(release) => self.state.release(release, now, &mut Vec::new()),
            Op::Pass(ms) => self.now += ms,
            Op::Put(object) => drop(self.state.put(object.clone())),
            Op::Remove(key) => drop(self.state.remove(key)),
            Op::Restart => self.state = check::restarted(&self.state),
            Op::Reload(vrf, address) => self.reload(vrf, *address),
        }
    }

    /// Does it to both and compares what they say, what they know and what they count.
    pub(super) fn step(&mut self, op: &Op) {
        match op {
            Op::Ask(request) => self.ask(request),
            Op::Release(release) => {
                let mut changed = Vec::new();
                self.now += 1;
                self.state.release(release, Timestamp(self.now), &mut changed);
                let place = |p| self.state.at(p).map(|now| ((now.vrf.clone(), p.address()), now));
                // A record may change in what only a restart reads (`torn`).
                let is_seen = |(place, now): &(Place, Allocation)| self.model.records.get(place) != Some(now);
                let places: Vec<Place> = changed
                    .iter()
                    .filter_map(|p| place(*p))
                    .filter(is_seen)
                    .map(|(place, _)| place)
                    .collect();
                let expected = self.model.release(release, Timestamp(self.now));
                assert_eq!(places.len(), expected.len(), "{release:?}");
                assert!(places.iter().all(|place| expected.contains(place)), "{release:?}");
            }
            Op::Put(object) => {
                self.now += 1;
                let result = self.state.put(object.clone());
                assert_eq!(result.is_ok(), self.model.put(object), "{result:?}");
            }
            Op::Remove(key) => {
                self.replay(op);
                self.model.remove(key);
            }
            Op::Pass(_) => self.replay(op),
            Op::Restart => {
                self.replay(op);
                for name in self.model.subnets.keys().cloned().collect::<Vec<_>>() {
                    self.model.lay_out(&name);
                }
            }
            Op::Reload(vrf, address) => {
                self.replay(op);
                for name in self.touched(vrf, *address) {
                    self.model.lay_out(&name);
                }
            }
        }
        let records: Vec<_> = self.model.records.values().cloned().collect();
        let mut all = check::all(&self.state);
        all.sort_by_key(|allocation| (allocation.vrf.clone(), allocation.address));
        assert_eq!(all, records, "after {op:?}");
        check::check(&self.state, Timestamp(self.now));
    }

    fn ask(&mut self, request: &Request) {
        self.now += 1;
        let now = Timestamp(self.now);
        let real = self.state.plan(request, now).map(|plan| {
            let grant = self.state.grant(&plan);
            (plan, grant)
        });
        let expected = self.model.grant(request, now, real.as_ref().ok().map(|(_, grant)| grant));
        match (real, expected) {
            (Ok((plan, grant)), Ok(expected)) => {
                assert_eq!(addresses(&grant), expected, "{request:?}");
                self.state.apply(&plan, &mut Vec::new());
                let again = self.state.plan(request, now).expect("what was granted is granted again");
                assert_eq!(addresses(&self.state.grant(&again)), expected, "the same answer again");
                let mut changed = Vec::new();
                self.state.apply(&again, &mut changed);
                assert_eq!(changed, [], "asking again changes nothing");
            }
            (Err(refusal), Err(code)) => {
                assert_eq!(refusal.code, code, "{refusal} of {request:?}");
                assert!(!refusal.hint.is_empty());
            }
            (Ok((_, grant)), Err(code)) => panic!("{code:?} expected, {grant:?} given for {request:?}"),
            (Err(refusal), Ok(expected)) => {
                panic!("{expected:?} expected, refused: {refusal} for {request:?}")
            }
        }
    }

    fn reload(&mut self, vrf: &str, address: IpAddr) {
        let Some(block) = self.state.block_of(vrf, address) else { return };
        let records: Vec<_> = (self.state.places(block))
            .map(|place| {
                let mut record = Vec::new();
                assert!(self.state.write_record(place, &mut record));
                (place.address(), record)
            })
            .collect();
        self.state.forget(block);
        for (address, record) in records {
            self.state.load(vrf, address, &record).unwrap();
        }
        self.state.settle();
    }

    /// The subnets that touch the block of an address, if it has a record.
    fn touched(&self, vrf: &str, address: IpAddr) -> Vec<String> {
        let prefix = if address.is_ipv4() { 24 } else { 120 };
        let block = Cidr::containing(address, prefix);
        if !self.model.records.keys().any(|place| place.0 == vrf && block.contains(place.1)) {
            return Vec::new();
        }
        let in_vrf = self.model.subnets.values().filter(|spec| spec.vrf == vrf);
        let touching = in_vrf.filter(|spec| spec.cidrs.iter().any(|cidr| cidr.overlaps(&block)));
        touching.map(|spec| spec.name.clone()).collect()
    }
}

/// The addresses of each interface.
fn addresses(grant: &Grant) -> Vec<Vec<IpAddr>> {
    grant.entries.iter().map(|entry| entry.ips.iter().map(|ip| ip.address).collect()).collect()
}
