//! How endpoints fail.

use allotment_engine::EngineError;
use allotment_wire::ErrorBody;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::owners::OwnerPattern;
use crate::failure::Failure;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Trouble {
    status: StatusCode,
    body: ErrorBody,
}

impl Trouble {
    /// The question makes no sense: 400.
    pub(crate) fn usage(text: impl Into<String>) -> Trouble {
        Trouble::new(StatusCode::BAD_REQUEST, text, "see `allot help`")
    }

    /// What was sent cannot be read as what it should be: 400.
    pub(crate) fn unreadable(text: impl Into<String>, hint: impl Into<String>) -> Trouble {
        Trouble::new(StatusCode::BAD_REQUEST, text, hint)
    }

    /// What is asked for contradicts what is there: 409.
    pub(crate) fn conflict(
        text: impl Into<String>,
        details: Vec<String>,
        hint: impl Into<String>,
    ) -> Trouble {
        let mut trouble = Trouble::new(StatusCode::CONFLICT, text, hint);
        trouble.body.details = details;
        trouble
    }

    /// It cannot be found out: 500.
    pub(crate) fn unable(text: impl Into<String>, hint: impl Into<String>) -> Trouble {
        Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, text, hint)
    }

    /// The same trouble, with what it interrupted, and what to do once its own hint is followed.
    pub(crate) fn within(mut self, what: &str, then: &str) -> Trouble {
        self.body.error = format!("{what}: {}", self.body.error);
        self.body.hint = format!("{}; {then}", self.body.hint);
        self
    }

    /// Parses an owner as people name it.
    pub(crate) fn owner(text: &str) -> Result<OwnerPattern, Trouble> {
        OwnerPattern::parse(text).ok_or_else(|| {
            Trouble::new(
                StatusCode::BAD_REQUEST,
                format!("`{text}` names no owner"),
                "write `Kind/namespace/name`, `namespace/name`, a name, a pod's UID or a container's id",
            )
        })
    }

    fn new(status: StatusCode, text: impl Into<String>, hint: impl Into<String>) -> Trouble {
        Trouble { status, body: ErrorBody { error: text.into(), hint: hint.into(), details: Vec::new() } }
    }
}

impl From<Trouble> for Failure {
    fn from(Trouble { body, .. }: Trouble) -> Failure {
        let ErrorBody { error: text, hint, details } = body;
        if details.is_empty() {
            Failure::unable(text, hint)
        } else {
            Failure::Refused { text, details, hint }
        }
    }
}

impl From<Failure> for Trouble {
    /// What the tool itself asked of somebody else and did not get.
    fn from(failure: Failure) -> Trouble {
        match failure {
            Failure::Refused { text, hint, .. } | Failure::Unable { text, hint } => {
                Trouble::unable(text, hint)
            }
            Failure::BrokenPipe => Trouble::unable(failure.to_string(), ""),
        }
    }
}

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Trouble {
        let hint = match &error {
            EngineError::Refused(refusal) => refusal.hint.clone(),
            EngineError::Object(error) => error.hint.clone(),
            EngineError::Busy { .. } | EngineError::Deadline => "try again in a moment".to_owned(),
            EngineError::Ledger(_) => "see the daemon's log; is the disk full?".to_owned(),
            EngineError::Stopped => "the daemon is stopping; try again once it is back".to_owned(),
        };
        let status = match &error {
            EngineError::Refused(_) | EngineError::Object(_) => StatusCode::CONFLICT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Trouble::new(status, error.to_string(), hint)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
