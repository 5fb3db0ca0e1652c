//! Just enough JSON: is this text one object, and what are its members?
//!
//! The configuration goes to the daemon as it came, so nothing is built from it here. The scanner takes what the
//! daemon's parser takes (RFC 8259; no byte order mark, no lone surrogates, no number that overflows), only less deep.

use std::borrow::Cow;

/// How deep arrays and objects may nest. The daemon's parser stops at 127, and the call wraps one object around it.
const MAX_DEPTH: usize = 100;

/// Why a text is not one JSON object, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Byte offset.
    at: usize,
    pub(crate) what: &'static str,
}

impl Fault {
    /// Line and column, both from 1; the column counts characters.
    pub(crate) fn place(&self, text: &[u8]) -> (usize, usize) {
        let before = text.get(..self.at).unwrap_or(text);
        let line = before.split(|&b| b == b'\n').count();
        let last = before.rsplit(|&b| b == b'\n').next().unwrap_or_default();
        // In UTF-8 every byte but a continuation byte (10xxxxxx) begins a character.
        let column = last.iter().filter(|&&b| b & 0xc0 != 0x80).count() + 1;
        (line, column)
    }
}

/// One JSON object, checked throughout, its members unread.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    /// In order; a name may come more than once.
    members: Vec<(Cow<'a, str>, &'a str)>,
}

impl<'a> Object<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Object<'a>, Fault> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| Fault { at: error.valid_up_to(), what: "this is not UTF-8" })?;
        let mut scanner = Scanner { text, at: 0, depth: 0 };
        let mut members = Vec::new();
        scanner.space();
        if scanner.peek() != Some(b'{') {
            return Err(scanner.fault("expected an object, `{`"));
        }
        scanner.object(Some(&mut members))?;
        scanner.space();
        match scanner.peek() {
            None => Ok(Object { members }),
            Some(_) => Err(scanner.fault("expected nothing after the object")),
        }
    }

    /// The member's value as it stands in the text; of several with this name the last, as every reader of CNI
    /// configurations takes it.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.members.iter().rev().find(|(key, _)| key == name).map(|&(_, value)| value)
    }
}

/// The text of a value that is a string.
pub(crate) fn string(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        text.push_str(plain);
        let letter = escaped.chars().next()?;
        rest = escaped.get(1..)?;
        match letter {
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'u' => {
                let mut units = vec![hex(rest)?];
                rest = rest.get(4..)?;
                if (0xd800..0xdc00).contains(&units[0]) {
                    units.push(hex(rest.get(2..)?)?);
                    rest = rest.get(6..)?;
                }
                text.push_str(&String::from_utf16(&units).ok()?);
            }
            other => text.push(other),
        }
    }
    text.push_str(rest);
    Some(Cow::Owned(text))
}

/// Four hexadecimal digits.
fn hex(text: &str) -> Option<u16> {
    let digits = text.get(..4)?;
    // `from_str_radix` alone would take a sign.
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

/// `text` as a JSON string, with its quotes.
pub(crate) fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c < ' ' => {
                out.push_str("\\u00");
                for digit in [u32::from(c) >> 4, u32::from(c) & 15] {
                    out.extend(char::from_digit(digit, 16));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn fault(&self, what: &'static str) -> Fault {
        let what = if self.at < self.text.len() { what } else { "the text ends too early" };
        Fault { at: self.at, what }
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return Err(self.fault(what));
        }
        self.at += 1;
        Ok(())
    }

    /// The text of what `scan` reads.
    fn taken(&mut self, scan: impl FnOnce(&mut Self) -> Result<(), Fault>) -> Result<&'a str, Fault> {
        let start = self.at;
        scan(self)?;
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn value(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Some(b'{') => self.object(None),
            Some(b'[') => self.array(),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<(), Fault> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        match ["true", "false", "null"].iter().find(|word| rest.starts_with(**word)) {
            Some(word) => {
                self.at += word.len();
                Ok(())
            }
            None => Err(self.fault("expected a value")),
        }
    }

    /// One level down, past the opening bracket and the white space behind it.
    fn open(&mut self) -> Result<(), Fault> {
        if self.depth == MAX_DEPTH {
            return Err(self.fault("this is nested more than 100 deep"));
        }
        self.depth += 1;
        self.at += 1;
        self.space();
        Ok(())
    }

    /// Past the comma to the next element (true), or past the closing bracket one level up.
    fn next(&mut self, close: u8, what: &'static str) -> Result<bool, Fault> {
        self.space();
        let more = self.peek() == Some(b',');
        if more {
            self.at += 1;
            self.space();
        } else {
            self.expect(close, what)?;
            self.depth -= 1;
        }
        Ok(more)
    }

    fn array(&mut self) -> Result<(), Fault> {
        self.open()?;
        if self.peek() == Some(b']') {
            return self.next(b']', "").map(|_| ());
        }
        loop {
            self.value()?;
            if !self.next(b']', "expected `,` or `]`")? {
                return Ok(());
            }
        }
    }

    fn object(&mut self, mut members: Option<&mut Vec<(Cow<'a, str>, &'a str)>>) -> Result<(), Fault> {
        self.open()?;
        if self.peek() == Some(b'}') {
            return self.next(b'}', "").map(|_| ());
        }
        loop {
            let key = self.taken(Self::string)?;
            self.space();
            self.expect(b':', "expected `:`")?;
            self.space();
            let value = self.taken(Self::value)?;
            if let Some(members) = &mut members {
                members.push((string(key).unwrap_or_default(), value));
            }
            if !self.next(b'}', "expected `,` or `}`")? {
                return Ok(());
            }
        }
    }

    fn string(&mut self) -> Result<(), Fault> {
        self.expect(b'"', "expected a string, `\"`")?;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(0..=0x1f) | None => return Err(self.fault("a control character stands in a string")),
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => match self.unit()? {
                0xd800..0xdc00 => {
                    let fault = self.fault("half a surrogate pair stands alone");
                    let low = self.expect(b'\\', "").and_then(|()| self.unit());
                    if matches!(low, Ok(0xdc00..0xe000)) { Ok(()) } else { Err(fault) }
                }
                0xdc00..0xe000 => Err(self.fault("half a surrogate pair stands alone")),
                _ => Ok(()),
            },
            _ => Err(self.fault("no escape begins like this")),
        }
    }

    /// `uXXXX`, behind its backslash.
    fn unit(&mut self) -> Result<u16, Fault> {
        self.expect(b'u', "expected `u`")?;
        let unit = self.text.get(self.at..).and_then(hex);
        let unit = unit.ok_or_else(|| self.fault("expected four hexadecimal digits"))?;
        self.at += 4;
        Ok(unit)
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        let number = self.text.get(start..self.at).unwrap_or_default();
        if number.parse().is_ok_and(f64::is_finite) {
            Ok(())
        } else {
            Err(Fault { at: start, what: "this number is out of range" })
        }
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.fault("expected a digit")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
