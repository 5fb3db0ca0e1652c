//! What the runtime is told: CNI's codes for our reasons (O3).

use allotment_core::{Code, Refusal};
use allotment_engine::EngineError;
use allotment_wire::cni::{Error, code};

pub(crate) const LATER: &str =
    "the runtime tries again by itself; `allot ready` tells when the daemon serves";

/// It may work the next time.
pub(crate) fn later(msg: impl Into<String>) -> Error {
    Error::new(code::TRY_AGAIN_LATER, msg, LATER)
}

/// What CNI calls a refusal.
pub fn cni_code(code: Code) -> u32 {
    match code {
        Code::Full => code::FULL,
        Code::Taken => code::TAKEN,
        Code::NotAllowed => code::NOT_ALLOWED,
        Code::Withheld => code::TRY_AGAIN_LATER,
        Code::Unknown | Code::Invalid => code::INVALID_CONFIG,
    }
}

pub(crate) fn refused(refusal: &Refusal) -> Error {
    Error::new(cni_code(refusal.code), refusal.to_string(), refusal.hint.as_str())
}

pub(crate) fn failed(why: EngineError) -> Error {
    match why {
        EngineError::Refused(refusal) => refused(&refusal),
        EngineError::Object(why) => Error::new(code::INVALID_CONFIG, why.to_string(), why.hint),
        EngineError::Busy { .. } | EngineError::Deadline | EngineError::Ledger(_) | EngineError::Stopped => {
            later(why.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_code() {
        let codes = Code::ALL.map(|code| {
            let refusal = Refusal::new(code, "subnet `a` is full", "add a subnet").count("held", 254);
            let error = failed(refusal.into());
            assert_eq!(
                (error.msg.as_str(), error.details.as_str()),
                ("subnet `a` is full: 254 held", "add a subnet")
            );
            error.code
        });
        assert_eq!(codes, [100, 101, 102, 7, 11, 7]);
        let later = [
            EngineError::Busy { waiting: 9 },
            EngineError::Deadline,
            EngineError::Ledger("disk full".to_owned()),
            EngineError::Stopped,
        ];
        for why in later {
            let text = why.to_string();
            let error = failed(why);
            assert_eq!((error.code, error.msg), (11, text));
        }
    }
}
