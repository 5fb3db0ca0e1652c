//! What the files say.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use allotment_api::{Located, Parsed, Problem, parse, read_folder};
use allotment_core::{Object, ObjectKey};
use allotment_wire::{CheckFile, CheckRow};

use super::remember::FromFiles;

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
    /// Reads a folder; `from_files` is what came from it before. One that cannot be listed declares nothing, and takes nothing
    /// back either: it may not be mounted yet. That it does not exist is no problem as long as nothing came from it.
    pub(crate) fn read(folder: &Path, from_files: &FromFiles) -> Wanted {
        match read_folder(folder) {
            Ok(parts) => Wanted::gather(parts, from_files),
            Err(error) if error.kind() == io::ErrorKind::NotFound && from_files.is_empty() => {
                Wanted { blind: true, ..Wanted::default() }
            }
            Err(error) => {
                let text = format!("the folder cannot be read, so that its objects stay in force: {error}");
                let hint = "bring it back, or name another one with --objects; an empty one declares nothing";
                let problem = problem(folder.display().to_string(), None, text, hint);
                Wanted { problems: vec![problem], blind: true, ..Wanted::default() }
            }
        }
    }

    pub(crate) fn parse(files: &[CheckFile], from_files: &FromFiles) -> Wanted {
        Wanted::gather(files.iter().map(|file| parse(&file.name, &file.text)), from_files)
    }

    /// What is in force stays in force: a file that comes and has an object's name too does not take its place (O6). And a
    /// file that is empty now is one that somebody is about to write: many editors empty it first.
    fn gather(parts: impl IntoIterator<Item = Parsed>, from_files: &FromFiles) -> Wanted {
        let Parsed { objects, errors, blank } =
            Parsed::gather(parts, |key| from_files.get(key).map(String::as_str));
        let objects: BTreeMap<ObjectKey, Declared> =
            objects.into_iter().map(|declared| (declared.value.key(), declared)).collect();
        let mut problems = errors;
        for file in blank {
            let name = Path::new(&file).file_name();
            let was_in = |(key, home): &(&ObjectKey, &String)| {
                Path::new(home).file_name() == name && !objects.contains_key(key)
            };
            let emptied = from_files.iter().filter(was_in).map(|(key, _)| {
                let text = format!("the file is empty, so that {key}, which came from it, stays in force");
                problem(
                    file.clone(),
                    Some(key.clone()),
                    text,
                    "write it again; to take the object back, remove the file",
                )
            });
            problems.extend(emptied);
        }
        Wanted { objects, problems, blind: false }
    }

    /// Whether an object that is not declared is no longer wanted, as far as anybody can tell.
    pub(crate) fn takes_back(&self, key: &ObjectKey) -> bool {
        let may_hide = |problem: &Problem| problem.object.as_ref().is_none_or(|object| object == key);
        !self.blind && !self.objects.contains_key(key) && !self.problems.iter().any(may_hide)
    }
}

/// A problem with a file as a whole.
fn problem(file: String, object: Option<ObjectKey>, text: String, hint: &str) -> Problem {
    Problem { file, line: 0, column: 0, object, field: String::new(), text, hint: hint.to_owned() }
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
