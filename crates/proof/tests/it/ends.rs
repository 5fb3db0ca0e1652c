//! The controller's end, step by step.

use std::collections::BTreeSet;

use allotment_proof::{Address, Admission, Ends, Freed, Kept, Lost, PodSeen, Report, Use, Version};

use crate::world::{NODE, address, held};

/// Node `n` is admitted and reported as of 10; `first` is bound there and has the address.
fn ends() -> Ends {
    let mut ends = Ends::default();
    assert!(ends.listed(Version(10), [("first".to_owned(), PodSeen::Running)]));
    ends.node(NODE, "n", false);
    ends.admitted(NODE, Admission { node_uid: "n".to_owned(), ..Admission::default() });
    report(&mut ends, said(10));
    ends.allocated(held(0, true), Version(10));
    ends
}

fn said(as_of: u64) -> Report {
    Report { node_uid: "n".to_owned(), as_of: Version(as_of), ..Report::default() }
}

fn using(report: Report, pod: &str, address: Address) -> Report {
    Report { still: [Use { pod: pod.to_owned(), address }].into(), ..report }
}

#[track_caller]
fn report(ends: &mut Ends, report: Report) {
    assert!(ends.reported(NODE, report, Version(1000)));
}

fn why(ends: &Ends) -> Option<Kept> {
    ends.why("first", &address())
}

fn freed() -> Freed {
    Freed { holder: "first".to_owned(), address: address(), former_of: None }
}

#[test]
fn r3_what_keeps_an_address_one_after_the_other() {
    let mut ends = ends();
    assert_eq!(why(&ends), Some(Kept::InUse));
    ends.gone("first", Version(12));
    let node = || NODE.to_owned();
    assert_eq!(why(&ends), Some(Kept::Behind { node: node(), as_of: Version(10), wanted: Version(12) }));
    report(&mut ends, using(said(12), "first", address()));
    assert_eq!(why(&ends), Some(Kept::Still { node: node() }));
    let asking = Report { asks: [("1".to_owned(), "first".to_owned())].into(), ..said(13) };
    report(&mut ends, asking);
    assert_eq!(why(&ends), Some(Kept::Asked { node: node() }));
    assert_eq!(ends.take(), []);
    report(&mut ends, said(13));
    assert_eq!(ends.take(), [freed()]);
    assert_eq!(why(&ends), Some(Kept::Taken));
    assert_eq!(ends.take(), []);
    ends.released("first", &address());
    assert_eq!(why(&ends), None);
}

#[test]
fn r3_what_was_not_released_is_judged_anew() {
    let mut ends = ends();
    ends.gone("first", Version(12));
    report(&mut ends, said(12));
    assert_eq!(ends.take(), [freed()]);
    ends.not_released(&freed());
    assert_eq!(ends.take(), [freed()]);
    report(&mut ends, using(said(13), "first", address()));
    ends.not_released(&freed());
    assert_eq!(ends.take(), [], "it is in use again");
}

#[test]
fn r3_an_address_without_a_vrf_is_used_in_every_one() {
    let mut ends = ends();
    ends.gone("first", Version(12));
    report(&mut ends, using(said(12), "", Address { vrf: String::new(), ..address() }));
    assert_eq!(why(&ends), Some(Kept::Still { node: NODE.to_owned() }));
    report(&mut ends, using(said(12), "other", Address { vrf: "blue".to_owned(), ..address() }));
    assert_eq!(ends.take(), [freed()]);
}

#[test]
fn r3_no_grant_before_the_agent_has_published_and_its_node_is_admitted() {
    let mut ends = Ends::default();
    assert!(!ends.admits(NODE));
    ends.node(NODE, "n", false);
    assert_eq!(ends.admission(NODE), None);
    report(&mut ends, said(1));
    assert!(!ends.admits(NODE), "not written down yet");
    let admission = ends.admission(NODE).unwrap();
    assert_eq!(admission, Admission { node_uid: "n".to_owned(), ..Admission::default() });
    ends.admitted(NODE, admission.clone());
    assert!(ends.admits(NODE));
    assert_eq!((ends.admission(NODE), ends.spec(NODE)), (None, Some(admission)));
    ends.unreported(NODE);
    assert!(!ends.admits(NODE));
    assert_eq!(ends.machine(NODE), Some("n"), "what was admitted is not forgotten with the object");
}

#[test]
fn r3_a_finished_pod_ends_at_its_own_version() {
    let mut ends = ends();
    ends.seen("first", Version(14), PodSeen::Finished(Version(12)));
    report(&mut ends, said(12));
    assert_eq!(ends.take(), [freed()]);
    ends.seen("first", Version(15), PodSeen::Running);
    assert_eq!(why(&ends), Some(Kept::Taken), "finished is for good");
}

