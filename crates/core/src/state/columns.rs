//! The records of a block, field by field: like beside like compresses well, and what is random (ids, MACs) is kept from
//! what is not. Nothing is understood here but where a field ends, so whatever is split comes back byte for byte.
//!
//! ```text
//!   shape    offset, as what was left out since the last one; state choice pick flags; of each text its mark,
//!            and how many bytes it shares with the last one of its field
//!   words    the rest of each text
//!   numbers  since, MAC: the first byte of all, then the second of all …; the numbers of netns, others
//!   ids      UUIDs and container ids, whole: one that occurs again is found
//! ```

use std::ops::Range;

use super::codec::{FLAG_MAC, FLAG_SECOND};
use super::text::{HEX, LONG, SAME, UUID};

const OFFSET: usize = 0;
/// State, choice, pick, flags.
const HEAD: Range<usize> = 1..5;
const MARK: usize = 5;
const SHARED: usize = MARK + Field::COUNT;
const WORD: usize = SHARED + Field::COUNT;
const SINCE: Range<usize> = WORD + Field::COUNT..WORD + Field::COUNT + 8;
const MAC: Range<usize> = SINCE.end..SINCE.end + 6;
const NUMBER: usize = MAC.end;
const ID: usize = NUMBER + 1;
const COUNT: usize = ID + 1;

/// A text of a record; texts of one field are much alike.
#[derive(Clone, Copy)]
enum Field {
    Kind,
    Namespace,
    Network,
    Interface,
    Node,
    Uid,
    Name,
    Holder,
    Container,
    Boot,
    Path,
    SecondHolder,
    SecondContainer,
    SecondNetwork,
    SecondInterface,
    SecondNode,
}

/// The texts of every record, in their order.
const FIRST: [Field; 9] = [
    Field::Kind,
    Field::Namespace,
    Field::Network,
    Field::Interface,
    Field::Node,
    Field::Uid,
    Field::Name,
    Field::Holder,
    Field::Container,
];

/// The texts of a second holder.
const SECOND: [Field; 5] = [
    Field::SecondHolder,
    Field::SecondContainer,
    Field::SecondNetwork,
    Field::SecondInterface,
    Field::SecondNode,
];

impl Field {
    const COUNT: usize = Field::SecondNode as usize + 1;
}

/// The records of a block by columns; see the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns(Vec<Vec<u8>>);

impl Columns {
    /// Which columns are like each other: shape, words, numbers, ids.
    pub const GROUPS: [Range<usize>; 4] = [OFFSET..WORD, WORD..SINCE.start, SINCE.start..ID, ID..COUNT];

    /// Takes records apart: offset and bytes, ascending. `None`: one of them is no record of this version.
    pub fn split<'a>(records: impl Iterator<Item = (u8, &'a [u8])>) -> Option<Columns> {
        let mut columns = vec![Vec::new(); COUNT];
        let mut split = Split { record: &[], columns: &mut columns, last: Default::default() };
        let mut next = 0;
        for (offset, record) in records {
            split.columns[OFFSET].push(u8::try_from(u16::from(offset).checked_sub(next)?).ok()?);
            next = u16::from(offset) + 1;
            split.record = record;
            walk(&mut split)?;
            if !split.record.is_empty() {
                return None;
            }
        }
        Some(Columns(columns))
    }

    /// The bytes of a group's columns.
    pub fn group(&self, group: Range<usize>) -> impl Iterator<Item = &[u8]> {
        self.0[group].iter().map(Vec::as_slice)
    }

    /// Puts records together again and hands each to `take`. `None`: these are not all the columns of a block, and what was
    /// handed over means nothing.
    pub fn join<'a>(columns: impl Iterator<Item = &'a [u8]>, mut take: impl FnMut(u8, &[u8])) -> Option<()> {
        let mut columns: Vec<&[u8]> = columns.collect();
        if columns.len() != COUNT {
            return None;
        }
        let left_out = std::mem::take(&mut columns[OFFSET]);
        let mut join = Join { record: Vec::new(), columns, last: Default::default() };
        let mut next = 0;
        for &more in left_out {
            let offset = u8::try_from(next + u16::from(more)).ok()?;
            next = u16::from(offset) + 1;
            join.record.clear();
            walk(&mut join)?;
            take(offset, &join.record);
        }
        join.columns.iter().all(|column| column.is_empty()).then_some(())
    }
}

