//! Why not: every refusal says what was asked, what stood in the way with counts, and what to do next.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a request was not granted. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Refusal {
    pub code: Code,
    /// What was asked and what stood in the way; one sentence without a full stop.
    pub text: String,
    /// The numbers behind the text, in the order in which they are read.
    pub counts: Vec<Count>,
    /// What to do next.
    pub hint: String,
    /// Milliseconds after which time alone may have mended it: something in its way cools until then. Nothing: only a
    /// release or another request can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_ms: Option<u64>,
}

/// One number of a [`Refusal`], such as `held` 254.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub what: String,
    /// A decimal string: a /64 does not fit in an integer.
    pub value: String,
}

/// Variants, names and texts come from one list, so that no code lacks its line in the reference.
macro_rules! codes {
    ($($variant:ident = $name:literal, $meaning:literal, $remedy:literal;)*) => {
        /// What a refusal is about. A waiter's refusal is rewritten only when this changes (C7).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            pub const ALL: [Code; [$($name),*].len()] = [$(Code::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$variant => $name,)*
                }
            }

            /// What it means, for the reference.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Code::$variant => $meaning,)*
                }
            }

            /// What a person does about it, for the reference.
            pub fn remedy(self) -> &'static str {
                match self {
                    $(Code::$variant => $remedy,)*
                }
            }
        }
    };
}

codes! {
    Full = "full",
        "No free address in what may be used.",
        "Add a Subnet or IPPool behind it, make it larger, release what is not needed, or wait for what cools.";
    Taken = "taken",
        "The address or MAC asked for belongs to somebody else, or cools after somebody else.",
        "Ask for another one, or end its holder (`allot who-has ADDRESS`).";
    NotAllowed = "not-allowed",
        "It may not be had by this owner: a binding, a pool's boundary, a reservation, a gateway; or nothing says where \
         the owner gets its addresses.",
        "Name a Subnet or IPPool that the owner may use, or change bindings, selectors or reservation.";
    Unknown = "unknown",
        "The subnet, pool or address named does not exist.",
        "Declare it, or correct the name.";
    Withheld = "withheld",
        "What is free cannot be told now: the ledger was set back, or a block of it cannot be read.",
        "Wait until every node has said what it uses, or bring the block back: hint and log name what is missing.";
    Invalid = "invalid",
        "The request contradicts itself or the subnet.",
        "Correct what asks: the text names both sides.";
}

impl Refusal {
    pub fn new(code: Code, text: impl Into<String>, hint: impl Into<String>) -> Refusal {
        Refusal { code, text: text.into(), counts: Vec::new(), hint: hint.into(), again_ms: None }
    }

    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "callers pass numbers")]
    pub fn count(mut self, what: &str, value: impl ToString) -> Refusal {
        self.counts.push(Count { what: what.to_owned(), value: value.to_string() });
        self
    }

    #[must_use]
    pub(crate) fn again(self, ms: Option<u64>) -> Refusal {
        Refusal { again_ms: ms, ..self }
    }
}

impl fmt::Display for Refusal {
    /// Text and counts; the hint is printed apart, where there is room for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        for (index, count) in self.counts.iter().enumerate() {
            write!(f, "{}{} {}", if index == 0 { ": " } else { ", " }, count.value, count.what)?;
        }
        Ok(())
    }
}
