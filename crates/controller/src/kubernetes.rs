//! What every part that writes to the API server needs.

use kube::Error;

/// Our name on the fields that we write.
pub(crate) const FIELD_MANAGER: &str = "allotment-controller";

/// The HTTP status of a refusal by the API server; nothing when it gave no answer.
pub(crate) fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// It is not as we thought: somebody else wrote it, or made it before us.
pub(crate) fn is_conflict(error: &Error) -> bool {
    code(error) == Some(409)
}

pub(crate) fn is_missing(error: &Error) -> bool {
    code(error) == Some(404)
}
