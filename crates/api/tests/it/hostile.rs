//! Whatever a file has in it: no panic, bounded memory, and either objects or problems.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use allotment_api::{MAX_FILE_BYTES, parse};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::{names, subnet, told};

const TOO_LARGE: &str =
    "the file has more than 250000 values, nests too deeply, or its anchors multiply beyond that";

fn example(names: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/telecom");
    let read = |name: &&str| fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
    names.iter().map(read).collect::<Vec<_>>().join("---\n")
}

/// Reads a text and looks at all that came of it.
fn survives(text: &str) {
    let lines = u32::try_from(text.split(['\n', '\r']).count()).unwrap();
    let parsed = parse("f", text);
    for problem in &parsed.errors {
        assert!(!problem.text.is_empty());
        assert!(problem.line <= lines + 1, "{problem}: {text:?}");
        assert!(!problem.to_string().contains(|c: char| c.is_control()), "{problem:?}");
    }
    for object in &parsed.objects {
        assert_eq!(object.value.validate(), Ok(()));
        assert!((1..=lines).contains(&object.line()));
    }
}

proptest! {
    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..300)) {
        survives(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn random_yaml(text in "[-a:#\\[\\]{}?&*!|>'\"%@`,~<0. \n\t\r\\\\]{0,80}") {
        survives(&text);
        survives(&subnet(&text));
    }

    #[test]
    fn good_files_with_damage(
        damage in vec((any::<Index>(), any::<Index>(), prop_oneof![Just(String::new()), "[-a:\\[{&*'\"\n\t ]{1,3}", any::<char>().prop_map(String::from)]), 1..4)
    ) {
        let mut text: Vec<char> = example(&["management", "media", "signalling"]).chars().collect();
        for (from, length, with) in damage {
            let from = from.index(text.len());
            let to = (from + length.index(8)).min(text.len());
            text.splice(from..to, with.chars());
        }
        survives(&text.into_iter().collect::<String>());
    }
}

#[test]
fn good_files_cut_off_anywhere() {
    let text = example(&["media", "management"]);
    for end in (0..text.len()).filter(|&end| text.is_char_boundary(end)) {
        survives(&text[..end]);
    }
}

#[test]
fn anchors_that_multiply_are_stopped() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let alias = format!("*a{}", level - 1);
        writeln!(bomb, "a{level}: &a{level} [{}]", vec![alias; 10].join(", ")).unwrap();
    }
    let good = subnet("cidrs: [10.0.0.0/8]");
    let parsed = parse("f", &format!("{good}---\n{bomb}"));
    assert_eq!(names(&parsed), ["Subnet `a`"]);
    assert_eq!(parsed.errors.len(), 1);
    assert_eq!(parsed.errors[0].text, TOO_LARGE);
}

#[test]
fn small_bombs_add_up() {
    // 100 000 values each, and every one within bounds by itself.
    let items = vec!["x"; 1000].join(",");
    let bomb = format!("a: &a [{items}]\nb: [{}]\n---\n", vec!["*a"; 99].join(","));
    let text = bomb.repeat(300);
    assert!(text.len() < MAX_FILE_BYTES);
    let parsed = parse("f", &text);
    let too_large: Vec<usize> =
        (0..parsed.errors.len()).filter(|&index| parsed.errors[index].text == TOO_LARGE).collect();
    assert_eq!(too_large, [2], "the third document, and nothing after it: {}", parsed.errors.len());
}

#[test]
fn a_long_text_repeated_is_stopped() {
    let long = "x".repeat(MAX_FILE_BYTES / 2);
    let parsed = parse("f", &format!("a: &a {long}\nb: [{}]\n", vec!["*a"; 1000].join(",")));
    assert_eq!(told(&parsed).len(), 1);
    assert_eq!(parsed.errors[0].text, TOO_LARGE);
}

#[test]
fn depth_is_bounded() {
    for unit in ["[", "{a: ", "- ", "? "] {
        let parsed = parse("f", &unit.repeat(100_000));
        assert_eq!(parsed.errors.len(), 1, "{unit}");
    }
}

#[test]
fn a_large_file_is_read() {
    let reservation = |number: u32| {
        format!(
            "---\napiVersion: allotment.dev/v1alpha1\nkind: Reservation\nmetadata: {{name: r{number}}}\n\
             spec: {{subnet: a, addresses: [10.1.{}.{}], reason: x}}\n",
            number / 256,
            number % 256
        )
    };
    let text: String = (0..10_000).map(reservation).collect();
    let parsed = parse("f", &text);
    assert_eq!(told(&parsed), [""; 0]);
    assert_eq!(parsed.objects.len(), 10_000);
}
