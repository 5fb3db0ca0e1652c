//! Does the steps, in whatever order they succeed in.

use allotment_core::{Object, ObjectError};
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
/// a subnet may go only once its last pool has moved. What is left may still agree once all of it is in force: two subnets
/// that swap their CIDRs, a subnet that moves with its pool.
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
        if settled.failed.is_some() || left == 0 {
            return settled;
        }
        if left == before {
            together(handle, &mut settled).await;
            return settled;
        }
        steps = settled.blocked.drain(..).map(|(step, _)| step).collect();
    }
}

/// Puts all that was refused one by one, as far as that agrees.
async fn together(handle: &Handle, settled: &mut Settled) {
    let puts = |(step, _): &(Step, ObjectError)| match step {
        Step::Put(object) => Some((**object).clone()),
        Step::Drain(_) | Step::Remove(_) => None,
    };
    let objects: Vec<Object> = settled.blocked.iter().filter_map(puts).collect();
    if objects.len() < 2 {
        return;
    }
    let refused = match handle.put_all(objects).await {
        Ok(refused) => refused,
        Err(error) => return settled.failed = Some(error.to_string()),
    };
    for (step, error) in std::mem::take(&mut settled.blocked) {
        let why = refused.iter().find(|error| error.object == step.key());
        match (&step, why) {
            (Step::Put(_), None) => settled.done.push(step),
            (Step::Put(_), Some(why)) => settled.blocked.push((step, why.clone())),
            _ => settled.blocked.push((step, error)),
        }
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
