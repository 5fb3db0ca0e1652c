//! The rows of the four tables: what is in which, and how it is read back. Every row is sealed by [`super::row`].

use std::net::IpAddr;

use redb::TableDefinition;

use allotment_core::{Object, ObjectKey, ObjectKind, Timestamp};

use crate::bytes::{self, Malformed, Reader};

use super::row::{self, RowError};

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// One row, [`HEADER_KEY`]: that this is a ledger, of which format, and which one.
pub(super) const META: Table = TableDefinition::new("meta");
/// Sequence → the records that one commit changed, as they were afterwards.
pub(super) const JOURNAL: Table = TableDefinition::new("journal");
/// Base and VRF → all records of a block, as of some sequence.
pub(super) const BLOCKS: Table = TableDefinition::new("blocks");
/// Kind and name → the object.
pub(super) const OBJECTS: Table = TableDefinition::new("objects");

/// The format this program writes, and the newest it reads.
pub(super) const FORMAT: u32 = 1;
pub(super) const HEADER_KEY: &[u8] = b"header";
const MAGIC: [u8; 8] = *b"allotldg";

/// Versions of the rows' payloads. A changed payload gets a new number, and the old one stays readable.
const HEADER_VERSION: u8 = 1;
const JOURNAL_VERSION: u8 = 1;
const BLOCK_VERSION: u8 = 1;
const OBJECT_VERSION: u8 = 1;

/// The row that says whose file this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) format: u32,
    /// Drawn when the ledger was made; tells two ledgers apart.
    pub(super) id: u128,
}

impl Header {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut row = row::begin(HEADER_VERSION);
        row.extend_from_slice(&MAGIC);
        row.extend_from_slice(&self.format.to_le_bytes());
        row.extend_from_slice(&self.id.to_le_bytes());
        row::seal(HEADER_KEY, row)
    }

    pub(super) fn decode(row: &[u8]) -> Result<Header, RowError> {
        let mut reader = row::open(HEADER_KEY, row, HEADER_VERSION)?;
        if reader.array()? != MAGIC {
            return Err(Malformed("it does not say that this is a ledger").into());
        }
        // What a newer format has after these two is its own affair.
        Ok(Header {
            format: reader.array().map(u32::from_le_bytes)?,
            id: reader.array().map(u128::from_le_bytes)?,
        })
    }
}

/// What a journal row says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) at: Timestamp,
    /// From which sequence on the journal has to be read: every older change is in its block's row. As of this commit.
    pub(super) tail: u64,
    /// Bytes of all journal rows ever written before this one.
    pub(super) before: u64,
}

/// Where the head lies in a journal row: after the version.
const HEAD: std::ops::Range<usize> = 1..25;

pub(super) fn journal_key(sequence: u64) -> [u8; 8] {
    sequence.to_be_bytes()
}

pub(super) fn journal_sequence(key: &[u8]) -> Result<u64, RowError> {
    key.try_into().map(u64::from_be_bytes).map_err(|_| Malformed("its key is no sequence").into())
}

/// Writes a journal row. VRF names are numbered as they first appear.
pub(super) struct JournalWriter<'a> {
    row: Vec<u8>,
    names: Vec<&'a str>,
}

impl<'a> JournalWriter<'a> {
    pub(super) fn new() -> JournalWriter<'a> {
        let mut row = row::begin(JOURNAL_VERSION);
        row.resize(HEAD.end, 0);
        JournalWriter { row, names: Vec::new() }
    }

    /// Adds what one address's record is now.
    pub(super) fn record(&mut self, vrf: &'a str, address: IpAddr, record: &[u8]) {
        let known = self.names.iter().position(|&name| name == vrf);
        bytes::put_number(&mut self.row, known.unwrap_or(self.names.len()) as u64);
        if known.is_none() {
            bytes::put_bytes(&mut self.row, vrf.as_bytes());
            self.names.push(vrf);
        }
        self.row.extend_from_slice(&bytes::address_bytes(address));
        bytes::put_bytes(&mut self.row, record);
    }

    /// How long the row will be.
    pub(super) fn len(&self) -> u64 {
        self.row.len() as u64 + 4
    }

    pub(super) fn finish(mut self, sequence: u64, head: Head) -> Vec<u8> {
        let head = [head.at.0, head.tail, head.before].map(u64::to_le_bytes);
        self.row[HEAD].copy_from_slice(head.as_flattened());
        row::seal(&journal_key(sequence), self.row)
    }
}

