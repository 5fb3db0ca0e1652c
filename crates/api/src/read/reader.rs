//! From a tree of nodes to the types of `v1alpha1`, by serde: it knows the path of every value, and refuses fields that
//! the type does not have.

use std::cell::RefCell;
use std::net::Ipv6Addr;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::fault::{Fault, Spot, listed, nearest};
use super::node::{Entry, Node, Value};

/// Reads one node as one value.
pub(super) struct Reader<'de> {
    node: &'de Node,
    path: String,
    at: Spot,
    /// Fields that the types do not have. They do not stop the reading: all of them are told at once.
    unknown: &'de RefCell<Vec<Fault>>,
}

/// Reads what is under a key of the object. Fields that `T` does not have come first among the faults; what was
/// found missing may be one of them.
pub(super) fn read<T: DeserializeOwned>(entry: &Entry) -> Result<T, Vec<Fault>> {
    let unknown = RefCell::default();
    let reader = Reader { node: &entry.node, path: entry.key.clone(), at: entry.spot(), unknown: &unknown };
    let result = T::deserialize(reader).map_err(|fault| fault.located(&entry.key, entry.spot()));
    let mut faults = unknown.into_inner();
    match result {
        Ok(value) if faults.is_empty() => Ok(value),
        Ok(_) => Err(faults),
        Err(fault) => {
            if faults.is_empty() || !fault.missing {
                faults.push(fault);
            }
            Err(faults)
        }
    }
}

impl<'de> Reader<'de> {
    fn wrong(&self, expected: &dyn Expected) -> Fault {
        let hint = match &self.node.value {
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {
                "put it in quotes if it is meant as text".to_owned()
            }
            Value::Map(entries) => match entries.as_slice() {
                [Entry { key, node: Node { value: Value::Null, .. }, .. }] if ends_in_colon(key) => {
                    format!("put an address that ends in a colon in quotes: \"{key}:\"")
                }
                _ => String::new(),
            },
            _ => String::new(),
        };
        Fault::new(&self.path, self.at, format!("{expected} is expected, and this is {}", self.node), hint)
    }

    fn wrong_shape(&self, expected: &str, hint: impl Into<String>) -> Fault {
        Fault::new(&self.path, self.at, format!("{expected} is expected, and this is {}", self.node), hint)
    }

    /// Reads one value below; faults that do not know their place get its.
    fn below<T: DeserializeSeed<'de>>(
        &self,
        step: &str,
        node: &'de Node,
        at: Spot,
        seed: T,
    ) -> Result<T::Value, Fault> {
        let path = format!("{}{step}", self.path);
        let reader = Reader { node, path: path.clone(), at, unknown: self.unknown };
        seed.deserialize(reader).map_err(|fault| fault.located(&path, at))
    }

    /// The entries of a mapping, as a serde map.
    fn fields<V: Visitor<'de>>(self, entries: Vec<&'de Entry>, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_map(Fields { reader: &self, entries: entries.into_iter(), next: None })
    }
}

/// Whether a key that YAML took the last colon of was the beginning of an IPv6 address: `- fd00::`.
fn ends_in_colon(key: &str) -> bool {
    key.ends_with(':') && format!("{key}:").parse::<Ipv6Addr>().is_ok()
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(value) if let Ok(value) = u64::try_from(*value) => visitor.visit_u64(value),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
            Value::Null | Value::Integer(_) | Value::Float(_) => Err(self.wrong(&visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Text(text) => visitor.visit_borrowed_str(text),
            _ => Err(self.wrong(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            _ => Err(self.wrong_shape("`true` or `false`", "")),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Integer(value) if let Ok(value) = u32::try_from(*value) => visitor.visit_u32(value),
            Value::Text(text) if text.parse::<u32>().is_ok() => {
                Err(self.wrong_shape("a whole number", "remove the quotes"))
            }
            _ => Err(self.wrong_shape("a whole number", "write digits alone, without a unit")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(Items { reader: &self, items: items.iter().enumerate() }),
            Value::Text(text) => {
                Err(self.wrong_shape("a list", format!("write it as a list: [\"{}\"]", text.escape_debug())))
            }
            _ => Err(self.wrong_shape("a list", "")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Map(entries) => {
                let entries = entries.iter().collect();
                self.fields(entries, visitor)
            }
            _ => Err(self.wrong_shape("a mapping", "write `key: value`, one a line, indented")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Value::Map(entries) = &self.node.value else {
            let hint = format!("give its fields, indented under it: {}", listed(known));
            return Err(self.wrong_shape("a mapping", hint));
        };
        self.unknown.borrow_mut().extend(unknown_fields(&self.path, entries, known));
        // As on the API server, a field without a value is a field that is not there.
        let given =
            |entry: &&Entry| known.contains(&entry.key.as_str()) && !matches!(entry.node.value, Value::Null);
        let entries = entries.iter().filter(given).collect();
        self.fields(entries, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Text(text) => visitor.visit_enum(StrDeserializer::new(text)),
            _ => Err(self.wrong_shape(&format!("one of {}", listed(known)), "")),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
        ignored_any
    }
}

/// One fault for each entry of a mapping whose key is none of `known`.
pub(super) fn unknown_fields<'de>(
    path: &'de str,
    entries: &'de [Entry],
    known: &'de [&'de str],
) -> impl Iterator<Item = Fault> + 'de {
    let unknown = entries.iter().filter(|entry| !known.contains(&entry.key.as_str()));
    unknown.map(move |entry| {
        let key = entry.key.escape_debug();
        let field = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        let text = match nearest(&entry.key, known) {
            Some(near) => format!("the field `{key}` is not known; did you mean `{near}`?"),
            None => format!("the field `{key}` is not known"),
        };
        Fault::new(field, entry.at, text, format!("the fields here are {}", listed(known)))
    })
}

struct Items<'r, 'de> {
    reader: &'r Reader<'de>,
    items: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        self.reader.below(&format!("[{index}]"), node, node.at, seed).map(Some)
    }
}

struct Fields<'r, 'de> {
    reader: &'r Reader<'de>,
    entries: std::vec::IntoIter<&'de Entry>,
    next: Option<&'de Entry>,
}

impl<'de> MapAccess<'de> for Fields<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.next = self.entries.next();
        let Some(entry) = self.next else { return Ok(None) };
        let key: StrDeserializer<'de, Fault> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let entry = self.next.expect("serde asks for a value after its key");
        self.reader.below(&format!(".{}", entry.key), &entry.node, entry.spot(), seed)
    }
}
