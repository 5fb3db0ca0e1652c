use allotment_proof::{Record, Version};

use super::*;

fn line(version: u64) -> Line {
    let record = Record::Fenced { as_of: Version(version), finished: std::collections::BTreeSet::new() };
    Line { records: vec![record], given: None }
}

fn reopen(folder: &Path) -> Found {
    Journal::open(folder).unwrap_or_else(|error| panic!("{error}"))
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
    let mut file = File::options().append(true).open(folder.path().join(NAME)).unwrap();
    file.write_all(b"0123abcd {\"records\":[").unwrap();
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
    let text = fs::read_to_string(&path).unwrap().replace("\"as_of\":2", "\"as_of\":9");
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
    state.length.store(fs::metadata(&path).unwrap().len(), Ordering::Relaxed);
    let unwritable = File::open(&path).unwrap();
    let mut writer =
        Writer { folder: folder.path().to_owned(), file: unwritable, backlog: Vec::new(), state };
    line(1).encode(&mut writer.backlog);
    assert!(writer.flush().is_err());
    writer.file = File::options().append(true).open(&path).unwrap();
    line(2).encode(&mut writer.backlog);
    writer.flush().unwrap();
    drop(found);
    assert_eq!(reopen(folder.path()).lines, [line(1), line(2)]);
}
