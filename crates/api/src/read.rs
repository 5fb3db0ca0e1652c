//! From the text of a file to objects and problems.

mod document;
pub(crate) mod fault;
pub(crate) mod node;
mod reader;

use std::sync::Arc;

use crate::{Parsed, Problem};
use fault::Fault;

/// Larger files are refused. Ten thousand objects fit.
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;

/// Reads the objects of a file: YAML documents between lines of `---`, each of them an object or a `List` of objects.
/// JSON is YAML. What is wrong with one document does not hide the others; an object that is there twice counts once.
pub fn parse(file_name: &str, text: &str) -> Parsed {
    Parsed::gather([parse_alone(&file_name.into(), text)], |_| None)
}

/// [`parse`], with objects that are there twice left as they are.
pub(crate) fn parse_alone(file: &Arc<str>, text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        parsed.blank.push(file.to_string());
    }
    if text.len() > MAX_FILE_BYTES {
        let most = MAX_FILE_BYTES / 1024 / 1024;
        let text = format!("the file is {} bytes long, and {most} MiB is the most", text.len());
        let fault = Fault { text, hint: "split it into several files".to_owned(), ..Fault::default() };
        parsed.errors.push(Problem::new(file, None, fault));
        return parsed;
    }
    let mut nodes_left = node::MAX_NODES;
    for (lines_before, text) in documents(text) {
        match node::read(text, lines_before, nodes_left) {
            Ok(nodes) => {
                for node in &nodes {
                    nodes_left = nodes_left.saturating_sub(node.count());
                    document::read(file, node, &mut parsed);
                }
            }
            Err(unreadable) => {
                parsed.errors.push(Problem::new(file, None, unreadable.fault));
                if unreadable.too_large {
                    break;
                }
            }
        }
    }
    parsed
}

/// The documents of a file, each with the number of lines before it, so that a parser that loses track in one still
/// reads the others. A line that begins with `---` and a blank is a marker wherever it stands: YAML forbids it even
/// inside of quotes and block scalars (spec 1.2.2, section 9.1.2).
fn documents(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let mut starts = vec![(0, 0)];
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
        {
            starts.push((number, offset));
        }
        offset += line.len();
    }
    let ends: Vec<usize> = starts.iter().skip(1).map(|&(_, offset)| offset).chain([text.len()]).collect();
    let pieces = starts.into_iter().zip(ends);
    let pieces = pieces
        .map(move |((lines, start), end)| (u32::try_from(lines).unwrap_or(u32::MAX), &text[start..end]));
    pieces.filter(|(_, piece)| piece.lines().any(says_something))
}

/// Whether a line is more than a comment, a marker or a directive.
fn says_something(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}').trim();
    !(line.is_empty() || line.starts_with('#') || line.starts_with('%') || line == "---")
}
