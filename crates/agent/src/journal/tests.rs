use allotment_proof::{Record, Version};

use super::*;

fn line(version: u64) -> Line {
    let record = Record::Fenced { as_of: Version(version), finished: std::collections::BTreeSet::new() };
    Line { records: vec![record], given: None }
}

fn reopen(folder: &Path) -> Found {
    Journal::open(folder).unwrap_or_else(|error| panic!("{error}"))
}

/// The entries of a journal, without its room.
fn entries(folder: &Path) -> Vec<u8> {
    let mut bytes = fs::read(folder.join(NAME)).unwrap();
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    bytes
}

#[tokio::test]
async fn what_was_durable_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let found = reopen(folder.path());
    assert!(found.lines.is_empty() && !found.is_damaged);
    let waits: Vec<Durable> = (0..100).map(|version| found.journal.append(&line(version))).collect();
    for wait in waits {
        wait.wait().await.unwrap();
    }
    found.journal.append(&Line::default()).wait().await.unwrap();
    assert!(matches!(Journal::open(folder.path()), Err(OpenError::InUse { .. })));
    drop(found);
    assert_eq!(reopen(folder.path()).lines, (0..100).map(line).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_unfinished_entry_is_cut_off_and_the_next_one_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    reopen(folder.path()).journal.append(&line(1)).wait().await.unwrap();
    let file = File::options().write(true).open(folder.path().join(NAME)).unwrap();
    let end = entries(folder.path()).len() as u64;
    file.write_all_at(b"0123abcd {\"records\":[", end).unwrap();
    let found = reopen(folder.path());
    assert!(found.lines == [line(1)] && found.is_damaged);
    found.journal.append(&line(2)).wait().await.unwrap();
    drop(found);
    assert_eq!(reopen(folder.path()).lines, [line(1), line(2)]);
}

#[tokio::test]
async fn damage_is_said_and_the_file_kept() {
    let folder = tempfile::tempdir().unwrap();
    let found = reopen(folder.path());
    for version in 1..=3 {
        found.journal.append(&line(version)).wait().await.unwrap();
    }
    drop(found);
    let path = folder.path().join(NAME);
    let text = String::from_utf8(entries(folder.path())).unwrap().replace("\"as_of\":2", "\"as_of\":9");
    fs::write(&path, &text).unwrap();
    let found = reopen(folder.path());
    assert!(found.is_damaged && found.lines == [line(1), line(3)]);
    drop(found);
    let aside = fs::read_dir(folder.path()).unwrap().filter_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.starts_with("journal.damaged-").then_some(name)
    });
    let aside: Vec<String> = aside.collect();
    assert_eq!(fs::read_to_string(folder.path().join(&aside[0])).unwrap(), text);
    assert!(!reopen(folder.path()).is_damaged, "it is said once");
}

#[tokio::test]
async fn a_rewritten_file_has_what_came_after() {
    let folder = tempfile::tempdir().unwrap();
    let found = reopen(folder.path());
    let mut version = 0;
    while !found.journal.wants_rewrite() {
        version += 1;
        let wait = found.journal.append(&line(version));
        if version % 100 == 0 {
            wait.wait().await.unwrap();
        }
    }
    assert!(found.journal.length() > REWRITE_FROM);
    found.journal.rewrite(&[line(7)]);
    found.journal.append(&line(8)).wait().await.unwrap();
    assert!(found.journal.length() < 1000 && !found.journal.wants_rewrite());
    drop(found);
    assert_eq!(reopen(folder.path()).lines, [line(7), line(8)]);
}

#[tokio::test]
async fn what_could_not_be_written_goes_before_what_comes_later() {
    let folder = tempfile::tempdir().unwrap();
    let found = reopen(folder.path());
    // A writer whose file cannot be written, until it can.
    let path = folder.path().join(NAME);
    let state = Arc::new(State::default());
    state.length.store(entries(folder.path()).len() as u64, Ordering::Relaxed);
    let (room, unwritable) = (fs::metadata(&path).unwrap().len(), File::open(&path).unwrap());
    let folder_path = folder.path().to_owned();
    let mut writer = Writer { folder: folder_path, file: unwritable, room, backlog: Vec::new(), state };
    line(1).encode(&mut writer.backlog);
    assert!(writer.flush().is_err());
    writer.file = File::options().write(true).open(&path).unwrap();
    line(2).encode(&mut writer.backlog);
    writer.flush().unwrap();
    drop(found);
    assert_eq!(reopen(folder.path()).lines, [line(1), line(2)]);
}

#[tokio::test]
async fn an_entry_makes_the_file_longer_only_when_its_room_is_used_up() {
    let folder = tempfile::tempdir().unwrap();
    let found = reopen(folder.path());
    let length = || fs::metadata(folder.path().join(NAME)).unwrap().len();
    let mut lengths = vec![length()];
    let mut version = 0;
    while found.journal.length() < 3 * ROOM as u64 {
        version += 1;
        found.journal.append(&line(version)).wait().await.unwrap();
        lengths.push(length());
        assert_eq!(entries(folder.path()).len() as u64, found.journal.length());
    }
    lengths.dedup();
    assert_eq!(lengths.len(), 3, "{lengths:?}");
    drop(found);
    let found = reopen(folder.path());
    assert!(!found.is_damaged);
    assert_eq!(found.lines, (1..=version).map(line).collect::<Vec<_>>());
}