/// One record of a journal row: VRF, address, and bytes.
pub(super) type Changed<'a> = (&'a str, IpAddr, &'a [u8]);

/// Checks a journal row; returns its head and its records.
pub(super) fn open_journal<'a>(key: &[u8], row: &'a [u8]) -> Result<(Head, Changes<'a>), RowError> {
    let mut reader = row::open(key, row, JOURNAL_VERSION)?;
    let head = Head { at: Timestamp(reader.u64()?), tail: reader.u64()?, before: reader.u64()? };
    Ok((head, Changes { reader, names: Vec::new() }))
}

/// A journal row's head, unchecked: for rows that no load reads any more.
pub(super) fn head(row: &[u8]) -> Option<Head> {
    let (numbers, _) = row.get(HEAD)?.as_chunks::<8>();
    let [at, tail, before] = *<&[[u8; 8]; 3]>::try_from(numbers).ok()?;
    let number = u64::from_le_bytes;
    Some(Head { at: Timestamp(number(at)), tail: number(tail), before: number(before) })
}

/// The records of a journal row.
pub(super) struct Changes<'a> {
    reader: Reader<'a>,
    names: Vec<&'a str>,
}

impl<'a> Changes<'a> {
    fn one(&mut self) -> Result<Changed<'a>, RowError> {
        let number = self.reader.number()?;
        if number == self.names.len() {
            self.names.push(self.reader.text()?);
        }
        let vrf = *self.names.get(number).ok_or(Malformed("a record in it is of no VRF"))?;
        let address = bytes::address_of(self.reader.array()?);
        Ok((vrf, address, self.reader.bytes()?))
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Result<Changed<'a>, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.reader.is_empty()).then(|| self.one())
    }
}

pub(super) fn block_key(vrf: &str, base: IpAddr) -> Vec<u8> {
    let mut key = bytes::address_bytes(base).to_vec();
    key.extend_from_slice(vrf.as_bytes());
    key
}

/// VRF and base of a block.
pub(super) fn block_of(key: &[u8]) -> Result<(&str, IpAddr), RowError> {
    let (base, vrf) = key.split_first_chunk().ok_or(Malformed("its key is no block"))?;
    let vrf = std::str::from_utf8(vrf).map_err(|_| Malformed("its VRF is not UTF-8"))?;
    Ok((vrf, bytes::address_of(*base)))
}

/// Writes a block's row.
pub(super) struct BlockWriter(Vec<u8>);

impl BlockWriter {
    /// `folded_at`: the sequence up to which changes are in it.
    pub(super) fn new(folded_at: u64) -> BlockWriter {
        let mut row = row::begin(BLOCK_VERSION);
        row.extend_from_slice(&folded_at.to_le_bytes());
        BlockWriter(row)
    }

    pub(super) fn record(&mut self, offset: u8, record: &[u8]) {
        self.0.push(offset);
        bytes::put_bytes(&mut self.0, record);
    }

    pub(super) fn finish(self, key: &[u8]) -> Vec<u8> {
        row::seal(key, self.0)
    }
}

/// Checks a block's row; returns `folded_at` and its records.
pub(super) fn open_block<'a>(key: &[u8], row: &'a [u8]) -> Result<(u64, Records<'a>), RowError> {
    let mut reader = row::open(key, row, BLOCK_VERSION)?;
    Ok((reader.u64()?, Records(reader)))
}

/// The records of a block's row: place in the block, and bytes.
pub(super) struct Records<'a>(Reader<'a>);

impl<'a> Iterator for Records<'a> {
    type Item = Result<(u8, &'a [u8]), RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| Ok((self.0.u8()?, self.0.bytes()?)))
    }
}

