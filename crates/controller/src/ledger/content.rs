//! What is packed: how often the object was written, what it is, and its content.
//!
//! ```text
//!   whole     written (number)  1  VRF (bytes)  base (16 bytes)  then per record: offset (1 byte), record (bytes)
//!             written (number)  2  {"kind": "Subnet", "spec": {…}}
//!             written (number)  3  {"epoch": 0, "settled": 0}
//!   in parts  written (number)  VRF (bytes)  base (16 bytes)  then the shape of its records, column by column (bytes each)
//!             words, numbers, ids of its records, each column by column (bytes each)
//! ```
//!
//! `written` is one more with every write: of two versions of an object the lower one is the older. A block is written in
//! parts, unless one of its records is of a kind that this program does not know. Numbers, bytes and addresses are those of
//! every ledger ([`allotment_engine::bytes`]); a record's own bytes and columns are core's.

use std::net::IpAddr;

use allotment_core::{Columns, Object};
use allotment_engine::bytes::{Malformed, Reader, address_bytes, address_of, put_bytes, put_number};
use serde::{Deserialize, Serialize};

use super::name::Of;
use super::pack::{self, Unpacked, Unreadable};

const BLOCK: u8 = 1;
const OBJECT: u8 = 2;
const LEDGER: u8 = 3;

/// What an object of the ledger holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) written: u64,
    pub(super) body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Ledger(Epochs),
    Object(Box<Object>),
    Block { vrf: String, base: IpAddr, records: Records },
}

/// When the ledger was set back last (L6), and after which of these times all nodes have said what they use.
///
/// An epoch is named by the time when it began, in seconds since 1970: so it is a new one even where all that tells of the
/// epochs before was set back too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Epochs {
    pub(super) epoch: u64,
    pub(super) settled: u64,
}

impl Epochs {
    /// The epoch under which not every node has said yet what it uses.
    pub(super) fn open(self) -> Option<u64> {
        (self.settled < self.epoch).then_some(self.epoch)
    }
}

/// The address at a place of a block.
pub(super) fn at(base: IpAddr, offset: u8) -> IpAddr {
    let mut bytes = address_bytes(base);
    bytes[15] = offset;
    address_of(bytes)
}

/// The records of a block, ascending: offset, and bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records(Vec<u8>);

impl Records {
    pub(super) fn push(&mut self, offset: u8, record: &[u8]) {
        self.0.push(offset);
        put_bytes(&mut self.0, record);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut reader = Reader::new(&self.0);
        std::iter::from_fn(move || {
            (!reader.is_empty()).then(|| {
                let record = reader.u8().and_then(|offset| Ok((offset, reader.bytes()?)));
                record.expect("it was checked when it was read")
            })
        })
    }

    fn check(bytes: &[u8]) -> Result<Records, Malformed> {
        let mut reader = Reader::new(bytes);
        let mut last = None;
        while !reader.is_empty() {
            let offset = reader.u8()?;
            if last.is_some_and(|last| last >= offset) {
                return Err(Malformed("its records are in disorder"));
            }
            last = Some(offset);
            reader.bytes()?;
        }
        Ok(Records(bytes.to_vec()))
    }
}

impl Content {
    pub(super) fn of(&self) -> Of {
        match &self.body {
            Body::Ledger(_) => Of::Ledger,
            Body::Object(object) => Of::Object(object.key()),
            Body::Block { vrf, base, .. } => Of::Block { vrf: vrf.clone(), base: *base },
        }
    }

    pub(super) fn pack(&self, name: &str) -> String {
        match self.parts() {
            Some(parts) => pack::parts(name, &parts),
            None => pack::whole(name, &self.encode()),
        }
    }

    pub(super) fn unpack(name: &str, data: &str) -> Result<Content, Unreadable> {
        let content = match pack::unpack(name, data)? {
            Unpacked::Whole(bytes) => Content::decode(&bytes),
            Unpacked::Parts(parts) => Content::of_parts(&parts),
        };
        let content = content.map_err(|Malformed(why)| Unreadable::Damaged(why))?;
        if content.of().name() == name {
            Ok(content)
        } else {
            Err(Unreadable::Damaged("it says that it is another object"))
        }
    }

    /// A block's parts: one for each group of columns.
    fn parts(&self) -> Option<Vec<Vec<u8>>> {
        let Body::Block { vrf, base, records } = &self.body else { return None };
        let columns = Columns::split(records.iter())?;
        let parts = Columns::GROUPS.map(|group| {
            let mut part = Vec::new();
            if group.start == 0 {
                put_number(&mut part, self.written);
                put_bytes(&mut part, vrf.as_bytes());
                part.extend_from_slice(&address_bytes(*base));
            }
            columns.group(group).for_each(|column| put_bytes(&mut part, column));
            part
        });
        Some(parts.into())
    }

    fn of_parts(parts: &[Vec<u8>]) -> Result<Content, Malformed> {
        let mut readers: Vec<Reader<'_>> = parts.iter().map(|part| Reader::new(part)).collect();
        let first = readers.first_mut().ok_or(Malformed("it has no parts"))?;
        let (written, vrf) = (first.number()? as u64, first.text()?.to_owned());
        let base = base_of(first.array()?)?;
        let mut columns = Vec::new();
        for mut reader in readers {
            while !reader.is_empty() {
                columns.push(reader.bytes()?);
            }
        }
        let mut records = Records::default();
        Columns::join(columns.into_iter(), |offset, record| records.push(offset, record))
            .ok_or(Malformed("its columns are no records"))?;
        Ok(Content { written, body: Body::Block { vrf, base, records } })
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_number(&mut out, self.written);
        let json = "what is written here has no maps with keys other than strings";
        match &self.body {
            Body::Block { vrf, base, records } => {
                out.push(BLOCK);
                put_bytes(&mut out, vrf.as_bytes());
                out.extend_from_slice(&address_bytes(*base));
                out.extend_from_slice(&records.0);
            }
            Body::Object(object) => {
                out.push(OBJECT);
                serde_json::to_writer(&mut out, object).expect(json);
            }
            Body::Ledger(epochs) => {
                out.push(LEDGER);
                serde_json::to_writer(&mut out, epochs).expect(json);
            }
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Content, Malformed> {
        let mut reader = Reader::new(bytes);
        let written = reader.number()? as u64;
        let no_json = |_| Malformed("its JSON cannot be read");
        let body = match reader.u8()? {
            BLOCK => {
                let (vrf, base) = (reader.text()?.to_owned(), base_of(reader.array()?)?);
                Body::Block { vrf, base, records: Records::check(reader.rest())? }
            }
            OBJECT => Body::Object(serde_json::from_slice(reader.rest()).map_err(no_json)?),
            LEDGER => Body::Ledger(serde_json::from_slice(reader.rest()).map_err(no_json)?),
            _ => return Err(Malformed("it is neither block nor object")),
        };
        Ok(Content { written, body })
    }
}

fn base_of(bytes: [u8; 16]) -> Result<IpAddr, Malformed> {
    if bytes[15] == 0 { Ok(address_of(bytes)) } else { Err(Malformed("it begins in the middle of a block")) }
}

#[cfg(test)]
mod tests;
