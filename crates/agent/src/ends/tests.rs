use allotment_proof::{Address, Attachment, Book, Identity, Seen, Source, Version};

use super::*;

/// A check of one attachment with one address, whose pod is gone; after a DEL or not.
fn check(is_deleted: bool) -> Check {
    let me = Identity { node_uid: "n".to_owned(), boot_id: "b".to_owned() };
    let (mut book, _) = Book::open(&[], me);
    book.listed(Version(1), [("u".to_owned(), Seen::bound())]);
    let ticket = book.arrived("c1", "eth0");
    let attachment = Attachment {
        sandbox: "c1".to_owned(),
        interface: "eth0".to_owned(),
        pod: "u".to_owned(),
        netns: "/run/netns/a".to_owned(),
        addresses: [Address { vrf: "default".to_owned(), address: "10.0.0.1".parse().unwrap() }].into(),
    };
    book.answer(&ticket, attachment, &Source::Grant { node_uid: "n".to_owned() }).unwrap();
    book.gone("u", Version(2));
    if is_deleted {
        book.delete("c1", "eth0");
    }
    book.checks().remove(0)
}

fn there(addresses: &[&str]) -> Look {
    Look::There(addresses.iter().map(|text| text.parse().unwrap()).collect())
}

#[test]
fn r2_a_del_and_no_address_is_an_end_and_neither_alone() {
    let mut looks = Looks::default();
    let now = Instant::now();
    let mut judge = |is_deleted, look: &Look| looks.judge(&check(is_deleted), look, now);
    assert_eq!(judge(true, &there(&["10.0.0.2"])), Verdict::Absent);
    assert_eq!(judge(true, &there(&["10.0.0.2", "10.0.0.1"])), Verdict::Still);
    assert_eq!(judge(false, &there(&[])), Verdict::Still);
    assert_eq!(judge(true, &Look::Gone), Verdict::NamespaceGone);
    assert_eq!(judge(false, &Look::Gone), Verdict::Still);
}

#[test]
fn r1_without_a_del_the_namespace_has_to_stay_gone() {
    let mut looks = Looks::default();
    let check = check(false);
    let began = Instant::now();
    assert_eq!(looks.judge(&check, &Look::Gone, began), Verdict::Still);
    assert_eq!(looks.judge(&check, &Look::Gone, began + GONE_FOR / 2), Verdict::Still);
    // A look that found it begins the time anew.
    assert_eq!(looks.judge(&check, &there(&[]), began + GONE_FOR), Verdict::Still);
    assert_eq!(looks.judge(&check, &Look::Gone, began + GONE_FOR), Verdict::Still);
    assert_eq!(looks.judge(&check, &Look::Gone, began + GONE_FOR * 2), Verdict::NamespaceGone);
}

#[test]
fn looks_come_seldom_when_nothing_ends_and_soon_when_something_may() {
    let mut looks = Looks::default();
    let (old, new) = (check(false), check(true));
    let first = HashSet::from([old.clone()]);
    assert_eq!(looks.pause(&first), FIRST);
    let pauses: Vec<Duration> = (0..12).map(|_| looks.pause(&first)).collect();
    assert_eq!((pauses[0], pauses[1], pauses[11]), (FIRST * 2, FIRST * 4, LAST));
    assert_eq!(looks.pause(&HashSet::from([old, new])), FIRST);
}

#[test]
fn a_place_is_found_again() {
    let seen = netns::observe("/proc/self/ns/net", "lo").netns;
    assert!(seen.is_some());
    assert_eq!(at(&place(seen.as_ref(), "/proc/self/ns/net")), seen);
    assert_eq!(at(&place(None, "/nonexistent")), None);
}
