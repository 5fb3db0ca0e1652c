use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

fn fault(text: &str) -> (usize, usize, &'static str) {
    let fault = Object::parse(text.as_bytes()).expect_err(text);
    let (line, column) = fault.place(text.as_bytes());
    (line, column, fault.what)
}

fn get(text: &str, name: &str) -> Option<String> {
    Object::parse(text.as_bytes()).expect(text).get(name).map(str::to_owned)
}

/// Both parsers must take the text, or neither; and then see the same members.
fn agree(text: &str) {
    let ours = Object::parse(text.as_bytes());
    let theirs = serde_json::from_str::<Map<String, Value>>(text);
    assert_eq!(ours.is_ok(), theirs.is_ok(), "{text:?}: {ours:?}, {theirs:?}");
    let (Ok(ours), Ok(theirs)) = (ours, theirs) else { return };
    for (name, value) in theirs {
        let raw = ours.get(&name).expect(text);
        assert_eq!(serde_json::from_str::<Value>(raw).unwrap(), value, "{text:?}: {name}");
        assert_eq!(string(raw).as_deref(), value.as_str(), "{text:?}: {name}");
    }
}

/// Values, good and bad, one a line.
const VALUES: &str = r#"0
-0
10
1.5
1e9
1E+9
1e-9
-1.0e0
1e308
1e309
-1e400
1e-400
18446744073709551616
00
01
+1
-
1.
.5
1e
1e+
0x1
NaN
Infinity
1 2
""
"a"
"\"\\\/\b\f\n\r\t"
"\u0041\u00e9\ue000"
"\ud83d\ude00"
"\uD83D\uDE00x"
"\ud83d"
"\ude00"
"\ud83d\ud83d"
"\ud83dx"
"\ud83d\n"
"\u12"
"\u+123"
"\uzzzz"
"\u00é"
"\x"
"\"
"
"é😀"
'a'
null
true
false
nul
True
nulll
[
]
[]
[ ]
[1,2]
[1,]
[,1]
[1 2]
[1}
{}
{ }
{"a":1,}
{"a"}
{"a":}
{a:1}
{1:1}
{"a":1 "b":2}
{,}
{"a":1]
/* */1
"#;

#[test]
fn values_good_and_bad() {
    let unwritable = ["", "\"\n\"", "\"\t\"", "\"\u{0}\"", "\"\u{7f}\"", "\u{a0}1", "\u{b}1", "// \n1"];
    for value in VALUES.lines().chain(unwritable) {
        agree(&format!(r#"{{"x":{value}}}"#));
        agree(&format!(" {{\r\n\t\"x\" : [ {value} , {{\"y\":{value}}} ] }} "));
        agree(value);
    }
}

#[test]
fn what_stands_around_the_object() {
    let texts = [
        "{}",
        " {} ",
        "{}{}",
        "{} x",
        "{},",
        "\u{feff}{}",
        "{}\u{0}",
        r#"{"\u0061":1}"#,
        r#"{"a":1,"a":"\\"}"#,
    ];
    texts.into_iter().for_each(agree);
}

proptest! {
    #[test]
    fn made_of_json_s_own_pieces(pieces in prop::collection::vec(prop::sample::select(&[
        "{", "}", "[", "]", ":", ",", "\"", "\\", "\"a\"", "\"b\"", "u", "d83d", "\\ude00", "0", "-", "1", ".", "e", " ", "\n",
        "null", "true", "é",
    ][..]), 0..12)) {
        agree(&format!("{{\"a\":{}}}", pieces.concat()));
        agree(&pieces.concat());
    }

    #[test]
    fn whatever_comes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let theirs = serde_json::from_slice::<Map<String, Value>>(&bytes);
        prop_assert_eq!(Object::parse(&bytes).is_ok(), theirs.is_ok());
    }

    #[test]
    fn quoting_is_reading_backwards(text in "\\PC*|[\\x00-\\x7f]*") {
        let mut quoted = String::new();
        quote(&text, &mut quoted);
        prop_assert_eq!(&serde_json::from_str::<String>(&quoted).unwrap(), &text);
        prop_assert_eq!(string(&quoted).unwrap(), text);
    }
}

#[test]
fn depth_has_a_limit() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{{\"a\":{}0{}}}", open.repeat(depth - 1), close.repeat(depth - 1))
    };
    for (open, close) in [("[", "]"), ("{\"b\":", "}")] {
        agree(&nested(open, close, MAX_DEPTH));
        assert_eq!(get(&nested(open, close, MAX_DEPTH), "b"), None);
        let (_, _, what) = fault(&nested(open, close, MAX_DEPTH + 1));
        assert!(what.contains("nested"), "{what}");
        assert!(Object::parse(nested(open, close, 1_000_000).as_bytes()).is_err());
    }
    assert!(Object::parse(format!("{{\"a\":{}", "[".repeat(1_000_000)).as_bytes()).is_err());
    // Siblings do not add up.
    assert!(Object::parse(format!("{{\"a\":[{}0]}}", "[],{},".repeat(1000)).as_bytes()).is_ok());
}

#[test]
fn members() {
    assert_eq!(get(r#"{"a": [1, {"b":2}] , "b" :3}"#, "a").as_deref(), Some(r#"[1, {"b":2}]"#));
    assert_eq!(get(r#"{"a": [1, {"b":2}] , "b" :3}"#, "b").as_deref(), Some("3"));
    assert_eq!(get(r#"{"x":{"a":1}}"#, "a"), None, "inner members are not the object's");
    assert_eq!(get(r#"{"a":1,"b":2,"a":3}"#, "a").as_deref(), Some("3"), "the last wins");
    assert_eq!(get(r#"{"cni\u0056ersion":"1.1.0"}"#, "cniVersion").as_deref(), Some("\"1.1.0\""));
}

#[test]
fn faults_say_where() {
    assert_eq!(fault("{\n  \"a\": 1\n  \"b\": 2\n}"), (3, 3, "expected `,` or `}`"));
    assert_eq!(fault("{\"é\": x}"), (1, 7, "expected a value"));
    assert_eq!(fault("{\"a\": 1,}"), (1, 9, "expected a string, `\"`"));
    assert_eq!(fault("{\"a\": "), (1, 7, "the text ends too early"));
    assert_eq!(fault("{\"a\": \"b"), (1, 9, "the text ends too early"));
    assert_eq!(fault("[]"), (1, 1, "expected an object, `{`"));
    assert_eq!(fault("{}\n{}"), (2, 1, "expected nothing after the object"));
    assert_eq!(fault("{\"a\": \"\\ud800\"}").2, "half a surrogate pair stands alone");
    assert_eq!(fault("{\"a\": 1e999}"), (1, 7, "this number is out of range"));
    let bytes = b"{\n\"a\": \"\xff\"}";
    let fault = Object::parse(bytes).unwrap_err();
    assert_eq!((fault.place(bytes), fault.what), ((2, 7), "this is not UTF-8"));
}
