//! A block's records by columns: every record comes back, byte for byte.

use allotment_core::{Allocation, Columns};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use crate::cases;
use crate::codec::{allocation, encoded};

type Records = Vec<(u8, Vec<u8>)>;

fn split(records: &Records) -> Option<Columns> {
    Columns::split(records.iter().map(|(offset, record)| (*offset, record.as_slice())))
}

fn groups(columns: &Columns) -> Vec<Vec<u8>> {
    let all = Columns::GROUPS
        .into_iter()
        .flat_map(|group| columns.group(group).map(<[u8]>::to_vec).collect::<Vec<_>>());
    all.collect()
}

fn join(columns: &[Vec<u8>]) -> Option<Records> {
    let mut records = Records::new();
    Columns::join(columns.iter().map(Vec::as_slice), |offset, record| {
        records.push((offset, record.to_vec()));
    })?;
    Some(records)
}

/// Records of one block, the last ones like the first ones: texts of one field share what they begin with.
fn records() -> impl Strategy<Value = Records> {
    (vec(allocation(), 0..6), btree_set(any::<u8>(), 0..30)).prop_map(|(known, offsets)| {
        let alike = |(at, offset): (usize, u8)| {
            let mut allocation: Allocation = known.get(at % known.len().max(1))?.clone();
            allocation.owner.name = format!("{}-{at}", allocation.owner.name);
            Some((offset, encoded(&allocation)))
        };
        offsets.into_iter().enumerate().filter_map(alike).collect()
    })
}

#[test]
fn every_record_comes_back() {
    cases::run(300, &records(), |records| {
        let columns = split(&records).expect("they are records");
        assert_eq!(join(&groups(&columns)), Some(records));
    });
}

#[test]
fn what_is_no_record_is_not_taken_apart() {
    cases::run(50, &allocation(), |allocation| {
        let record = encoded(&allocation);
        let longer = [&record[..], &[0]].concat();
        assert_eq!(split(&vec![(3, longer)]), None);
        for end in 0..record.len() {
            assert_eq!(split(&vec![(3, record[..end].to_vec())]), None, "{end}");
        }
        assert_eq!(split(&vec![(3, record.clone()), (3, record.clone())]), None, "in disorder");
        assert!(split(&vec![(3, record.clone()), (255, record)]).is_some());
    });
}

#[test]
fn columns_that_were_changed_are_no_records_or_others() {
    let changes = (records(), any::<usize>(), any::<usize>(), any::<u8>(), any::<bool>());
    cases::run(600, &changes, |(records, column, at, byte, is_longer)| {
        let mut columns = groups(&split(&records).expect("they are records"));
        let (column, is_whole) = (column % columns.len(), columns.clone());
        let length = columns[column].len();
        match columns[column].get_mut(at % length.max(1)) {
            Some(old) if !is_longer => *old = byte,
            _ => columns[column].push(byte),
        }
        // Whatever is put together is what would be taken apart so.
        if let Some(other) = join(&columns) {
            assert_eq!(other == records, columns == is_whole);
        }
        columns.pop();
        assert_eq!(join(&columns), None, "a column is missing");
    });
}
