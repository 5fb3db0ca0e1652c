use allotment_api::v1alpha1::AddressBlock;

use super::*;

type Meta = PartialObjectMeta<AddressBlock>;

fn version(number: u64) -> ResourceVersion {
    number.to_string().parse().unwrap()
}

fn meta(name: &str, version: u64) -> Meta {
    let mut meta =
        Meta { types: None, metadata: kube::core::ObjectMeta::default(), _phantom: std::marker::PhantomData };
    meta.metadata.name = Some(name.to_owned());
    meta.metadata.resource_version = Some(version.to_string());
    meta
}

fn applied(name: &str, version: u64) -> Event<Meta> {
    Event::Applied(meta(name, version))
}

fn listed(objects: &[(&str, u64)], at: u64) -> Event<Meta> {
    let objects = objects.iter().map(|&(name, version)| meta(name, version)).collect();
    Event::Listed { objects, version: version(at) }
}

/// A process that has `a` and `b`, at 10 and 20.
fn heard() -> Heard {
    let mut heard = Heard::default();
    heard.own("a", version(10));
    heard.own("b", version(20));
    heard
}

fn news(heard: &Heard) -> Vec<String> {
    let mut names: Vec<String> = heard.news().into_iter().map(|(name, _)| name).collect();
    names.sort();
    names
}

#[test]
fn its_own_writes_are_no_news() {
    let mut heard = heard();
    heard.hear(&listed(&[("a", 10), ("b", 20)], 25));
    heard.hear(&applied("a", 10));
    assert!(!heard.is_any());
    // The watch was faster than the answer.
    heard.hear(&applied("a", 30));
    assert_eq!(news(&heard), ["a"]);
    heard.own("a", version(30));
    assert!(!heard.is_any());
}

#[test]
fn what_others_do_is_news_until_somebody_has_looked() {
    let mut heard = heard();
    heard.hear(&applied("a", 30));
    heard.hear(&applied("c", 31));
    heard.hear(&Event::Deleted(meta("b", 32)));
    assert_eq!(news(&heard), ["a", "b", "c"]);
    let looked = heard.news();
    heard.hear(&applied("a", 40));
    for (name, version) in looked {
        heard.seen(&name, version);
    }
    assert_eq!(news(&heard), ["a"], "it has changed again since");
    heard.own("a", version(40));
    assert!(!heard.is_any());
}

#[test]
fn an_object_that_came_and_went_is_no_news() {
    let mut heard = heard();
    heard.hear(&applied("c", 30));
    heard.hear(&Event::Deleted(meta("c", 31)));
    assert!(!heard.is_any());
    heard.gone("a");
    heard.hear(&Event::Deleted(meta("a", 32)));
    assert!(!heard.is_any(), "it was removed by this process");
    heard.hear(&Event::Deleted(meta("b", 33)));
    heard.own("b", version(34));
    assert!(!heard.is_any(), "it is written again already");
}

#[test]
fn a_list_tells_what_is_missing_but_not_of_what_is_newer_than_it() {
    let mut heard = heard();
    heard.hear(&listed(&[("a", 10), ("c", 22)], 30));
    assert_eq!(news(&heard), ["b", "c"]);
    assert!(!heard.is_suspect());
    let mut heard = self::heard();
    heard.own("d", version(40));
    heard.hear(&listed(&[("a", 10), ("b", 20)], 30));
    assert!(news(&heard).is_empty(), "`d` was written after the list was made");
    assert!(heard.is_suspect(), "or the API server was set back: that has to be asked");
    heard.is_at(version(41));
    assert!(!heard.is_any());
}

#[test]
fn l6_a_list_that_is_older_than_what_was_heard_is_suspect() {
    let mut heard = heard();
    heard.hear(&Event::<Meta>::Reached(version(100)));
    heard.hear(&listed(&[("a", 10), ("b", 20)], 60));
    assert!(heard.is_any() && heard.is_suspect());
    assert_eq!(heard.newest(), version(100));
    heard.is_at(version(61));
    heard.own("a", version(62));
    heard.hear(&listed(&[("a", 62), ("b", 20)], 63));
    assert!(!heard.is_any());
}
