//! A folder of files, as a person or a mounted `ConfigMap` keeps them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::read::fault::{Fault, Spot};
use crate::read::{MAX_FILE_BYTES, parse_alone};
use crate::{Parsed, Problem};

/// Reads the `*.yaml`, `*.yml` and `*.json` files of a folder, in the order of their names; not the folders in it. Links
/// are followed. What an editor leaves beside a file, and hidden files, are left alone. Each is read by itself:
/// [`Parsed::gather`] puts them together.
///
/// The error is that of listing the folder: nothing is known then of what is in it.
pub fn read_folder(folder: &Path) -> io::Result<Vec<Parsed>> {
    Ok(files(folder)?.iter().map(|file| read_file(file)).collect())
}

/// The files that [`read_folder`] reads, in this order.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if is_ours(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// `.foo.yaml.swp`, `.#foo.yaml`, `#foo.yaml#` and `foo.yaml~` are editors'; `..data` is a `ConfigMap`'s.
fn is_ours(name: &OsStr) -> bool {
    let known = Path::new(name)
        .extension()
        .is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known));
    let first = name.as_encoded_bytes().first();
    known && !matches!(first, Some(b'.' | b'#'))
}

fn read_file(path: &Path) -> Parsed {
    let file: Arc<str> = path.to_string_lossy().into();
    match content(path) {
        Ok(text) => parse_alone(&file, &text),
        Err(fault) => Parsed { errors: vec![Problem::new(&file, None, fault)], ..Parsed::default() },
    }
}

fn content(path: &Path) -> Result<String, Fault> {
    let unreadable = |error: io::Error| Fault {
        text: format!("cannot be read: {error}"),
        hint: "correct its permissions or what it links to, or remove it".to_owned(),
        ..Fault::default()
    };
    // Asked before opening: to open a pipe would be to wait for its writer.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        let hint = "remove it, or give it a name that does not end in .yaml, .yml or .json".to_owned();
        return Err(Fault { text: "is no regular file".to_owned(), hint, ..Fault::default() });
    }
    let mut bytes = Vec::new();
    // One byte more than is allowed, so that `parse` sees that it is too long.
    let most = MAX_FILE_BYTES as u64 + 1;
    File::open(path).map_err(unreadable)?.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|&byte| byte == b'\n').count();
        let at = Spot { line: u32::try_from(line).unwrap_or(u32::MAX), column: 0 };
        Fault::new("", at, "has bytes in it that are not UTF-8", "save the file as UTF-8")
    })
}
