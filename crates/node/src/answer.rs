//! What the runtime is told: CNI's codes for our reasons (O3).

use allotment_core::{Code, Refusal};
use allotment_engine::EngineError;
use allotment_wire::cni;

/// CNI's codes (SPEC 1.1.0, section 5, "Error") and, from 100 on, our own.
pub(crate) mod code {
    pub(crate) const ENVIRONMENT: u32 = 4;
    pub(crate) const DECODE: u32 = 6;
    pub(crate) const CONFIG: u32 = 7;
    pub(crate) const TRY_AGAIN_LATER: u32 = 11;
    pub(crate) const NOT_AVAILABLE: u32 = 50;
    pub(crate) const FULL: u32 = 100;
    pub(crate) const TAKEN: u32 = 101;
    pub(crate) const NOT_ALLOWED: u32 = 102;
    pub(crate) const DIFFERS: u32 = 103;
}

const LATER: &str = "the runtime tries again by itself; `allot ready` tells when the daemon serves";

/// An error of CNI. The version is put in where the configuration's is known.
pub(crate) fn error(code: u32, msg: impl Into<String>, details: impl Into<String>) -> cni::Error {
    cni::Error { cni_version: String::new(), code, msg: msg.into(), details: details.into() }
}

/// The configuration is at fault.
pub(crate) fn invalid(msg: impl Into<String>, details: impl Into<String>) -> cni::Error {
    error(code::CONFIG, msg, details)
}

/// It may work the next time.
pub(crate) fn later(msg: impl Into<String>) -> cni::Error {
    error(code::TRY_AGAIN_LATER, msg, LATER)
}

pub(crate) fn refused(refusal: &Refusal) -> cni::Error {
    let code = match refusal.code {
        Code::Full => code::FULL,
        Code::Taken => code::TAKEN,
        Code::NotAllowed => code::NOT_ALLOWED,
        Code::Unknown | Code::Invalid => code::CONFIG,
    };
    error(code, refusal.to_string(), refusal.hint.as_str())
}

pub(crate) fn failed(why: EngineError) -> cni::Error {
    match why {
        EngineError::Refused(refusal) => refused(&refusal),
        EngineError::Object(why) => error(code::CONFIG, why.to_string(), why.hint),
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
            assert_eq!((error.msg.as_str(), error.details.as_str()), ("subnet `a` is full: 254 held", "add a subnet"));
            error.code
        });
        assert_eq!(codes, [100, 101, 102, 7, 7]);
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
