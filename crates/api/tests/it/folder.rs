//! Folders, as editors, people and mounted `ConfigMap`s leave them.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use allotment_api::{MAX_FILE_BYTES, Parsed};
use allotment_core::{ObjectKey, ObjectKind};

use crate::{names, subnet, told};

fn write(folder: &Path, file: &str, name: &str) {
    let text = subnet("cidrs: [10.0.0.0/8]").replace("name: a", &format!("name: {name}"));
    fs::write(folder.join(file), text).unwrap();
}

fn read_folder(folder: &Path) -> io::Result<Parsed> {
    Ok(Parsed::gather(allotment_api::read_folder(folder)?, |_| None))
}

/// What is told of a folder, its path left out.
fn told_in(folder: &Path, parsed: &Parsed) -> Vec<String> {
    let prefix = format!("{}/", folder.display());
    told(parsed).iter().map(|text| text.replace(&prefix, "")).collect()
}

#[test]
fn files_in_the_order_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    for (file, name) in [("b.yml", "second"), ("a.yaml", "first"), ("c.json", "third")] {
        write(folder.path(), file, name);
    }
    let parsed = read_folder(folder.path()).unwrap();
    assert_eq!(told(&parsed), [""; 0]);
    assert_eq!(names(&parsed), ["Subnet `first`", "Subnet `second`", "Subnet `third`"]);
    assert_eq!(parsed.objects[0].file(), folder.path().join("a.yaml").to_str().unwrap());
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.yaml", "a");
    for other in [
        ".a.yaml.swp",
        ".hidden.yaml",
        "a.yaml~",
        "#a.yaml#",
        ".#b.yaml",
        "#b.yaml",
        "README.md",
        "b.yaml.bak",
        "yaml",
    ] {
        fs::write(folder.path().join(other), "no: [yaml").unwrap();
    }
    fs::create_dir(folder.path().join("more")).unwrap();
    write(&folder.path().join("more"), "c.yaml", "c");
    let parsed = read_folder(folder.path()).unwrap();
    assert_eq!(told(&parsed), [""; 0]);
    assert_eq!(names(&parsed), ["Subnet `a`"]);
}

#[test]
fn a_mounted_config_map_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("..2026_11_02")).unwrap();
    write(&folder.path().join("..2026_11_02"), "a.yaml", "a");
    symlink("..2026_11_02", folder.path().join("..data")).unwrap();
    symlink("..data/a.yaml", folder.path().join("a.yaml")).unwrap();
    let parsed = read_folder(folder.path()).unwrap();
    assert_eq!(told(&parsed), [""; 0]);
    assert_eq!(names(&parsed), ["Subnet `a`"]);
}

#[test]
fn of_an_object_in_two_files_the_first_counts() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.yaml", "same");
    write(folder.path(), "b.yaml", "same");
    let parsed = read_folder(folder.path()).unwrap();
    assert_eq!(
        told_in(folder.path(), &parsed),
        ["b.yaml:3: metadata.name: Subnet `same` is there already, at a.yaml:1"]
    );
    assert_eq!(names(&parsed), ["Subnet `same`"]);
    assert!(parsed.objects[0].file().ends_with("a.yaml"));
}

#[test]
fn of_an_object_in_several_files_the_one_at_home_counts() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["a.yaml", "b.yaml", "c.yaml"] {
        write(folder.path(), file, "same");
    }
    let home = folder.path().join("b.yaml").display().to_string();
    let read = || allotment_api::read_folder(folder.path()).unwrap();
    let parsed = Parsed::gather(read(), |_| Some(&home));
    assert_eq!(
        told_in(folder.path(), &parsed),
        [
            "a.yaml:3: metadata.name: Subnet `same` is there already, at b.yaml:1",
            "c.yaml:3: metadata.name: Subnet `same` is there already, at b.yaml:1"
        ]
    );
    assert_eq!(parsed.objects.len(), 1);
    assert_eq!(parsed.objects[0].file(), home);
    fs::remove_file(&home).unwrap();
    let parsed = Parsed::gather(read(), |_| Some(&home));
    assert!(parsed.objects[0].file().ends_with("a.yaml"), "who has no home any more gets one");
}

#[test]
fn files_in_which_nothing_is_written_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in
        [("a.yaml", ""), ("b.yaml", "\u{feff} \n\n"), ("c.yaml", "# nothing"), ("d.yaml", "---")]
    {
        fs::write(folder.path().join(file), text).unwrap();
    }
    let parsed = read_folder(folder.path()).unwrap();
    assert_eq!(parsed.blank, ["a.yaml", "b.yaml"].map(|file| folder.path().join(file).display().to_string()));
    assert!(parsed.objects.is_empty() && parsed.errors.is_empty());
}

#[test]
fn a_file_that_cannot_be_read_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "good.yaml", "good");
    fs::create_dir(folder.path().join("folder.yaml")).unwrap();
    symlink("nowhere", folder.path().join("dangling.yaml")).unwrap();
    symlink("/dev/zero", folder.path().join("endless.yaml")).unwrap();
    fs::write(folder.path().join("latin.yaml"), b"# one\nreason: caf\xe9\n").unwrap();
    fs::write(folder.path().join("huge.yaml"), vec![b'#'; MAX_FILE_BYTES + 1]).unwrap();
    fs::write(folder.path().join("full.yaml"), vec![b'#'; MAX_FILE_BYTES]).unwrap();
    let parsed = read_folder(folder.path()).unwrap();
    assert_eq!(
        told_in(folder.path(), &parsed),
        [
            "dangling.yaml: cannot be read: No such file or directory (os error 2)",
            "endless.yaml: is no regular file",
            "folder.yaml: is no regular file",
            "huge.yaml: the file is 4194305 bytes long, and 4 MiB is the most",
            "latin.yaml:2: has bytes in it that are not UTF-8",
        ]
    );
    assert_eq!(names(&parsed), ["Subnet `good`"]);
    assert!(parsed.may_hide(&ObjectKey { kind: ObjectKind::IPPool, name: "any".to_owned() }));
}

#[test]
fn a_folder_that_cannot_be_listed_is_not_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    assert!(read_folder(&folder.path().join("none")).is_err());
    let empty = read_folder(folder.path()).unwrap();
    assert!(empty.objects.is_empty() && empty.errors.is_empty());
}
