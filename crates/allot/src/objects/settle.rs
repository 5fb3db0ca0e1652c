//! Does the steps, as far as they can be done.

use std::collections::BTreeMap;

use allotment_api::Problem;
use allotment_core::{Object, ObjectError, ObjectKey, State};
use allotment_engine::{EngineError, Handle};
use futures_util::future::join_all;

use super::steps::Step;

/// Removals that are asked for at once, so that they share a commit.
const AT_ONCE: usize = 256;

/// Where steps are done: the engine, or a copy to try on.
pub(crate) trait Target {
    /// Removes one after the other.
    fn remove(&mut self, keys: &[ObjectKey]) -> impl Future<Output = Vec<Result<(), EngineError>>>;

    /// Puts together, as far as they agree; returns why the others stay as they were.
    fn put_all(
        &mut self,
        objects: Vec<Object>,
    ) -> impl Future<Output = Result<Vec<ObjectError>, EngineError>>;
}

impl Target for Handle {
    async fn remove(&mut self, keys: &[ObjectKey]) -> Vec<Result<(), EngineError>> {
        let mut results = Vec::with_capacity(keys.len());
        for keys in keys.chunks(AT_ONCE) {
            let asked = keys.iter().map(async |key| Handle::remove(self, key.clone()).await.map(drop));
            results.extend(join_all(asked).await);
        }
        results
    }

    async fn put_all(&mut self, objects: Vec<Object>) -> Result<Vec<ObjectError>, EngineError> {
        Handle::put_all(self, objects).await
    }
}

/// A state to try on.
pub(crate) struct Scratch(pub(crate) State);

impl Target for Scratch {
    async fn remove(&mut self, keys: &[ObjectKey]) -> Vec<Result<(), EngineError>> {
        keys.iter().map(|key| Ok(self.0.remove(key).map(drop)?)).collect()
    }

    async fn put_all(&mut self, objects: Vec<Object>) -> Result<Vec<ObjectError>, EngineError> {
        Ok(self.0.put_all(objects))
    }
}

/// A step that was refused.
pub(crate) struct Blocked {
    pub(crate) step: Step,
    pub(crate) problem: Problem,
}

/// What came of the steps.
#[derive(Default)]
pub(crate) struct Settled {
    pub(crate) done: Vec<Step>,
    pub(crate) blocked: Vec<Blocked>,
    /// The engine could not do its part: everything not done is to be tried again.
    pub(crate) failed: Option<EngineError>,
}

/// Removes what is no longer wanted, then puts the rest as one change: a subnet may take what another gives up, whichever of
/// them is read first.
pub(crate) async fn settle(target: &mut impl Target, steps: Vec<Step>) -> Settled {
    let mut settled = Settled::default();
    let (removals, puts): (Vec<Step>, Vec<Step>) =
        steps.into_iter().partition(|step| matches!(step, Step::Remove(..)));
    let keys: Vec<ObjectKey> = removals.iter().map(Step::key).collect();
    for (step, result) in removals.into_iter().zip(target.remove(&keys).await) {
        settled.take(step, result);
    }
    let objects = puts.iter().filter_map(|step| match step {
        Step::Put(declared) => Some(declared.value.clone()),
        Step::Remove(..) => None,
    });
    match target.put_all(objects.collect()).await {
        Ok(errors) => {
            let mut errors: BTreeMap<ObjectKey, ObjectError> =
                errors.into_iter().map(|error| (error.object.clone(), error)).collect();
            for step in puts {
                let result = errors.remove(&step.key()).map_or(Ok(()), |error| Err(error.into()));
                settled.take(step, result);
            }
        }
        Err(error) => settled.failed = Some(error),
    }
    settled
}

impl Settled {
    fn take(&mut self, step: Step, result: Result<(), EngineError>) {
        match result {
            Ok(()) => self.done.push(step),
            Err(EngineError::Object(error)) => {
                let problem = step.refused(&error);
                self.blocked.push(Blocked { step, problem });
            }
            Err(error) => self.failed = Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use allotment_wire::CheckFile;

    use super::super::remember::FromFiles;
    use super::super::wanted::Wanted;
    use super::*;

    /// Puts subnets, given as name and CIDR, on one line each of a file.
    fn puts(subnets: &[(&str, &str)]) -> Vec<Step> {
        let line = |(name, cidr): &(&str, &str)| {
            format!(
                "--- {{apiVersion: allotment.dev/v1alpha1, kind: Subnet, metadata: {{name: {name}}}, spec: {{cidrs: [{cidr}]}}}}\n"
            )
        };
        let text: String = subnets.iter().map(line).collect();
        let wanted = Wanted::parse(&[CheckFile { name: "x.yaml".to_owned(), text }], &FromFiles::new());
        assert_eq!(wanted.problems, []);
        wanted.objects.into_values().map(|declared| Step::Put(Box::new(declared))).collect()
    }

    async fn scratch(subnets: &[(&str, &str)]) -> Scratch {
        let mut scratch = Scratch(State::new());
        assert!(settle(&mut scratch, puts(subnets)).await.blocked.is_empty());
        scratch
    }

    #[tokio::test]
    async fn what_one_gives_up_the_other_may_take() {
        let mut target = scratch(&[("a", "10.0.0.0/25"), ("b", "10.0.0.128/25")]).await;
        for edit in [
            // `a` can have the whole /24 only after `b` has moved away.
            [("a", "10.0.0.0/24"), ("b", "10.0.1.0/24")],
            // Neither of them can be the first.
            [("a", "10.0.1.0/24"), ("b", "10.0.0.0/24")],
        ] {
            let settled = settle(&mut target, puts(&edit)).await;
            assert_eq!(settled.done.len(), 2);
            assert!(settled.blocked.is_empty() && settled.failed.is_none());
        }
    }

    #[tokio::test]
    async fn what_cannot_be_is_reported_once_with_its_place() {
        let mut target = scratch(&[("a", "10.0.0.0/24")]).await;
        let settled = settle(&mut target, puts(&[("c", "10.1.0.0/16"), ("b", "10.0.0.0/16")])).await;
        assert_eq!(settled.done.len(), 1);
        let [Blocked { problem, .. }] = &settled.blocked[..] else {
            panic!("one, not {}", settled.blocked.len())
        };
        assert_eq!(problem.object.as_ref().map(|object| object.name.as_str()), Some("b"));
        assert_eq!((problem.file.as_str(), problem.line), ("x.yaml", 2));
    }
}
