//! Does the steps, in whatever order they succeed in.

use allotment_core::{Object, ObjectError, ObjectKey, State};
use allotment_engine::{EngineError, Handle};

use super::steps::{Problem, Step};

/// Where objects are put: the engine, or a copy to try on.
pub(crate) trait Target {
    fn put(&mut self, object: Object) -> impl Future<Output = Result<(), EngineError>>;
    fn remove(&mut self, key: ObjectKey) -> impl Future<Output = Result<bool, EngineError>>;
}

impl Target for Handle {
    fn put(&mut self, object: Object) -> impl Future<Output = Result<(), EngineError>> {
        Handle::put(self, object)
    }

    fn remove(&mut self, key: ObjectKey) -> impl Future<Output = Result<bool, EngineError>> {
        Handle::remove(self, key)
    }
}

/// A state to try on.
pub(crate) struct Scratch(pub(crate) State);

impl Target for Scratch {
    async fn put(&mut self, object: Object) -> Result<(), EngineError> {
        Ok(self.0.put(object)?)
    }

    async fn remove(&mut self, key: ObjectKey) -> Result<bool, EngineError> {
        Ok(self.0.remove(&key)?)
    }
}

/// What came of the steps.
#[derive(Default)]
pub(crate) struct Settled {
    pub(crate) done: Vec<Step>,
    pub(crate) blocked: Vec<Problem>,
    /// The engine could not do its part: everything not done is to be tried again.
    pub(crate) failed: Option<EngineError>,
}

/// Goes over the steps again and again while that gets any of them done: a subnet may grow only once another has shrunk,
/// a subnet may go only once its last pool has moved.
pub(crate) async fn settle(target: &mut impl Target, mut steps: Vec<Step>) -> Settled {
    let mut settled = Settled::default();
    loop {
        let mut left = Vec::new();
        settled.blocked.clear();
        let before = steps.len();
        for step in steps {
            let result = match &step {
                Step::Put(declared) => target.put(declared.object.clone()).await,
                Step::Remove(key, _) => target.remove(key.clone()).await.map(drop),
            };
            match result {
                Ok(()) => settled.done.push(step),
                Err(EngineError::Object(error)) => {
                    settled.blocked.push(Problem::refused(&step, &error));
                    left.push(step);
                }
                Err(error) => {
                    settled.failed = Some(error);
                    return settled;
                }
            }
        }
        if left.is_empty() || left.len() == before {
            return settled;
        }
        steps = left;
    }
}

#[cfg(test)]
mod tests {
    use allotment_core::{ObjectKind, SubnetSpec};

    use super::super::wanted::Declared;
    use super::*;

    fn put(name: &str, cidr: &str) -> Step {
        let subnet = Object::Subnet(SubnetSpec::new(name, vec![cidr.parse().unwrap()]));
        Step::Put(Declared::at(subnet, "x.yaml", 3))
    }

    async fn scratch(steps: Vec<Step>) -> Scratch {
        let mut scratch = Scratch(State::new());
        let settled = settle(&mut scratch, steps).await;
        assert!(settled.blocked.is_empty());
        scratch
    }

    #[tokio::test]
    async fn one_grows_into_what_the_other_gives_up() {
        let mut target = scratch(vec![put("a", "10.0.0.0/25"), put("b", "10.0.0.128/25")]).await;
        // `a` can have the whole /24 only after `b` has moved away.
        let settled = settle(&mut target, vec![put("a", "10.0.0.0/24"), put("b", "10.0.1.0/24")]).await;
        assert_eq!(settled.done.len(), 2);
        assert!(settled.blocked.is_empty() && settled.failed.is_none());
    }

    #[tokio::test]
    async fn what_cannot_be_is_reported_once_with_its_place() {
        let mut target = scratch(vec![put("a", "10.0.0.0/24")]).await;
        let settled = settle(&mut target, vec![put("b", "10.0.0.0/16"), put("c", "10.1.0.0/16")]).await;
        assert_eq!(settled.done.len(), 1);
        let [problem] = &settled.blocked[..] else { panic!("{:?}", settled.blocked) };
        assert_eq!(problem.key, Some(ObjectKey { kind: ObjectKind::Subnet, name: "b".to_owned() }));
        assert_eq!((problem.row.file.as_str(), problem.row.line), ("x.yaml", Some(3)));
    }
}
