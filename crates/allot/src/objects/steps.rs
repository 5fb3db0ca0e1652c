//! What has to be done so that what is wanted comes into force.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use allotment_api::Problem;
use allotment_core::{Object, ObjectError, ObjectKey};

use super::remember::FromFiles;
use super::wanted::{Declared, Wanted};

/// One change.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Its file is gone; the file it last came from.
    Remove(ObjectKey, String),
    Put(Box<Declared>),
}

impl Step {
    /// What is wanted, whatever stands in its way.
    pub(crate) fn id(&self) -> String {
        match self {
            Step::Remove(key, _) => format!("no {key}"),
            Step::Put(declared) => serde_json::to_string(&declared.value).expect("an object is plain data"),
        }
    }

    pub(crate) fn key(&self) -> ObjectKey {
        match self {
            Step::Remove(key, _) => key.clone(),
            Step::Put(declared) => declared.value.key(),
        }
    }

    /// The problem that it was refused.
    pub(crate) fn refused(&self, error: &ObjectError) -> Problem {
        match self {
            Step::Put(declared) => declared.problem(error),
            Step::Remove(key, file) => Problem {
                file: file.clone(),
                line: 0,
                column: 0,
                object: Some(key.clone()),
                field: String::new(),
                text: format!("it is no longer declared, but cannot go: {}", error.text),
                hint: error.hint.clone(),
            },
        }
    }
}

/// Removals first, what depends on others before them; then the rest in the reverse order.
///
/// Only objects that came from files go when their file goes (`from_files`: each with its last file), and only if no
/// file that makes no sense may hide them.
pub(crate) fn steps(
    in_force: &BTreeMap<ObjectKey, Object>,
    from_files: &FromFiles,
    wanted: &Wanted,
) -> Vec<Step> {
    let gone = from_files.iter().filter(|(key, _)| in_force.contains_key(key) && wanted.takes_back(key));
    let mut steps: Vec<Step> = gone.map(|(key, file)| Step::Remove(key.clone(), file.clone())).collect();
    steps.sort_by_key(|step| Reverse(step.key()));
    let changed = wanted.objects.iter().filter(|(key, declared)| in_force.get(key) != Some(&declared.value));
    steps.extend(changed.map(|(_, declared)| Step::Put(Box::new(declared.clone()))));
    steps
}

#[cfg(test)]
mod tests {
    use allotment_wire::CheckFile;

    use super::*;

    const SUBNET: &str = "apiVersion: allotment.dev/v1alpha1
kind: Subnet
metadata: {name: NAME}
spec: {cidrs: [10.0.0.0/24]}
";
    const POOL: &str = "apiVersion: allotment.dev/v1alpha1
kind: IPPool
metadata: {name: NAME}
spec: {subnet: SUBNET, ranges: [10.0.0.8/29]}
";

    fn subnet(name: &str) -> String {
        SUBNET.replace("NAME", name)
    }

    fn pool(name: &str, subnet: &str) -> String {
        POOL.replace("NAME", name).replace("SUBNET", subnet)
    }

    fn wanted(documents: &[String]) -> Wanted {
        Wanted::parse(
            &[CheckFile { name: "x.yaml".to_owned(), text: documents.join("---\n") }],
            &FromFiles::new(),
        )
    }

    /// What the steps from one set of files to another are.
    fn check(old: &[String], new: &[String], expect: &[&str]) {
        let in_force = wanted(old).objects.into_iter().map(|(key, declared)| (key, declared.value)).collect();
        let from_files = wanted(old).objects.into_keys().map(|key| (key, "x.yaml".to_owned())).collect();
        let steps = steps(&in_force, &from_files, &wanted(new));
        let names: Vec<String> = steps
            .iter()
            .map(|step| match step {
                Step::Remove(key, _) => format!("-{}", key.name),
                Step::Put(declared) => format!("+{}", declared.value.key().name),
            })
            .collect();
        assert_eq!(names, expect);
    }

    #[test]
    fn what_is_the_same_is_left_alone() {
        let all = [subnet("a"), pool("p", "a")];
        check(&all, &all, &[]);
    }

    #[test]
    fn pools_come_after_their_subnet_and_go_before_it() {
        check(&[subnet("a"), pool("p", "a")], &[subnet("b"), pool("q", "b")], &["-p", "-a", "+b", "+q"]);
    }

    #[test]
    fn a_changed_object_is_put_again() {
        check(&[subnet("a")], &[subnet("a").replace("/24", "/16")], &["+a"]);
    }

    #[test]
    fn a_file_that_makes_no_sense_takes_nothing_back() {
        check(&[subnet("a")], &["{".to_owned()], &[]);
        // Where it is known which object is bad, the others may go.
        check(&[subnet("a"), subnet("b")], &[subnet("a").replace("cidrs", "cidr")], &["-b"]);
    }

    #[test]
    fn a_missing_folder_takes_nothing_back() {
        let key = wanted(&[subnet("a")]).objects.into_keys().next().unwrap();
        for from_files in [FromFiles::new(), FromFiles::from([(key.clone(), "x.yaml".to_owned())])] {
            let missing = Wanted::read(std::path::Path::new("/nonexistent/objects"), &from_files);
            assert!(!missing.takes_back(&key));
            assert_eq!(missing.problems.is_empty(), from_files.is_empty(), "only what was there is missed");
        }
    }

    #[test]
    fn what_never_came_from_a_file_stays() {
        let in_force =
            wanted(&[subnet("a")]).objects.into_iter().map(|(key, declared)| (key, declared.value)).collect();
        assert!(steps(&in_force, &BTreeMap::new(), &Wanted::default()).is_empty());
    }
}
