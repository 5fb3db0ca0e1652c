//! Does the steps, in whatever order they succeed in.

use allotment_api::Problem;
use allotment_core::State;
use allotment_engine::{EngineError, Handle};
use futures_util::future::join_all;

use super::steps::Step;

/// Steps that are asked for at once, so that they share a commit.
const AT_ONCE: usize = 256;

/// Where steps are done, one after the other: the engine, or a copy to try on.
pub(crate) trait Target {
    fn apply(&mut self, steps: &[Step]) -> impl Future<Output = Vec<Result<(), EngineError>>>;
}

impl Target for Handle {
    async fn apply(&mut self, steps: &[Step]) -> Vec<Result<(), EngineError>> {
        let mut results = Vec::with_capacity(steps.len());
        for steps in steps.chunks(AT_ONCE) {
            let asked = steps.iter().map(async |step| match step {
                Step::Put(declared) => self.put(declared.value.clone()).await,
                Step::Remove(key, _) => self.remove(key.clone()).await.map(drop),
            });
            results.extend(join_all(asked).await);
        }
        results
    }
}

/// A state to try on.
pub(crate) struct Scratch(pub(crate) State);

impl Target for Scratch {
    async fn apply(&mut self, steps: &[Step]) -> Vec<Result<(), EngineError>> {
        let mut apply = |step: &Step| match step {
            Step::Put(declared) => Ok(self.0.put(declared.value.clone())?),
            Step::Remove(key, _) => Ok(self.0.remove(key).map(drop)?),
        };
        steps.iter().map(&mut apply).collect()
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

/// Goes over the steps again and again while that gets any of them done: a subnet may grow only once another has shrunk,
/// a subnet may go only once its last pool has moved.
pub(crate) async fn settle(target: &mut impl Target, mut steps: Vec<Step>) -> Settled {
    let mut settled = Settled::default();
    loop {
        let before = steps.len();
        let results = target.apply(&steps).await;
        for (step, result) in steps.into_iter().zip(results) {
            match result {
                Ok(()) => settled.done.push(step),
                Err(EngineError::Object(error)) => {
                    let problem = step.refused(&error);
                    settled.blocked.push(Blocked { step, problem });
                }
                Err(error) => settled.failed = Some(error),
            }
        }
        let left = settled.blocked.len();
        if settled.failed.is_some() || left == 0 || left == before {
            return settled;
        }
        steps = settled.blocked.drain(..).map(|blocked| blocked.step).collect();
    }
}

#[cfg(test)]
mod tests {
    use allotment_wire::CheckFile;

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
        let wanted = Wanted::parse(&[CheckFile { name: "x.yaml".to_owned(), text }]);
        assert_eq!(wanted.problems, []);
        wanted.objects.into_values().map(|declared| Step::Put(Box::new(declared))).collect()
    }

    async fn scratch(subnets: &[(&str, &str)]) -> Scratch {
        let mut scratch = Scratch(State::new());
        assert!(settle(&mut scratch, puts(subnets)).await.blocked.is_empty());
        scratch
    }

    #[tokio::test]
    async fn one_grows_into_what_the_other_gives_up() {
        let mut target = scratch(&[("a", "10.0.0.0/25"), ("b", "10.0.0.128/25")]).await;
        // `a` can have the whole /24 only after `b` has moved away.
        let settled = settle(&mut target, puts(&[("a", "10.0.0.0/24"), ("b", "10.0.1.0/24")])).await;
        assert_eq!(settled.done.len(), 2);
        assert!(settled.blocked.is_empty() && settled.failed.is_none());
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