#[test]
fn r3_a_quiet_node_is_asked_after_a_round() {
    let mut ends = ends();
    ends.gone("first", Version(12));
    assert!(ends.round().is_empty(), "most agents publish by themselves");
    assert_eq!(ends.round(), [(NODE.to_owned(), Version(12))].into());
    report(&mut ends, using(said(12), "first", address()));
    assert!(ends.round().is_empty(), "it has answered");
}

#[test]
fn l5_a_holder_without_a_pod_waits_for_a_list_after_the_block() {
    let mut ends = ends();
    let late = Address { address: "10.0.0.9".parse().unwrap(), ..address() };
    let mut foreign = held(1, true);
    foreign.address = late.clone();
    report(&mut ends, said(20));
    ends.allocated(foreign, Version(15));
    assert_eq!(ends.why("second", &late), Some(Kept::Unseen));
    ends.seen("second", Version(14), PodSeen::Running);
    ends.reached(Version(16));
    assert_eq!(ends.why("second", &late), Some(Kept::InUse));
    ends.allocated(held(1, true), Version(16));
    ends.gone("second", Version(18));
    assert_eq!(ends.take().len(), 2);
}

#[test]
fn l5_a_walk_through_the_ledger_corrects_what_was_missed() {
    let mut ends = ends();
    let mut other = held(1, true);
    other.address.address = "10.0.0.9".parse().unwrap();
    let busy = ["first".to_owned()].into();
    ends.surveyed(vec![other.clone()], Version(11), &busy);
    assert_eq!(why(&ends), Some(Kept::InUse), "it was granted during the walk");
    assert_eq!(ends.why("second", &other.address), Some(Kept::Unseen));
    ends.surveyed(vec![other.clone()], Version(12), &std::collections::BTreeSet::new());
    assert_eq!(why(&ends), None);
    ends.reached(Version(11));
    assert!(matches!(ends.why("second", &other.address), Some(Kept::Behind { .. })));
}

#[test]
fn r4_another_machine_under_the_name_holds_what_the_first_one_had() {
    let mut ends = ends();
    ends.node_gone(NODE);
    ends.gone("first", Version(12));
    let lost = [Lost { address: address(), node: NODE.to_owned() }];
    assert_eq!(ends.lost(), lost);
    assert!(matches!(why(&ends), Some(Kept::Lost { .. })));
    let waiting = ends.waiting();
    assert_eq!((waiting[NODE].count, waiting[NODE].holder.as_str()), (1, "first"));
    ends.node(NODE, "m", false);
    let other = Report { node_uid: "m".to_owned(), ..said(20) };
    report(&mut ends, other.clone());
    let admission = ends.admission(NODE).unwrap();
    assert_eq!(admission.former, [(address(), "n".to_owned())].into());
    ends.admitted(NODE, admission.clone());
    assert!(ends.admits(NODE));
    assert!(matches!(why(&ends), Some(Kept::Lost { .. })));
    assert_eq!(ends.lost(), lost, "another machine under the name says nothing of it");
    assert_eq!(ends.take(), []);
    // A person's word.
    ends.admitted(NODE, Admission { forgotten: ["n".to_owned()].into(), ..admission });
    let taken = ends.take();
    assert_eq!(taken, [Freed { former_of: Some(NODE.to_owned()), ..freed() }]);
    assert!(!ends.is_settled(NODE, &address()));
    let spec = ends.spec(NODE).unwrap();
    assert!(spec.former.is_empty(), "to be written before the release");
    ends.admitted(NODE, spec);
    assert!(ends.is_settled(NODE, &address()));
    // The next holder there is judged by the machine that is there.
    ends.released("first", &address());
    ends.allocated(held(1, true), Version(20));
    ends.gone("second", Version(25));
    assert!(matches!(ends.why("second", &address()), Some(Kept::Behind { .. })));
    assert_eq!(ends.take(), []);
}

#[test]
fn r4_the_same_machine_registered_anew_proves_its_own_ends() {
    let mut ends = ends();
    ends.gone("first", Version(12));
    ends.node(NODE, "m", false);
    let renamed = Report { node_uid: "m".to_owned(), earlier: ["n".to_owned()].into(), ..said(12) };
    report(&mut ends, renamed);
    assert_eq!(ends.take(), [freed()]);
    assert!(ends.admission(NODE).unwrap().former.is_empty());
}

#[test]
fn r4_out_of_service_frees_what_has_ended_and_nothing_else() {
    let mut ends = ends();
    ends.node(NODE, "n", true);
    assert_eq!(ends.take(), [], "its pod is bound");
    ends.gone("first", Version(12));
    assert_eq!(ends.take(), [freed()]);
    ends.released("first", &address());
    ends.node_gone(NODE);
    assert!(ends.is_over(NODE));
}