/// Carries a record's fields from one form to the other, in their order.
trait Carry {
    fn byte(&mut self, column: usize) -> Option<u8>;
    /// The bytes of an id, packed.
    fn id(&mut self, length: usize) -> Option<()>;
    /// The bytes of a text that is no id.
    fn plain(&mut self, field: Field, length: usize) -> Option<()>;

    fn each(&mut self, columns: Range<usize>) -> Option<()> {
        columns.into_iter().try_for_each(|column| self.byte(column).map(drop))
    }

    /// A text with its mark (format: `text`).
    fn text(&mut self, field: Field) -> Option<()> {
        let mark = MARK + field as usize;
        match self.byte(mark)? {
            SAME => Some(()),
            UUID => self.id(16),
            HEX => self.id(32),
            LONG => {
                let length = u16::from_le_bytes([self.byte(mark)?, self.byte(mark)?]);
                self.plain(field, usize::from(length))
            }
            short if short < LONG => self.plain(field, usize::from(short)),
            _ => None,
        }
    }
}

/// What a record is made of (format: `codec`).
fn walk(carry: &mut impl Carry) -> Option<()> {
    carry.each(HEAD.start..HEAD.end - 1)?;
    let flags = carry.byte(HEAD.end - 1)?;
    carry.each(SINCE)?;
    if flags & FLAG_MAC != 0 {
        carry.each(MAC)?;
    }
    FIRST.into_iter().try_for_each(|field| carry.text(field))?;
    walk_netns(carry)?;
    if flags & FLAG_SECOND != 0 {
        SECOND.into_iter().try_for_each(|field| carry.text(field))?;
        walk_netns(carry)?;
        carry.byte(NUMBER)?;
    }
    Some(())
}

fn walk_netns(carry: &mut impl Carry) -> Option<()> {
    if carry.byte(NUMBER)? == 0 {
        return Some(());
    }
    (0..24).try_for_each(|_| carry.byte(NUMBER).map(drop))?;
    carry.text(Field::Boot)?;
    carry.text(Field::Path)
}

/// From a record to columns.
struct Split<'a, 'c> {
    record: &'a [u8],
    columns: &'c mut [Vec<u8>],
    /// The last text of each field.
    last: [&'a [u8]; Field::COUNT],
}

impl<'a> Split<'a, '_> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.record.split_at_checked(count)?;
        self.record = rest;
        Some(taken)
    }
}

impl Carry for Split<'_, '_> {
    fn byte(&mut self, column: usize) -> Option<u8> {
        let byte = self.take(1)?[0];
        self.columns[column].push(byte);
        Some(byte)
    }

    fn id(&mut self, length: usize) -> Option<()> {
        let id = self.take(length)?;
        self.columns[ID].extend_from_slice(id);
        Some(())
    }

    fn plain(&mut self, field: Field, length: usize) -> Option<()> {
        let text = self.take(length)?;
        let last = std::mem::replace(&mut self.last[field as usize], text);
        let alike = text.iter().zip(last).take(usize::from(u8::MAX)).take_while(|(a, b)| a == b).count();
        self.columns[SHARED + field as usize].push(u8::try_from(alike).expect("no more were looked at"));
        self.columns[WORD + field as usize].extend_from_slice(&text[alike..]);
        Some(())
    }
}

/// From columns to a record.
struct Join<'a> {
    record: Vec<u8>,
    columns: Vec<&'a [u8]>,
    last: [Vec<u8>; Field::COUNT],
}

impl<'a> Join<'a> {
    fn take(&mut self, column: usize, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.columns[column].split_at_checked(count)?;
        self.columns[column] = rest;
        Some(taken)
    }
}

impl Carry for Join<'_> {
    fn byte(&mut self, column: usize) -> Option<u8> {
        let byte = self.take(column, 1)?[0];
        self.record.push(byte);
        Some(byte)
    }

    fn id(&mut self, length: usize) -> Option<()> {
        let id = self.take(ID, length)?;
        self.record.extend_from_slice(id);
        Some(())
    }

    fn plain(&mut self, field: Field, length: usize) -> Option<()> {
        let alike = usize::from(self.take(SHARED + field as usize, 1)?[0]);
        let rest = self.take(WORD + field as usize, length.checked_sub(alike)?)?;
        let last = &mut self.last[field as usize];
        if alike > last.len() {
            return None;
        }
        last.truncate(alike);
        last.extend_from_slice(rest);
        self.record.extend_from_slice(last);
        Some(())
    }
}
