//! What is wrong and where, before it is known in which object of which file.

use std::fmt;

use serde::de;

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

/// Follows from the nearest of `known` to what was written, if any is near.
pub(crate) fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let folded = written.to_lowercase();
    let distance = |known: &str| strsim::osa_distance(&folded, &known.to_lowercase());
    let (best, distance) =
        known.iter().map(|&known| (known, distance(known))).min_by_key(|&(_, distance)| distance)?;
    let prefix = folded.starts_with(&best.to_lowercase()) || best.to_lowercase().starts_with(&folded);
    (distance <= (best.len() / 3).max(1) || (prefix && folded.len() >= 3)).then_some(best)
}

/// Lists for reading: `a`, `b` and `c`.
pub(crate) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
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

    fn missing_field(field: &'static str) -> Fault {
        Fault { missing: true, ..Fault::new(field, Spot::default(), "is missing", format!("add `{field}`")) }
    }

    fn unknown_variant(written: &str, known: &'static [&'static str]) -> Fault {
        let text = match nearest(written, known) {
            Some(near) => format!("`{}` is not known; did you mean `{near}`?", written.escape_debug()),
            None => format!("`{}` is not known", written.escape_debug()),
        };
        Fault {
            text,
            hint: format!("it can be {}", listed(known).replace(" and ", " or ")),
            ..Fault::default()
        }
    }
}
