//! Sets of address ranges, and ranges that lead to something.

use std::collections::BTreeMap;

use crate::address::Key;

/// From first to last, both included.
pub(super) type Range = (Key, Key);

/// `ranges` sorted, with touching and overlapping ones joined.
pub(super) fn normalized(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut out: Vec<Range> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match out.last_mut() {
            Some(previous) if previous.1 >= first || previous.1 + 1 == first => {
                previous.1 = previous.1.max(last);
            }
            _ => out.push((first, last)),
        }
    }
    out
}

/// What of `from` is in none of `without`; both normalized.
pub(super) fn subtract(from: &[Range], without: &[Range]) -> Vec<Range> {
    let mut out = Vec::with_capacity(from.len() + without.len());
    let mut holes = without.iter().copied().peekable();
    for &(mut first, last) in from {
        while holes.next_if(|hole| hole.1 < first).is_some() {}
        let mut open = true;
        while let Some(&(start, end)) = holes.peek().filter(|hole| hole.0 <= last) {
            if start > first {
                out.push((first, start - 1));
            }
            if end >= last {
                open = false;
                break;
            }
            first = end + 1;
            holes.next();
        }
        if open {
            out.push((first, last));
        }
    }
    out
}

/// What is in both; both normalized.
pub(super) fn intersect(a: &[Range], b: &[Range]) -> Vec<Range> {
    let outside = subtract(&[(0, Key::MAX)], b);
    subtract(a, &outside)
}

/// How many addresses.
pub(super) fn count(ranges: &[Range]) -> u128 {
    ranges.iter().fold(0, |sum, (first, last)| u128::saturating_add(sum, (last - first).saturating_add(1)))
}

/// Disjoint ranges of VRFs, each leading to a number.
#[derive(Default)]
pub(super) struct RangeMap(BTreeMap<(u32, Key), (Key, u32)>);

impl RangeMap {
    pub(super) fn insert(&mut self, vrf: u32, (first, last): Range, value: u32) {
        self.0.insert((vrf, first), (last, value));
    }

    pub(super) fn remove(&mut self, value: u32) {
        self.0.retain(|_, &mut (_, other)| other != value);
    }

    pub(super) fn find(&self, vrf: u32, key: Key) -> Option<u32> {
        let (_, &(last, value)) = self.0.range((vrf, 0)..=(vrf, key)).next_back()?;
        (key <= last).then_some(value)
    }

    /// The values whose ranges touch this one, in address order; a value may come several times.
    pub(super) fn overlapping(&self, vrf: u32, (first, last): Range) -> impl Iterator<Item = u32> + '_ {
        let before = self.0.range((vrf, 0)..(vrf, first)).next_back().filter(|(_, (end, _))| *end >= first);
        before.into_iter().chain(self.0.range((vrf, first)..=(vrf, last))).map(|(_, &(_, value))| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(ranges: &[Range]) -> Vec<Key> {
        ranges.iter().flat_map(|&(first, last)| first..=last).collect()
    }

    #[test]
    fn set_operations_agree_with_membership() {
        // Every pair of subsets of 0..6, as ranges of single addresses.
        for a in 0..64_u32 {
            for b in 0..64_u32 {
                let of = |bits: u32| {
                    normalized(
                        (0..6).filter(|at| bits >> at & 1 == 1).map(|at| (at, at)).collect::<Vec<Range>>(),
                    )
                };
                let wanted = |bits: u32| (0..6).filter(|at| bits >> at & 1 == 1).collect::<Vec<Key>>();
                assert_eq!(members(&subtract(&of(a), &of(b))), wanted(a & !b));
                assert_eq!(members(&intersect(&of(a), &of(b))), wanted(a & b));
                assert_eq!(count(&of(a)), u128::from(a.count_ones()));
            }
        }
    }

    #[test]
    fn the_ends_of_the_space() {
        assert_eq!(subtract(&[(5, Key::MAX)], &[(7, Key::MAX)]), [(5, 6)]);
        assert_eq!(subtract(&[(0, Key::MAX)], &[(0, 0)]), [(1, Key::MAX)]);
        assert_eq!(normalized(vec![(3, Key::MAX), (9, Key::MAX)]), [(3, Key::MAX)]);
        assert_eq!(count(&[(0, Key::MAX)]), u128::MAX);
    }

    #[test]
    fn ranges_lead_to_values() {
        let mut map = RangeMap::default();
        map.insert(0, (10, 20), 1);
        map.insert(0, (30, 40), 2);
        map.insert(1, (0, 100), 3);
        assert_eq!([9, 10, 20, 21, 35].map(|key| map.find(0, key)), [None, Some(1), Some(1), None, Some(2)]);
        assert_eq!(map.overlapping(0, (15, 30)).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(map.overlapping(0, (21, 29)).count(), 0);
        map.remove(1);
        assert_eq!(map.find(0, 15), None);
        assert_eq!(map.find(1, 15), Some(3));
    }
}
