//! What the source says of the types of objects and annotations. It is formatted by rustfmt, so lines are enough to go by.

/// Compiled in: the pages are never about another version of the types than the program's.
const SOURCES: [&str; 5] = [
    include_str!("../v1alpha1.rs"),
    include_str!("../v1alpha1/status.rs"),
    include_str!("../annotation.rs"),
    include_str!("../v1alpha1/block.rs"),
    include_str!("../v1alpha1/node.rs"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Struct,
    Enum,
}

/// A struct or an enum.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) doc: String,
    pub(super) members: Vec<Member>,
}

/// A field or a variant.
#[derive(Debug)]
pub(super) struct Member {
    /// As it is written in YAML.
    pub(super) name: String,
    /// Empty for a variant.
    pub(super) rust_type: String,
    pub(super) required: bool,
    pub(super) doc: String,
}

/// What stands before an item.
#[derive(Default)]
struct Before {
    doc: Vec<&'static str>,
    attributes: Vec<&'static str>,
}

impl Before {
    fn doc(&self) -> String {
        self.doc.join(" ")
    }

    fn says(&self, word: &str) -> bool {
        self.attributes.iter().any(|attribute| attribute.contains(word))
    }

    /// The name that serde is told.
    fn renamed(&self) -> Option<&'static str> {
        let attribute =
            self.attributes.iter().find(|attribute| attribute.starts_with("#[serde(rename = "))?;
        attribute.split('"').nth(1)
    }
}

/// Every type, in the order of the sources.
pub(super) fn types() -> Vec<Type> {
    SOURCES.into_iter().flat_map(types_of).collect()
}

fn types_of(source: &'static str) -> Vec<Type> {
    let mut types: Vec<Type> = Vec::new();
    let mut before = Before::default();
    // The type whose members are being read, and whether their names are written in camel case.
    let mut open: Option<(Type, bool)> = None;
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let text = line.trim();
        if let Some(doc) = text.strip_prefix("///") {
            before.doc.push(doc.trim());
            continue;
        }
        if text.starts_with("#[") {
            before.attributes.push(text);
            if !text.ends_with(']') {
                // What spans lines is for custom resources; its end stands alone.
                lines.by_ref().find(|line| line.trim() == ")]");
            }
            continue;
        }
        let found = std::mem::take(&mut before);
        match &mut open {
            None => open = opened(line, &found),
            Some(_) if line == "}" => types.extend(open.take().map(|(item, _)| item)),
            Some((item, camel)) => item.members.extend(member(text, item.kind, *camel, &found)),
        }
    }
    types
}

fn opened(line: &str, before: &Before) -> Option<(Type, bool)> {
    let (kind, rest) = match line.strip_prefix("pub struct ") {
        Some(rest) => (Kind::Struct, rest),
        None => (Kind::Enum, line.strip_prefix("pub enum ")?),
    };
    let name = rest.strip_suffix(" {")?.to_owned();
    Some((Type { name, kind, doc: before.doc(), members: Vec::new() }, before.says("camelCase")))
}

fn member(text: &str, kind: Kind, camel: bool, before: &Before) -> Option<Member> {
    let text = text.strip_suffix(',')?;
    let (name, rust_type) = match kind {
        Kind::Struct => text.strip_prefix("pub ")?.split_once(": ")?,
        Kind::Enum => (text, ""),
    };
    Some(Member {
        name: match before.renamed() {
            Some(name) => name.to_owned(),
            None if camel => camel_case(name),
            None => name.to_owned(),
        },
        rust_type: rust_type.to_owned(),
        required: kind == Kind::Struct && !before.says("default"),
        doc: before.doc(),
    })
}

/// `namespace_selector` and `Oldest` as serde writes them.
fn camel_case(name: &str) -> String {
    let mut upper = false;
    let mut out = String::new();
    for letter in name.chars() {
        match letter {
            '_' => upper = true,
            _ if upper => {
                out.extend(letter.to_uppercase());
                upper = false;
            }
            _ if out.is_empty() => out.extend(letter.to_lowercase()),
            _ => out.push(letter),
        }
    }
    out
}
