//! The node's end, step by step.

use std::collections::BTreeSet;

use allotment_proof::{
    Attachment, Book, Check, Due, Identity, Record, Refused, Report, Seen, Source, Version,
};

use crate::world::{address, attachment};

fn me() -> Identity {
    Identity { node_uid: "n".to_owned(), boot_id: "b".to_owned() }
}

fn granted() -> Source {
    Source::Grant { node_uid: "n".to_owned() }
}

/// An agent that knows nothing but that nothing lived before it, and whose node has pod `first` as of 10.
fn book() -> Book {
    let (mut book, _) = Book::open(&[], me());
    book.rebuilt(Vec::new());
    book.listed(Version(10), [("first".to_owned(), Seen::bound())]);
    book
}

#[track_caller]
fn serve(book: &mut Book, what: Attachment) -> Vec<Record> {
    let ticket = book.arrived(&what.sandbox, &what.interface);
    book.answer(&ticket, what, &granted()).unwrap()
}

#[track_caller]
fn publish(book: &mut Book) -> Report {
    let publication = book.publish(|_, _| true).unwrap();
    book.published(&publication.report);
    publication.report
}

#[track_caller]
fn only(book: &Book) -> Check {
    let mut checks = book.checks();
    assert_eq!(checks.len(), 1);
    checks.remove(0)
}

#[test]
fn r2_a_del_refuses_the_add_that_waits_and_not_the_next() {
    let mut book = book();
    let waiting = book.arrived("s0", "eth0");
    let other = book.arrived("s0", "net1");
    assert!(book.delete("s0", "eth0").is_cancelling);
    assert!(book.is_cancelled(&waiting) && !book.is_cancelled(&other));
    assert_eq!(book.answer(&waiting, attachment(0, 0), &granted()), Err(Refused::Deleted));
    book.left(waiting);
    assert_eq!(serve(&mut book, attachment(0, 0)).len(), 1);
}

#[test]
fn r2_a_repeated_add_is_answered_and_writes_nothing() {
    let mut book = book();
    assert_eq!(serve(&mut book, attachment(0, 0)), [Record::Served(attachment(0, 0))]);
    assert_eq!(serve(&mut book, attachment(0, 0)), []);
    assert_eq!(book.delete("s0", "eth0").records.len(), 1);
    assert_eq!(book.delete("s0", "eth0").records, []);
}

#[test]
fn r2_who_is_not_served() {
    let mut book = book();
    let ticket = book.arrived("s0", "eth0");
    let ask = |book: &mut Book, source: Source| book.answer(&ticket, attachment(0, 0), &source).unwrap_err();
    let elsewhere = Source::Grant { node_uid: "another".to_owned() };
    assert_eq!(ask(&mut book, elsewhere), Refused::OtherNode);
    assert_eq!(ask(&mut book, Source::Ask("1".to_owned())), Refused::Withdrawn);
    book.seen("first", Version(11), Seen::finished());
    assert_eq!(ask(&mut book, granted()), Refused::Finished);
    // What has finished does not begin again, whatever its status says.
    book.seen("first", Version(12), Seen::bound());
    assert_eq!(ask(&mut book, granted()), Refused::Finished);
    book.gone("first", Version(13));
    assert_eq!(ask(&mut book, granted()), Refused::Unseen);
}

#[test]
fn r2_events_older_than_a_list_say_nothing() {
    let mut book = book();
    book.listed(Version(20), Vec::new());
    book.seen("first", Version(15), Seen::bound());
    let ticket = book.arrived("s0", "eth0");
    assert_eq!(book.answer(&ticket, attachment(0, 0), &granted()), Err(Refused::Unseen));
}

#[test]
fn r2_a_check_of_an_earlier_life_ends_nothing() {
    let mut book = book();
    serve(&mut book, attachment(0, 0));
    book.delete("s0", "eth0");
    let before = only(&book);
    serve(&mut book, attachment(0, 0));
    assert_eq!(book.absent(&before), []);
    assert_eq!(book.namespace_gone(&before), []);
    let now = only(&book);
    assert!(!now.is_deleted && book.absent(&now).is_empty());
    assert_eq!(book.namespace_gone(&now).len(), 1);
    assert!(book.checks().is_empty());
}

#[test]
fn r2_what_it_had_before_and_has_not_ended_stays_with_it() {
    let mut book = book();
    serve(&mut book, attachment(0, 0));
    book.delete("s0", "eth0");
    let mut other = address();
    other.address = "10.0.0.2".parse().unwrap();
    serve(&mut book, Attachment { addresses: [other].into(), ..attachment(0, 0) });
    assert_eq!(only(&book).addresses.len(), 2);
}

