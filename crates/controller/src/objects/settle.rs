//! Does the steps, in whatever order they succeed in.

use allotment_core::ObjectError;
use allotment_engine::{EngineError, Handle};
use futures_util::future::join_all;

use super::Step;

/// Steps that are asked for at once, so that they share a commit.
const AT_ONCE: usize = 256;

/// What came of the steps.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) done: Vec<Step>,
    pub(crate) blocked: Vec<(Step, ObjectError)>,
    /// The engine could not do its part: everything not done is to be tried again.
    pub(crate) failed: Option<String>,
}

/// Goes over the steps again and again while that gets any of them done: a subnet may grow only once another has shrunk,
/// a subnet may go only once its last pool has moved.
pub(crate) async fn settle(handle: &Handle, mut steps: Vec<Step>) -> Settled {
    let mut settled = Settled::default();
    loop {
        let before = steps.len();
        let results = apply(handle, &steps).await;
        for (step, result) in steps.into_iter().zip(results) {
            match result {
                Ok(()) => settled.done.push(step),
                Err(EngineError::Object(error)) => settled.blocked.push((step, error)),
                Err(error) => settled.failed = Some(error.to_string()),
            }
        }
        let left = settled.blocked.len();
        if settled.failed.is_some() || left == 0 || left == before {
            return settled;
        }
        steps = settled.blocked.drain(..).map(|(step, _)| step).collect();
    }
}

async fn apply(handle: &Handle, steps: &[Step]) -> Vec<Result<(), EngineError>> {
    let mut results = Vec::with_capacity(steps.len());
    for steps in steps.chunks(AT_ONCE) {
        let asked = steps.iter().map(async |step| match step {
            Step::Put(object) | Step::Drain(object) => handle.put((**object).clone()).await,
            Step::Remove(key) => handle.remove(key.clone()).await.map(drop),
        });
        results.extend(join_all(asked).await);
    }
    results
}
