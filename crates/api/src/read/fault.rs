//! What is wrong and where, before it is known in which object of which file.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::node::Node;

/// A place in a file; both count from 1, and 0 is nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Path of the field in the object; empty for the whole document.
    pub(crate) field: String,
    pub(crate) at: Spot,
    pub(crate) text: String,
    /// What to do, where the text does not say it.
    pub(crate) hint: String,
    /// A field is not there.
    pub(crate) missing: bool,
}

impl Fault {
    pub(crate) fn new(
        field: impl Into<String>,
        at: Spot,
        text: impl Into<String>,
        hint: impl Into<String>,
    ) -> Fault {
        Fault { field: field.into(), at, text: text.into(), hint: hint.into(), missing: false }
    }

    /// Something else was written than what belongs there.
    pub(crate) fn mismatch(
        field: &str,
        at: Spot,
        expected: impl fmt::Display,
        found: &Node,
        hint: impl Into<String>,
    ) -> Fault {
        Fault::new(field, at, format!("{expected} is expected, and this is {found}"), hint)
    }

    /// The place of a fault that has none yet. What serde found missing is a field of what is at `path`.
    pub(crate) fn located(mut self, path: &str, at: Spot) -> Fault {
        if self.at == Spot::default() {
            self.field =
                if self.field.is_empty() { path.to_owned() } else { format!("{path}.{}", self.field) };
            self.at = at;
        }
        self
    }
}

/// Bytes; nobody mistypes a field at greater length, and to compare takes time.
const LONGEST_TYPO: usize = 64;

/// The one of `known` that was meant, if any is near to what was written.
pub(crate) fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    if written.len() > LONGEST_TYPO {
        return None;
    }
    let folded = written.to_lowercase();
    let distance = |known: &str| strsim::osa_distance(&folded, &known.to_lowercase());
    let (best, distance) =
        known.iter().map(|&known| (known, distance(known))).min_by_key(|&(_, distance)| distance)?;
    let prefix = folded.starts_with(&best.to_lowercase()) || best.to_lowercase().starts_with(&folded);
    (distance <= (best.len() / 3).max(1) || (prefix && folded.len() >= 3)).then_some(best)
}

/// Lists for reading: `a`, `b` and `c`, or with another word than "and".
pub(crate) fn listed(words: &[&str], and: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} {and} {last}", others.join(", ")),
        None => String::new(),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(text: T) -> Fault {
        Fault { text: text.to_string(), ..Fault::default() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        de::Error::custom(format_args!("{expected} is expected, and this is the {found}"))
    }

    fn missing_field(field: &'static str) -> Fault {
        Fault { missing: true, ..Fault::new(field, Spot::default(), "is missing", format!("add `{field}`")) }
    }

    fn unknown_variant(written: &str, known: &'static [&'static str]) -> Fault {
        let text = match nearest(written, known) {
            Some(near) => format!("`{written}` is not known; did you mean `{near}`?"),
            None => format!("`{written}` is not known"),
        };
        Fault { text, hint: format!("it can be {}", listed(known, "or")), ..Fault::default() }
    }
}
