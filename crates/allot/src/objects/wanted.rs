//! What the files say.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use allotment_api::{Located, Parsed, Problem, parse, read_folder};
use allotment_core::{Object, ObjectKey};
use allotment_wire::{CheckFile, CheckRow};

/// One object as a file declares it.
pub(crate) type Declared = Located<Object>;

/// Everything that files declare, and what in them makes no sense.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) objects: BTreeMap<ObjectKey, Declared>,
    pub(crate) problems: Vec<Problem>,
    /// The folder could not be listed, so that a missing object proves nothing.
    blind: bool,
}

impl Wanted {
    /// Reads a folder. One that cannot be listed declares nothing, and takes nothing back either: it may not be mounted
    /// yet. That it does not exist is no problem as long as nothing is `expected` in it.
    pub(crate) fn read(folder: &Path, expected: bool) -> Wanted {
        match read_folder(folder) {
            Ok(parsed) => Wanted::from(parsed),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !expected => {
                Wanted { blind: true, ..Wanted::default() }
            }
            Err(error) => {
                let text = format!("the folder cannot be read, so that its objects stay in force: {error}");
                let hint = "bring it back, or name another one with --objects; an empty one declares nothing";
                let problem = Problem {
                    file: folder.display().to_string(),
                    line: 0,
                    column: 0,
                    object: None,
                    field: String::new(),
                    text,
                    hint: hint.to_owned(),
                };
                Wanted { problems: vec![problem], blind: true, ..Wanted::default() }
            }
        }
    }

    pub(crate) fn parse(files: &[CheckFile]) -> Wanted {
        Parsed::gather(files.iter().map(|file| parse(&file.name, &file.text))).into()
    }

    /// Whether an object that is not declared is no longer wanted, as far as anybody can tell.
    pub(crate) fn takes_back(&self, key: &ObjectKey) -> bool {
        let may_hide = |problem: &Problem| problem.object.as_ref().is_none_or(|object| object == key);
        !self.blind && !self.objects.contains_key(key) && !self.problems.iter().any(may_hide)
    }
}

impl From<Parsed> for Wanted {
    fn from(parsed: Parsed) -> Wanted {
        let objects = parsed.objects.into_iter().map(|declared| (declared.value.key(), declared)).collect();
        Wanted { objects, problems: parsed.errors, blind: false }
    }
}

/// A problem as the tool lists it.
pub(crate) fn row(problem: &Problem) -> CheckRow {
    let filled = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    CheckRow {
        file: problem.file.clone(),
        line: Some(u64::from(problem.line)).filter(|&line| line > 0),
        object: problem.object.as_ref().map(ToString::to_string),
        field: filled(&problem.field),
        text: problem.text.clone(),
        hint: filled(&problem.hint),
    }
}