#[test]
fn r2_written_when_something_ended_and_not_when_something_started() {
    let mut book = book();
    assert_eq!(book.due(), Due::Now, "an agent that starts says so");
    publish(&mut book);
    serve(&mut book, attachment(0, 0));
    book.seen("second", Version(11), Seen::bound());
    book.reached(Version(12));
    assert_eq!(book.due(), Due::Nothing);
    book.gone("first", Version(13));
    assert_eq!(book.due(), Due::Nothing, "its attachment has not ended");
    book.delete("s0", "eth0");
    let check = only(&book);
    assert!(check.is_awaited);
    book.absent(&check);
    assert_eq!(book.due(), Due::Soon);
    let report = publish(&mut book);
    assert_eq!((report.as_of, report.still), (Version(13), BTreeSet::new()));
    assert_eq!(book.due(), Due::Nothing);
    book.seen("third", Version(14), Seen { is_granted: false, ..Seen::bound() });
    book.gone("third", Version(15));
    assert_eq!(book.due(), Due::Nothing, "it had nothing of ours");
}

#[test]
fn r5_the_end_of_a_retained_address_is_published_at_once() {
    let mut book = book();
    publish(&mut book);
    let retained = Seen { is_retained: true, ..Seen::bound() };
    book.seen("second", Version(11), retained);
    serve(&mut book, attachment(1, 1));
    book.gone("second", Version(12));
    book.delete("s1", "eth0");
    let check = only(&book);
    book.absent(&check);
    assert_eq!(book.due(), Due::Now);
}

#[test]
fn r3_asked_to_reach_a_version() {
    let mut book = book();
    publish(&mut book);
    book.reach(Version(15));
    assert!(book.wants_list());
    assert_eq!(book.due(), Due::Nothing, "there is nothing to say yet");
    book.reached(Version(16));
    assert!(!book.wants_list());
    assert_eq!(book.due(), Due::Now);
    assert_eq!(publish(&mut book).as_of, Version(16));
    assert_eq!(book.due(), Due::Nothing);
}

#[test]
fn k1_an_ask_is_in_the_report_until_it_is_answered_or_withdrawn() {
    let mut book = book();
    publish(&mut book);
    book.ask("1".to_owned(), "static".to_owned());
    book.ask("2".to_owned(), "static".to_owned());
    assert_eq!(book.due(), Due::Now);
    assert_eq!(publish(&mut book).asks.len(), 2);
    let ticket = book.arrived("s0", "eth0");
    let wanted = Attachment { pod: "static".to_owned(), ..attachment(0, 0) };
    book.answer(&ticket, wanted, &Source::Ask("1".to_owned())).unwrap();
    book.withdraw("2");
    let report = publish(&mut book);
    assert!(report.asks.is_empty());
    assert_eq!(report.still.len(), 1, "no pod answers for it");
}

#[test]
fn a_journal_is_as_good_as_the_book() {
    let mut book = book();
    serve(&mut book, attachment(0, 0));
    serve(&mut book, attachment(1, 0));
    book.delete("s0", "eth0");
    book.raise(3);
    book.listed(Version(12), [("first".to_owned(), Seen::finished())]);
    publish(&mut book);
    let records = book.records();
    let text: Vec<String> = records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
    let read: Vec<Record> = text.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, records);
    let (mut again, _) = Book::open(&read, me());
    assert_eq!(again.records(), records);
    // Finished is for good across a restart too, and a list from before the fence is no basis.
    again.listed(Version(11), [("first".to_owned(), Seen::bound())]);
    assert!(again.is_set_back());
    again.listed(Version(12), [("first".to_owned(), Seen::bound())]);
    let ticket = again.arrived("s2", "eth0");
    assert_eq!(again.answer(&ticket, attachment(2, 0), &granted()), Err(Refused::Finished));
    assert_eq!(publish(&mut again).still.len(), 1, "two sandboxes, one address");
}

#[test]
fn r3_a_boot_ends_what_was_before_and_a_node_is_the_same_machine_under_its_next_uid() {
    let mut book = book();
    serve(&mut book, attachment(0, 0));
    let next = Identity { node_uid: "m".to_owned(), ..me() };
    let (renamed, _) = Book::open(&book.records(), next.clone());
    assert_eq!(renamed.checks().len(), 1);
    let (mut booted, _) = Book::open(&renamed.records(), Identity { boot_id: "c".to_owned(), ..next });
    assert!(booted.checks().is_empty());
    booted.listed(Version(10), [("first".to_owned(), Seen::bound())]);
    let report = publish(&mut booted);
    assert_eq!((report.node_uid.as_str(), report.boot_id.as_str()), ("m", "c"));
    assert_eq!(report.earlier, ["n".to_owned()].into());
    assert_eq!(serve(&mut booted, attachment(1, 0)).len(), 1, "its grant was made for the same machine");
}

