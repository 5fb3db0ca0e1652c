//! Reading a configuration key by key, so that every error names the key and its value.

use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

use serde_json::Value;

use super::ip::parse_address;
use super::{Error, code};

/// How much of a wrong value is shown, in characters.
const SHOWN: usize = 100;

/// Most items of a list that asks for something, such as addresses. Each is tried whenever something is freed, for everybody
/// who waits with such a list; more of them are a pool.
pub const LIST_MAX: usize = 1024;

/// A value and where it stands, such as `ipam.ranges[0]`.
pub struct Field<'a> {
    path: String,
    pub value: &'a Value,
}

impl<'a> Field<'a> {
    pub(super) fn root(value: &'a Value) -> Field<'a> {
        Field::named("", value)
    }

    /// A value that errors call `name`.
    pub fn named(name: &str, value: &'a Value) -> Field<'a> {
        Field { path: name.to_owned(), value }
    }

    /// The member `key`; none where it is missing or null. Where no member is spelt like it, one that differs only in
    /// upper and lower case is taken, as every plugin written in Go does.
    pub fn get(&self, key: &str) -> Result<Option<Field<'a>>, Error> {
        let members = self.value.as_object().ok_or_else(|| self.wrong_type("an object"))?;
        let alike =
            || members.iter().find(|(other, _)| other.eq_ignore_ascii_case(key)).map(|(_, value)| value);
        Ok(members.get(key).or_else(alike).filter(|value| !value.is_null()).map(|value| {
            let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
            Field { path, value }
        }))
    }

    pub fn text(&self) -> Result<&'a str, Error> {
        self.value.as_str().ok_or_else(|| self.wrong_type("a string"))
    }

    pub fn items(&self) -> Result<Vec<Field<'a>>, Error> {
        let items = self.value.as_array().ok_or_else(|| self.wrong_type("a list"))?;
        let field = |(index, value)| Field { path: format!("{}[{index}]", self.path), value };
        Ok(items.iter().enumerate().map(field).collect())
    }

    /// The items of a list that asks for something.
    pub fn few_items(&self) -> Result<Vec<Field<'a>>, Error> {
        let items = self.items()?;
        if items.len() > LIST_MAX {
            let why =
                format!("{} items are too many, {LIST_MAX} are allowed; name a pool instead", items.len());
            return Err(self.invalid(&why));
        }
        Ok(items)
    }

    pub fn parse<T: FromStr<Err: Display>>(&self) -> Result<T, Error> {
        self.text()?.parse().map_err(|why: T::Err| self.invalid(&why.to_string()))
    }

    pub(super) fn address(&self) -> Result<IpAddr, Error> {
        parse_address(self.text()?).map_err(|why| self.invalid(&why.to_string()))
    }

    /// A name: a string that is not empty.
    pub fn name(&self) -> Result<String, Error> {
        match self.text()? {
            "" => Err(self.invalid("a name cannot be empty")),
            name => Ok(name.to_owned()),
        }
    }

    /// The member `key` read by `read`.
    pub fn one<T>(
        &self,
        key: &str,
        read: impl FnOnce(&Field<'a>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.get(key)?.as_ref().map(read).transpose()
    }

    /// The member `key`, a list whose every item is read by `read`; nothing where it is missing.
    pub fn each<T>(&self, key: &str, read: impl Fn(&Field<'a>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        self.get(key)?.map_or(Ok(Vec::new()), |list| list.items()?.iter().map(read).collect())
    }

    /// The same of a list that asks for something.
    pub fn few<T>(&self, key: &str, read: impl Fn(&Field<'a>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        self.get(key)?.map_or(Ok(Vec::new()), |list| list.few_items()?.iter().map(read).collect())
    }

    pub fn string(&self, key: &str) -> Result<Option<String>, Error> {
        self.one(key, |field| field.text().map(str::to_owned))
    }

    pub(super) fn strings(&self, key: &str) -> Result<Vec<String>, Error> {
        self.each(key, |field| field.text().map(str::to_owned))
    }

    pub fn has(&self, key: &str) -> bool {
        self.value.get(key).is_some_and(|value| !value.is_null())
    }

    /// Refuses members that are not among `known`, upper and lower case aside.
    pub fn only(&self, known: &[&str]) -> Result<(), Error> {
        let members = self.value.as_object().ok_or_else(|| self.wrong_type("an object"))?;
        let unknown = members.keys().find(|key| !known.iter().any(|known| key.eq_ignore_ascii_case(known)));
        unknown.map_or(Ok(()), |key| {
            let place = if self.path.is_empty() { String::new() } else { format!(" in `{}`", self.path) };
            let msg = format!("`{key}`{place} is not known; known are `{}`", known.join("`, `"));
            Err(Error::new(code::INVALID_CONFIG, msg, "correct or remove the field"))
        })
    }

    /// The value has the right type but makes no sense.
    pub fn invalid(&self, why: &str) -> Error {
        let msg = format!("`{}` {}: {why}", self.path, shown(self.value));
        Error::new(code::INVALID_CONFIG, msg, "correct the network configuration")
    }

    fn wrong_type(&self, expected: &str) -> Error {
        let what =
            if self.path.is_empty() { "the configuration".to_owned() } else { format!("`{}`", self.path) };
        let msg = format!("{what} is not {expected}: {}", shown(self.value));
        Error::new(code::DECODE, msg, "correct the network configuration")
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_name_key_and_value() {
        let value = json!({"a": {"b": ["x", 7, ""]}, "n": null});
        let root = Field::root(&value);
        let list = root.get("a").unwrap().unwrap();
        let error = list.strings("b").unwrap_err();
        assert_eq!((error.code, error.msg.as_str()), (6, "`a.b[1]` is not a string: 7"));
        let error = list.each("b", Field::parse::<super::super::Net>).unwrap_err();
        assert_eq!(error.code, 7);
        assert!(error.msg.starts_with("`a.b[0]` \"x\": has no prefix length"), "{error}");
        assert_eq!(root.string("n"), Ok(None));
        assert_eq!(root.get("a").unwrap().unwrap().string("b").unwrap_err().code, 6);
        assert_eq!(Field::root(&json!(null)).get("a").map(|_| ()).unwrap_err().code, 6);
    }

    #[test]
    fn a_list_of_wishes_has_an_end() {
        let names = |count: usize| json!({"ips": vec!["10.0.0.1"; count]});
        let read = |value: &Value| Field::root(value).few("ips", Field::parse::<IpAddr>).map(|ips| ips.len());
        assert_eq!(read(&names(LIST_MAX)), Ok(LIST_MAX));
        let error = read(&names(LIST_MAX + 1)).unwrap_err();
        assert!(error.msg.contains("1025 items are too many, 1024 are allowed"), "{error}");
        assert_eq!(read(&json!({})), Ok(0));
    }

    #[test]
    fn long_values_are_cut() {
        let value = json!("é".repeat(500));
        assert_eq!(shown(&value).chars().count(), SHOWN + 1);
    }

    #[test]
    fn a_key_is_found_whatever_its_case_but_the_exact_one_first() {
        let value = serde_json::json!({"RuntimeConfig": 1, "runtimeconfig": null, "ipam": 2, "IPAM": 3});
        let root = Field::root(&value);
        let number = |key| root.get(key).unwrap().map(|field| field.value.as_u64().unwrap());
        assert_eq!(number("ipam"), Some(2));
        assert_eq!(number("Ipam"), Some(3), "the first in the object's order");
        assert_eq!(number("runtimeConfig"), Some(1));
        assert_eq!(number("dns"), None);
    }
}
