//! What is no sound ledger is refused in clear words, and not a byte of it changes.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use allotment_engine::conformance::{Content, World, ended, pod, subnet};
use allotment_engine::{EmbeddedLedger, LedgerError};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use tempfile::TempDir;

use crate::sim_disk::SimDisk;

type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;
const META: Rows = TableDefinition::new("meta");
const JOURNAL: Rows = TableDefinition::new("journal");
const BLOCKS: Rows = TableDefinition::new("blocks");

fn open(disk: &SimDisk) -> Result<World<EmbeddedLedger>, LedgerError> {
    let ledger = EmbeddedLedger::open_disk(Arc::new(disk.clone()), "the ledger")?;
    World::load(ledger.with_journal_budget(60_000))
}

/// A ledger with objects, folded blocks and a journal.
struct Sound {
    /// As it lies after a clean stop.
    clean: Vec<u8>,
    /// As it lies while it is in use, or after the machine stopped.
    in_use: Vec<u8>,
    content: Content,
    /// Before the last commit.
    previous: Content,
}

fn sound() -> Sound {
    let disk = SimDisk::default();
    EmbeddedLedger::create_disk(Arc::new(disk.clone()), "the ledger", 1).unwrap();
    let mut world = open(&disk).unwrap();
    world.put(subnet("a", "default", &["10.0.0.0/22"])).unwrap();
    let mut previous = world.content();
    for n in 0..30 {
        world.allocate(&(n * 20..n * 20 + 20).map(|n| pod(n, "a")).collect::<Vec<_>>()).unwrap();
        previous = world.content();
        world.release(&[ended(n * 20)]).unwrap();
    }
    let (in_use, content) = (disk.bytes(), world.content());
    drop(world);
    Sound { clean: disk.bytes(), in_use, content, previous }
}

/// Opens a file that may be damaged; whether it is refused or not, it stays as it is.
fn try_open(bytes: &[u8], what: &str) -> Result<Content, LedgerError> {
    let disk = SimDisk::of(bytes.to_vec());
    let opened = open(&disk).map(|world| world.content());
    assert!(disk.bytes() == bytes, "{what}: opening changed the file");
    opened
}

#[test]
fn opening_and_closing_changes_nothing() {
    let sound = sound();
    try_open(&sound.clean, "clean").unwrap().assert_same(&sound.content, "after a clean stop");
    try_open(&sound.in_use, "in use").unwrap().assert_same(&sound.content, "in use");
}

/// Damages a byte in every page, at another place in each, and every byte of the header. Counts what was refused, what
/// did no harm, and what looked like a stop within the last commit.
fn damage(bytes: &[u8], sound: &Sound, what: &str) -> [u32; 3] {
    let mut outcomes = [0; 3];
    for place in (0..320).chain((320..bytes.len()).step_by(2039)) {
        let mut bad = bytes.to_vec();
        bad[place] ^= 0x5a;
        let what = format!("{what}, byte {place}");
        let outcome = match try_open(&bad, &what) {
            Err(error) => {
                assert!(!error.to_string().is_empty() && !error.hint().is_empty());
                0
            }
            Ok(content) if content == sound.previous => 2,
            Ok(content) => {
                content.assert_same(&sound.content, &what);
                1
            }
        };
        outcomes[outcome] += 1;
    }
    outcomes
}

#[test]
fn a_damaged_byte_is_noticed_or_does_no_harm() {
    let sound = sound();
    let [refused, harmless, older] = damage(&sound.clean, &sound, "clean");
    assert!(refused > 50 && harmless > 50, "{refused} refused, {harmless} harmless");
    assert_eq!(older, 0, "after a clean stop nothing may go missing");
}

#[test]
fn after_a_stop_damage_to_the_last_commit_alone_looks_like_a_commit_cut_off() {
    let sound = sound();
    let [refused, harmless, older] = damage(&sound.in_use, &sound, "in use");
    assert!(refused > 30 && harmless > 50, "{refused} refused, {harmless} harmless");
    // Its slot in the header, and the pages it wrote: redb cannot tell these from a torn commit, nor could anybody.
    assert!(older < 200, "{older} times the ledger was one commit older");
}

#[test]
fn a_truncated_file_is_refused() {
    let sound = sound();
    for bytes in [sound.clean, sound.in_use] {
        for length in (0..bytes.len()).step_by(3001) {
            let error = try_open(&bytes[..length], &format!("{length} bytes")).unwrap_err();
            let expected = matches!(error, LedgerError::Foreign { .. } | LedgerError::Damaged { .. });
            assert!(expected, "{length}: {error}");
        }
    }
}

#[test]
fn what_is_no_ledger_is_called_so() {
    let refused = |bytes: &[u8]| try_open(bytes, "foreign").unwrap_err().to_string();
    assert_eq!(refused(b""), "the ledger is no ledger of Allotment: it is empty");
    assert_eq!(
        refused(&b"a letter".repeat(10_000)),
        "the ledger is no ledger of Allotment: it is no redb database"
    );
    let other = altered(|_| ());
    assert_eq!(
        refused(&other),
        "the ledger is no ledger of Allotment: it is a redb database of something else"
    );
}

/// A redb database after `alter`, as bytes.
fn altered(alter: impl FnOnce(&redb::WriteTransaction)) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    alter_file(&path, alter);
    fs::read(path).unwrap()
}

fn alter_file(path: &Path, alter: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::create(path).unwrap();
    let txn = database.begin_write().unwrap();
    alter(&txn);
    txn.commit().unwrap();
}

