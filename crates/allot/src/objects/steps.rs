//! What has to be done so that what is wanted comes into force.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use allotment_core::{Object, ObjectError, ObjectKey};
use allotment_wire::CheckRow;

use super::wanted::{Declared, Wanted};

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Its file is gone; the file it last came from, where that is known.
    Remove(ObjectKey, Option<PathBuf>),
    Put(Declared),
}

impl Step {
    pub(crate) fn key(&self) -> ObjectKey {
        match self {
            Step::Remove(key, _) => key.clone(),
            Step::Put(declared) => declared.object.key(),
        }
    }
}

/// Something that keeps a file, or an object of it, from being in force.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    /// Nothing, where the file cannot be read far enough to say.
    pub(crate) key: Option<ObjectKey>,
    pub(crate) row: CheckRow,
}

impl Problem {
    /// A step that was refused.
    pub(crate) fn refused(step: &Step, error: &ObjectError) -> Problem {
        let row = match step {
            Step::Put(declared) => CheckRow {
                file: declared.file.display().to_string(),
                line: declared.line_of(&error.field),
                object: Some(error.object.to_string()),
                field: Some(error.field.clone()),
                text: error.text.clone(),
                hint: hint(&error.hint),
            },
            Step::Remove(_, file) => CheckRow {
                file: file.as_ref().map_or_else(|| "(deleted)".to_owned(), |file| file.display().to_string()),
                line: None,
                object: Some(error.object.to_string()),
                field: None,
                text: format!("it is no longer declared, but cannot go: {}", error.text),
                hint: hint(&error.hint),
            },
        };
        Problem { key: Some(step.key()), row }
    }
}

fn hint(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Removals first, what depends on others before them; then the rest in the reverse order.
///
/// Only objects that came from files go when their file goes (`from_files`: each with its last file), and none while a
/// file cannot be read: it might be in there.
pub(crate) fn steps(
    in_force: &BTreeMap<ObjectKey, Object>,
    from_files: &BTreeMap<ObjectKey, PathBuf>,
    wanted: &Wanted,
) -> Vec<Step> {
    let mut steps = Vec::new();
    if wanted.complete {
        let unreadable: BTreeSet<_> = wanted.problems.iter().filter_map(|problem| problem.key.as_ref()).collect();
        let gone = in_force.keys().filter(|key| {
            from_files.contains_key(key) && !wanted.objects.contains_key(key) && !unreadable.contains(key)
        });
        steps.extend(gone.map(|key| Step::Remove(key.clone(), from_files.get(key).cloned())));
        steps.sort_by_key(|step| Reverse(step.key()));
    }
    let changed = wanted.objects.iter().filter(|(key, declared)| in_force.get(key) != Some(&declared.object));
    steps.extend(changed.map(|(_, declared)| Step::Put(declared.clone())));
    steps
}

#[cfg(test)]
mod tests {
    use allotment_core::{ObjectKind, PoolSpec, SubnetSpec};

    use super::*;

    fn subnet(name: &str, cidr: &str) -> Object {
        Object::Subnet(SubnetSpec::new(name, vec![cidr.parse().unwrap()]))
    }

    fn pool(name: &str, subnet: &str) -> Object {
        Object::IPPool(PoolSpec {
            name: name.to_owned(),
            subnet: subnet.to_owned(),
            ranges: vec!["10.0.0.8/29".parse().unwrap()],
            namespaces: Vec::new(),
            pod_selector: None,
            namespace_selector: None,
            node_selector: None,
        })
    }

    fn map(objects: &[Object]) -> BTreeMap<ObjectKey, Object> {
        objects.iter().map(|object| (object.key(), object.clone())).collect()
    }

    fn wanted(objects: &[Object]) -> Wanted {
        let declared = objects.iter().map(|object| Declared::at(object.clone(), "x.yaml", 1));
        Wanted {
            objects: declared.map(|declared| (declared.object.key(), declared)).collect(),
            problems: Vec::new(),
            complete: true,
        }
    }

    fn files(objects: &[Object]) -> BTreeMap<ObjectKey, PathBuf> {
        objects.iter().map(|object| (object.key(), PathBuf::from("x.yaml"))).collect()
    }

    fn names(steps: &[Step]) -> Vec<String> {
        let name = |step: &Step| match step {
            Step::Remove(key, _) => format!("-{}", key.name),
            Step::Put(declared) => format!("+{}", declared.object.key().name),
        };
        steps.iter().map(name).collect()
    }

    #[test]
    fn what_is_the_same_is_left_alone() {
        let all = [subnet("a", "10.0.0.0/24"), pool("p", "a")];
        assert_eq!(steps(&map(&all), &files(&all), &wanted(&all)), []);
    }

    #[test]
    fn pools_come_after_their_subnet_and_go_before_it() {
        let old = [subnet("a", "10.0.0.0/24"), pool("p", "a")];
        let new = [subnet("b", "10.0.0.0/24"), pool("q", "b")];
        assert_eq!(names(&steps(&map(&old), &files(&old), &wanted(&new))), ["-p", "-a", "+b", "+q"]);
    }

    #[test]
    fn what_never_came_from_a_file_stays() {
        let implied = [subnet("implied", "10.9.0.0/24")];
        assert_eq!(steps(&map(&implied), &BTreeMap::new(), &wanted(&[])), []);
    }

    #[test]
    fn nothing_goes_while_a_file_cannot_be_read() {
        let old = [subnet("a", "10.0.0.0/24")];
        let broken = Wanted { complete: false, ..wanted(&[]) };
        assert_eq!(steps(&map(&old), &files(&old), &broken), []);
    }

    #[test]
    fn a_changed_object_is_put_again() {
        let (old, new) = ([subnet("a", "10.0.0.0/24")], [subnet("a", "10.0.0.0/16")]);
        let steps = steps(&map(&old), &files(&old), &wanted(&new));
        assert_eq!(names(&steps), ["+a"]);
        assert_eq!(steps[0].key().kind, ObjectKind::Subnet);
    }
}