#[test]
fn r4_the_taint_of_another_node_of_the_name_frees_nothing() {
    let mut ends = ends();
    ends.gone("first", Version(12));
    ends.node(NODE, "m", true);
    assert_eq!(ends.take(), []);
}

#[test]
fn l6_versions_that_go_back_are_told_and_change_nothing() {
    let mut ends = ends();
    assert!(!ends.listed(Version(5), Vec::new()));
    assert_eq!(why(&ends), Some(Kept::InUse));
    assert!(!ends.reported(NODE, said(50), Version(40)), "as of a version later than its own");
    ends.gone("first", Version(12));
    assert!(matches!(why(&ends), Some(Kept::Silent { .. })));
}

#[test]
fn l6_under_a_new_epoch_only_its_reports_and_its_lists_count() {
    let mut ends = ends();
    ends.gone("first", Version(12));
    report(&mut ends, said(12));
    ends.raise(1);
    assert_eq!(ends.take(), []);
    assert_eq!(ends.recovering().collect::<Vec<_>>(), [NODE]);
    ends.gone("first", Version(13));
    assert_eq!(why(&ends), Some(Kept::Unseen), "nothing was listed since");
    assert!(ends.listed(Version(6), Vec::new()));
    assert_eq!(why(&ends), Some(Kept::Epoch { node: NODE.to_owned() }));
    report(&mut ends, Report { epoch: 1, ..said(6) });
    assert_eq!(ends.recovering().count(), 0);
    assert_eq!(ends.take(), [freed()]);
}

#[test]
fn every_reason_is_said_in_words() {
    let node = || "worker-1".to_owned();
    let (as_of, wanted) = (Version(1), Version(2));
    let reasons = [
        Kept::InUse,
        Kept::Unseen,
        Kept::Silent { node: node() },
        Kept::Epoch { node: node() },
        Kept::Lost { node: node(), node_uid: "n".to_owned() },
        Kept::Behind { node: node(), as_of, wanted },
        Kept::Still { node: node() },
        Kept::Asked { node: node() },
        Kept::Taken,
    ];
    for reason in reasons {
        let text = reason.to_string();
        assert!(text.len() > 10 && !text.ends_with('.'), "{text}");
    }
}

/// `first` runs, and its grant has the address no more since 12.
fn unplugged() -> Ends {
    let mut ends = ends();
    ends.seen("first", Version(12), PodSeen::Running);
    ends.unplugged("first", &[address()], Version(12));
    ends
}

/// By an agent that lists what running pods are granted no more.
fn listing(as_of: u64) -> Report {
    Report { unplugs: true, ..said(as_of) }
}

#[test]
fn k3_what_is_unplugged_is_freed_while_its_pod_runs() {
    let mut ends = unplugged();
    let behind = Kept::Behind { node: NODE.to_owned(), as_of: Version(10), wanted: Version(12) };
    assert_eq!(why(&ends), Some(behind));
    report(&mut ends, using(listing(12), "first", address()));
    assert_eq!(why(&ends), Some(Kept::Still { node: NODE.to_owned() }));
    report(&mut ends, listing(13));
    assert_eq!(ends.take(), [freed()]);
    ends.not_released(&freed());
    assert_eq!(ends.take(), [freed()]);
    ends.released("first", &address());
    assert_eq!((why(&ends), ends.is_over(NODE)), (None, false));
}

#[test]
fn k3_an_older_agent_proves_nothing_of_a_pod_that_runs() {
    let mut ends = unplugged();
    report(&mut ends, said(13));
    assert_eq!((why(&ends), ends.take()), (Some(Kept::InUse), Vec::new()));
}

#[test]
fn k3_it_is_plugged_in_again_only_where_it_is_known_to_be_in_use() {
    let mut ends = unplugged();
    assert!(!ends.plugs_in("first"), "the leader before may have had the proof");
    report(&mut ends, using(listing(13), "first", address()));
    assert!(ends.plugs_in("first"));
    assert_eq!(why(&ends), Some(Kept::InUse));
    report(&mut ends, listing(14));
    assert_eq!(ends.take(), []);
    ends.unplugged("first", &[address()], Version(14));
    assert!(!ends.plugs_in("first"), "it is proved to be free");
    assert_eq!(ends.take(), [freed()]);
    assert!(!ends.plugs_in("first"), "it is being released");
    ends.released("first", &address());
    assert!(ends.plugs_in("first"));
}

#[test]
fn k3_a_walk_through_the_ledger_takes_nothing_of_it_back() {
    let mut ends = unplugged();
    report(&mut ends, using(listing(13), "first", address()));
    ends.surveyed(vec![held(0, true)], Version(13), &BTreeSet::new());
    assert_eq!(why(&ends), Some(Kept::Still { node: NODE.to_owned() }));
    ends.surveyed(Vec::new(), Version(13), &BTreeSet::new());
    assert_eq!(why(&ends), None);
}