/// Changes the rows of a sound ledger behind its back, with redb's own sums right; returns what opening says.
fn tampered(alter: impl FnOnce(&redb::WriteTransaction)) -> String {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, sound().clean).unwrap();
    alter_file(&path, alter);
    match try_open(&fs::read(&path).unwrap(), "tampered") {
        Ok(_) => "nothing was noticed".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Ends a row as the ledger does.
fn seal(key: &[u8], mut row: Vec<u8>) -> Vec<u8> {
    let sum = crc32fast::hash(&[key, &row].concat());
    row.extend_from_slice(&sum.to_le_bytes());
    row
}

#[test]
fn a_newer_ledger_is_left_to_a_newer_program() {
    let header = |format: u32| {
        let row = [&[1], b"allotldg".as_slice(), &format.to_le_bytes(), &[7; 16]].concat();
        seal(b"header", row)
    };
    let put = |row: Vec<u8>| {
        tampered(move |txn| {
            txn.open_table(META).unwrap().insert(b"header".as_slice(), row.as_slice()).unwrap();
        })
    };
    assert_eq!(put(header(2)), "the ledger is in format 2; this program knows formats up to 1");
    // What a newer format may have added does not hide its number.
    let mut longer = header(7);
    longer.truncate(longer.len() - 4);
    longer.extend_from_slice(b"more");
    assert_eq!(put(seal(b"header", longer)), "the ledger is in format 7; this program knows formats up to 1");
    let newer_row = tampered(|txn| {
        let mut blocks = txn.open_table(BLOCKS).unwrap();
        let key = blocks.first().unwrap().unwrap().0.value().to_vec();
        blocks.insert(key.as_slice(), seal(&key, vec![9, 1, 2, 3]).as_slice()).unwrap();
    });
    assert!(newer_row.ends_with("it is in version 9, which this program does not know"), "{newer_row}");
}

#[test]
fn rows_that_are_not_as_we_left_them_are_named() {
    let gap = tampered(|txn| {
        let mut journal = txn.open_table(JOURNAL).unwrap();
        let keys: Vec<Vec<u8>> = journal.iter().unwrap().map(|row| row.unwrap().0.value().to_vec()).collect();
        journal.remove(keys[keys.len() - 2].as_slice()).unwrap();
    });
    assert!(gap.starts_with("the ledger is damaged: journal row ") && gap.ends_with(" is missing"), "{gap}");
    let headless = tampered(|txn| {
        txn.open_table(JOURNAL).unwrap().retain(|_, _| false).unwrap();
    });
    assert!(headless.ends_with("it is newer than the journal"), "{headless}");
    let flipped = tampered(|txn| {
        let mut blocks = txn.open_table(BLOCKS).unwrap();
        let (key, mut row) = {
            let (key, row) = blocks.first().unwrap().unwrap();
            (key.value().to_vec(), row.value().to_vec())
        };
        row[20] ^= 1;
        blocks.insert(key.as_slice(), row.as_slice()).unwrap();
    });
    assert_eq!(
        flipped,
        "the ledger is damaged: block 10.0.0.0 in VRF `default`: its checksum does not match"
    );
    let moved = tampered(|txn| {
        let mut blocks = txn.open_table(BLOCKS).unwrap();
        let row = blocks.first().unwrap().unwrap().1.value().to_vec();
        let key = [[0; 10].as_slice(), &[255, 255, 192, 168, 0, 0], b"default"].concat();
        blocks.insert(key.as_slice(), row.as_slice()).unwrap();
    });
    assert_eq!(
        moved,
        "the ledger is damaged: block 192.168.0.0 in VRF `default`: its checksum does not match"
    );
}

#[test]
fn one_instance_per_folder() {
    let folder = TempDir::new().unwrap();
    let first = EmbeddedLedger::open(folder.path()).unwrap();
    let error = EmbeddedLedger::open(folder.path()).unwrap_err();
    let expected =
        format!("{} is in use by another process, pid {}", folder.path().display(), std::process::id());
    assert_eq!(error.to_string(), expected);
    drop(first);
    EmbeddedLedger::open(folder.path()).unwrap();
}

#[test]
fn a_file_that_a_tool_has_open_is_left_alone() {
    let folder = TempDir::new().unwrap();
    drop(EmbeddedLedger::open(folder.path()).unwrap());
    let tool = Database::open(folder.path().join("ledger.redb")).unwrap();
    tool.begin_read().unwrap();
    let error = EmbeddedLedger::open(folder.path()).unwrap_err();
    assert!(matches!(error, LedgerError::InUse { .. }), "{error}");
    drop(tool);
    EmbeddedLedger::open(folder.path()).unwrap();
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    // The kernel makes no files in here, not even for root.
    for folder in [folder.path().join("missing"), file, "/sys/kernel".into()] {
        let error = EmbeddedLedger::open(&folder).unwrap_err();
        assert!(
            matches!(&error, LedgerError::Unavailable { place, .. } if place.contains(folder.to_str().unwrap())),
            "{error}"
        );
    }
}

#[test]
fn a_half_made_ledger_is_made_again() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("ledger.redb.new"), "the machine stopped while this was made").unwrap();
    World::load(EmbeddedLedger::open(folder.path()).unwrap()).unwrap();
    assert!(!folder.path().join("ledger.redb.new").exists());
}

#[test]
fn an_empty_file_in_its_place_is_refused_and_stays() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.redb");
    fs::write(&path, "").unwrap();
    let error = EmbeddedLedger::open(folder.path()).unwrap_err();
    assert_eq!(error.to_string(), format!("{} is no ledger of Allotment: it is empty", path.display()));
    assert_eq!(fs::read(path).unwrap(), b"");
}