#[test]
fn r3_nothing_is_published_before_what_lives_is_found() {
    let (mut book, _) = Book::open(&[], me());
    book.listed(Version(10), Vec::new());
    assert_eq!(book.publish(|_, _| true), None);
    let bare = allotment_proof::Address { vrf: String::new(), ..address() };
    let records = book.rebuilt([("/run/netns/s0".to_owned(), [bare].into())]);
    assert_eq!(records.len(), 2);
    assert_eq!(publish(&mut book).still.len(), 1);
    let check = only(&book);
    assert_eq!(book.absent(&check).len(), 1);
    assert_eq!(publish(&mut book).still.len(), 0);
}

#[test]
fn l6_a_server_that_was_set_back_is_told_and_not_believed() {
    let mut book = book();
    serve(&mut book, attachment(0, 0));
    publish(&mut book);
    // Restored from before: it shows the pod still bound, and versions begin again at 5.
    book.listed(Version(5), [("first".to_owned(), Seen::bound()), ("second".to_owned(), Seen::bound())]);
    assert!(book.is_set_back());
    let ticket = book.arrived("s1", "eth0");
    assert_eq!(book.answer(&ticket, attachment(1, 1), &granted()), Err(Refused::NotReady));
    assert_eq!(book.due(), Due::Now);
    let report = publish(&mut book);
    assert_eq!((report.as_of, report.still.len()), (Version(10), 1), "nothing ends by an older list");
    assert_eq!(book.due(), Due::Nothing, "said once");
    // The epoch is raised: nothing is served before a list of now.
    assert_eq!(book.raise(1), [Record::Epoch(1)]);
    assert_eq!(book.raise(1), []);
    assert_eq!(book.publish(|_, _| true), None);
    book.listed(Version(6), [("first".to_owned(), Seen::bound()), ("second".to_owned(), Seen::bound())]);
    assert!(book.answer(&ticket, attachment(1, 1), &granted()).is_ok());
    let report = publish(&mut book);
    assert_eq!((report.epoch, report.as_of, report.inventory.len()), (1, Version(6), 2));
    assert_eq!(publish(&mut book).inventory.len(), 2, "the first one may be overwritten before it is read");
    book.recovered(1);
    assert_eq!(publish(&mut book).inventory.len(), 0, "once the recovery is over");
    book.raise(2);
    book.recovered(1);
    book.listed(Version(7), [("first".to_owned(), Seen::bound()), ("second".to_owned(), Seen::bound())]);
    assert_eq!(publish(&mut book).inventory.len(), 2, "the next one is another");
}

#[test]
fn k1_the_end_of_what_was_asked_for_is_published_like_any_other() {
    let unannounced = Seen { is_granted: false, ..Seen::bound() };
    let asked = |book: &mut Book, what: Attachment| {
        let (ticket, id) = (book.arrived(&what.sandbox, &what.interface), what.sandbox.clone());
        book.ask(id.clone(), what.pod.clone());
        book.answer(&ticket, what, &Source::Ask(id)).unwrap()
    };
    let (mut book, _) = Book::open(&[], me());
    book.rebuilt(Vec::new());
    book.listed(Version(10), [("first".to_owned(), unannounced)]);
    asked(&mut book, attachment(0, 0));
    // The watch shows the pod again, and it shows nothing of ours.
    book.seen("first", Version(11), unannounced);
    publish(&mut book);
    // The attachment ends before the pod does.
    book.delete("s0", "eth0");
    assert!(!book.absent(&only(&book)).is_empty());
    assert_eq!(book.due(), Due::Nothing);
    book.gone("first", Version(12));
    assert_eq!(book.due(), Due::Soon);
    assert_eq!(publish(&mut book).still.len(), 0);
    // And after it, when it was published as still in use; an agent that was restarted knows of no answer.
    book.seen("first", Version(13), unannounced);
    asked(&mut book, attachment(1, 0));
    let journal = book.records();
    let (mut book, _) = Book::open(&journal, me());
    book.listed(Version(14), [("first".to_owned(), unannounced)]);
    book.gone("first", Version(15));
    assert_eq!(publish(&mut book).still.len(), 1);
    book.delete("s1", "eth0");
    assert_eq!(book.due(), Due::Nothing);
    book.absent(&only(&book));
    assert_eq!(book.due(), Due::Soon);
    assert_eq!(publish(&mut book).still.len(), 0);
}
