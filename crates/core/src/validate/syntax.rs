//! Names and words: what Kubernetes, CNI and DNS take.

use super::{Checked, fault};

/// A name as the API server takes it for most objects: a DNS-1123 subdomain.
pub(super) fn object_name(field: &str, name: &str) -> Checked {
    if name.is_empty() {
        return fault(field, "is empty", "give a name such as `rack-a`");
    }
    if name.len() > 253 {
        return fault(field, format!("is {} characters long, and 253 is the most", name.len()), "shorten it");
    }
    if name.split('.').all(is_label) {
        return Ok(());
    }
    fault(
        field,
        format!("`{}` is no name of an object", name.escape_debug()),
        match suggestion(name) {
            Some(better) => format!("use lower-case letters, digits, `-` and `.`; did you mean `{better}`?"),
            None => {
                "use lower-case letters, digits, `-` and `.`, with a letter or digit at both ends".to_owned()
            }
        },
    )
}

/// A name that the daemon made up.
pub(super) fn implied_name(field: &str, name: &str, most: usize) -> Checked {
    if !name.is_empty() && name.len() <= most && !name.contains(char::is_control) {
        return Ok(());
    }
    fault(
        field,
        format!(
            "`{}` is empty, longer than {most} bytes, or has control characters in it",
            name.escape_debug()
        ),
        "give the network a shorter, printable name",
    )
}

/// A namespace: a DNS-1123 label.
pub(super) fn namespace(field: &str, name: &str) -> Checked {
    if name.len() <= 63 && is_label(name) {
        return Ok(());
    }
    fault(
        field,
        format!("`{}` is no name of a namespace", name.escape_debug()),
        "use at most 63 lower-case letters, digits and `-`, with a letter or digit at both ends",
    )
}

/// A network: the name in a CNI configuration, or `namespace/name` of a `NetworkAttachmentDefinition`.
pub(super) fn network(field: &str, text: &str) -> Checked {
    let (space, name) = text.split_once('/').map_or((None, text), |(space, name)| (Some(space), name));
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if starts && plain && name.len() <= 253 && space.is_none_or(|space| space.len() <= 63 && is_label(space))
    {
        return Ok(());
    }
    fault(
        field,
        format!("`{}` is no name of a network", text.escape_debug()),
        "give the `name` of the CNI configuration, or `namespace/name` of a NetworkAttachmentDefinition",
    )
}

/// A DNS domain, or `.` for none at all.
pub(super) fn domain(field: &str, text: &str) -> Checked {
    let bare = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    if text == "." || (bare.len() <= 253 && bare.split('.').all(label)) {
        return Ok(());
    }
    fault(
        field,
        format!("`{}` is no DNS domain", text.escape_debug()),
        "write it as `rack-a.example`, labels of at most 63 letters, digits and `-`; others in their ASCII form (xn--…)",
    )
}

/// The key of a label: a name of at most 63 characters, after a DNS prefix and a slash where it has one.
pub(super) fn label_key(field: &str, key: &str) -> Checked {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let prefix_fits = prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(is_label));
    if !name.is_empty() && is_label_text(name) && prefix_fits {
        return Ok(());
    }
    fault(
        field,
        format!("`{}` is no key of a label", key.escape_debug()),
        "write it as `app` or `example.com/app`, at most 63 letters, digits, `-`, `_` and `.` after the slash",
    )
}

/// The value of a label: empty, or at most 63 characters.
pub(super) fn label_value(field: &str, value: &str) -> Checked {
    if is_label_text(value) {
        return Ok(());
    }
    fault(
        field,
        format!("`{}` is no value of a label", value.escape_debug()),
        "use at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends",
    )
}

/// The kind of an owner, such as `Pod` or `VirtualMachine`.
pub(super) fn kind(field: &str, kind: &str) -> Checked {
    let starts = kind.starts_with(|c: char| c.is_ascii_uppercase());
    if starts && kind.len() <= 63 && kind.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(());
    }
    fault(
        field,
        format!("`{}` is no kind of owner", kind.escape_debug()),
        "write it as Kubernetes does: Pod, StatefulSet, VirtualMachine, Container, Machine, …",
    )
}

/// The name of an owner; what a container may be called differs between runtimes.
pub(super) fn owner_name(field: &str, name: &str) -> Checked {
    if (1..=253).contains(&name.len())
        && !name.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control())
    {
        return Ok(());
    }
    fault(
        field,
        format!("`{}` is no name of an owner", name.escape_debug()),
        "give the name alone, without spaces; the namespace has a field of its own",
    )
}

/// The UID of an owner, which may be unknown.
pub(super) fn uid(field: &str, uid: &str) -> Checked {
    if uid.len() <= 253 && uid.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    fault(
        field,
        format!("`{}` is no UID", uid.escape_debug()),
        "copy it from the object's metadata.uid, or leave it out",
    )
}

/// Lower-case letters, digits and `-`, with a letter or digit at both ends.
fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let (Some(first), Some(last)) = (text.bytes().next(), text.bytes().last()) else { return false };
    inner(first) && inner(last) && text.bytes().all(|b| inner(b) || b == b'-')
}

/// What both the name part of a label's key and its value are made of.
fn is_label_text(text: &str) -> bool {
    let edge = |b: Option<u8>| b.is_none_or(|b| b.is_ascii_alphanumeric());
    text.len() <= 63
        && edge(text.bytes().next())
        && edge(text.bytes().last())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// The nearest name that is allowed, where changing case and separators is enough.
fn suggestion(name: &str) -> Option<String> {
    let better = name.trim().to_ascii_lowercase().replace(['_', ' ', '/', ':'], "-");
    better.split('.').all(is_label).then_some(better)
}