/// The address at a place of a block.
pub(super) fn at_offset(base: IpAddr, offset: u8) -> IpAddr {
    let mut bytes = bytes::address_bytes(base);
    bytes[15] = offset;
    bytes::address_of(bytes)
}

/// An address's place in its block.
pub(super) fn offset_of(address: IpAddr) -> u8 {
    bytes::address_bytes(address)[15]
}

/// In the order of keys, objects can be put into an empty state: a pool needs its subnet.
pub(super) fn object_key(key: &ObjectKey) -> Vec<u8> {
    let kind = match key.kind {
        ObjectKind::Subnet => 1,
        ObjectKind::IPPool => 2,
        ObjectKind::Reservation => 3,
    };
    [&[kind], key.name.as_bytes()].concat()
}

pub(super) fn encode_object(key: &[u8], object: &Object) -> Vec<u8> {
    let mut row = row::begin(OBJECT_VERSION);
    serde_json::to_writer(&mut row, object).expect("objects have no maps with keys other than strings");
    row::seal(key, row)
}

pub(super) fn decode_object(key: &[u8], row: &[u8]) -> Result<Object, RowError> {
    let reader = row::open(key, row, OBJECT_VERSION)?;
    let object: Object =
        serde_json::from_slice(reader.rest()).map_err(|_| Malformed("its JSON is no object"))?;
    if object_key(&object.key()) == key { Ok(object) } else { Err(Malformed("it is another object").into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn journal_rows_come_back() {
        let changes: [Changed<'_>; 4] = [
            ("default", address("10.0.0.1"), b"one"),
            ("red", address("fd00::1"), b""),
            ("default", address("10.0.0.2"), b"two"),
            ("red", address("10.0.0.1"), &[7; 300]),
        ];
        let mut writer = JournalWriter::new();
        for (vrf, address, record) in changes {
            writer.record(vrf, address, record);
        }
        let length = writer.len();
        let head = Head { at: Timestamp(5), tail: 3, before: 1 << 40 };
        let row = writer.finish(9, head);
        assert_eq!(row.len() as u64, length);
        let (found, read) = open_journal(&journal_key(9), &row).unwrap();
        assert_eq!(found, head);
        assert_eq!(super::head(&row), Some(head));
        assert_eq!(super::head(&row[..20]), None);
        assert_eq!(read.collect::<Result<Vec<_>, _>>().unwrap(), changes);
        assert_eq!(
            open_journal(&journal_key(8), &row).err(),
            Some(RowError::Sum),
            "a row under another sequence"
        );
    }

    #[test]
    fn block_rows_come_back() {
        let key = block_key("default", address("10.0.7.0"));
        assert_eq!(block_of(&key), Ok(("default", address("10.0.7.0"))));
        let mut writer = BlockWriter::new(77);
        writer.record(0, b"zero");
        writer.record(255, b"last");
        let row = writer.finish(&key);
        let (folded_at, records) = open_block(&key, &row).unwrap();
        assert_eq!(folded_at, 77);
        assert_eq!(
            records.collect::<Result<Vec<_>, _>>().unwrap(),
            [(0, b"zero".as_slice()), (255, b"last")]
        );
        assert_eq!(at_offset(address("10.0.7.0"), 255), address("10.0.7.255"));
        assert_eq!(at_offset(address("fd00::"), 1), address("fd00::1"));
    }

    #[test]
    fn objects_sort_so_that_they_can_be_put() {
        let key = |kind, name: &str| object_key(&ObjectKey { kind, name: name.to_owned() });
        assert!(key(ObjectKind::Subnet, "z") < key(ObjectKind::IPPool, "a"));
        assert!(key(ObjectKind::IPPool, "z") < key(ObjectKind::Reservation, "a"));
    }

    #[test]
    fn a_header_of_a_newer_format_is_still_read() {
        let header = Header { format: FORMAT + 1, id: 42 };
        assert_eq!(Header::decode(&header.encode()), Ok(header));
    }
}
