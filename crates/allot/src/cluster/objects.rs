//! Which Subnets, `IPPools` and Reservations are not in force as they are declared.

use std::fmt::Debug;

use allotment_api::Problem;
use allotment_api::v1alpha1::{Condition, IPPool, ObjectStatus, Reservation, Subnet};
use allotment_core::{ObjectKey, ObjectKind};
use kube::Client;
use kube::core::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::gather;
use crate::failure::Failure;

/// What of the declared objects is not in force, as their status says.
pub(super) async fn problems(client: &Client) -> Result<Vec<Problem>, Failure> {
    let (subnets, pools, reservations) = tokio::try_join!(
        of_kind::<Subnet>(client, ObjectKind::Subnet, |subnet| subnet.status.as_ref()),
        of_kind::<IPPool>(client, ObjectKind::IPPool, |pool| pool.status.as_ref()),
        of_kind::<Reservation>(client, ObjectKind::Reservation, |reservation| reservation.status.as_ref()),
    )?;
    Ok([subnets, pools, reservations].concat())
}

async fn of_kind<K>(
    client: &Client,
    kind: ObjectKind,
    status: impl Fn(&K) -> Option<&ObjectStatus>,
) -> Result<Vec<Problem>, Failure>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let objects: Vec<K> = gather::all(client).await?;
    let problems = objects.iter().filter_map(|object| {
        let key = ObjectKey { kind, name: object.name_any() };
        problem(key, object.meta().generation, status(object))
    });
    Ok(problems.collect())
}

/// What its status says against an object of this generation.
fn problem(key: ObjectKey, generation: Option<i64>, status: Option<&ObjectStatus>) -> Option<Problem> {
    let ready: Option<&Condition> =
        status.and_then(|status| status.conditions.iter().find(|condition| condition.kind == "Ready"));
    let seen = ready
        .and_then(|ready| ready.observed_generation)
        .or(status.and_then(|status| status.observed_generation));
    let (text, hint) = match ready {
        Some(ready) if seen >= generation && ready.status == "True" => return None,
        Some(ready) if seen >= generation => (ready.message.clone(), String::new()),
        _ => ("the controller has not looked at it yet".to_owned(), "see that a controller runs".to_owned()),
    };
    let file = "status".to_owned();
    Some(Problem { file, line: 0, column: 0, object: Some(key), field: String::new(), text, hint })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_force() {
        let key = || ObjectKey { kind: ObjectKind::Subnet, name: "rack-a".to_owned() };
        let status = |ready: &str, generation| ObjectStatus {
            observed_generation: Some(generation),
            conditions: vec![Condition {
                kind: "Ready".to_owned(),
                status: ready.to_owned(),
                message: "it overlaps".to_owned(),
                observed_generation: Some(generation),
                ..Condition::default()
            }],
            ..ObjectStatus::default()
        };
        let says = |generation, status: Option<&ObjectStatus>| {
            problem(key(), Some(generation), status).map(|problem| problem.text)
        };
        let unseen = Some("the controller has not looked at it yet".to_owned());
        assert_eq!(says(1, None), unseen);
        assert_eq!(says(2, Some(&status("True", 1))), unseen, "its last generation is not judged yet");
        assert_eq!(says(2, Some(&status("True", 2))), None);
        assert_eq!(says(2, Some(&status("False", 2))), Some("it overlaps".to_owned()));
        assert_eq!(says(2, Some(&status("Unknown", 2))), Some("it overlaps".to_owned()));
    }
}
