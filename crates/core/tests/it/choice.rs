//! Order of choice and its boundaries (C1–C6): what a request is given, and why it is refused.

mod address;
mod families;
mod gateways;
mod interfaces;
mod macs;
mod reserved;
mod selectors;
mod targets;

use allotment_core::Refusal;

/// All that a refusal says: code, text with counts, hint.
fn said(refusal: &Refusal) -> [String; 3] {
    [refusal.code.as_str().to_owned(), refusal.to_string(), refusal.hint.clone()]
}
