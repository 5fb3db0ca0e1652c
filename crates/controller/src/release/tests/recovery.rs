//! The ledger was set back (L6).

use std::collections::BTreeSet;

use allotment_api::v1alpha1::Still;

use super::*;

impl Scene {
    #[track_caller]
    fn only(&mut self) -> Action {
        let mut actions = self.round();
        assert_eq!(actions.len(), 1, "{actions:?}");
        actions.remove(0)
    }

    /// The engine tells that the ledger recovers, or that it has.
    fn epoch(&mut self, open: Option<u64>) {
        self.outcome(Outcome::Epoch(open));
    }

    /// The epoch has begun, `n1` was asked for its inventory, pods were listed.
    fn recovering() -> Scene {
        let mut scene = Scene::new();
        scene.epoch(None);
        scene.epoch(Some(7));
        let spec = scene.written();
        assert_eq!((spec.epoch, spec.recovered), (7, 0));
        let version = Some(Version(30));
        scene.outcome(Outcome::Written { node: "n1".to_owned(), spec: Box::new(spec), version });
        assert!(matches!(scene.only(), Action::List(7)));
        let pods = vec![pod("p", 9, "Running"), pod("q", 9, "Running")];
        scene.outcome(Outcome::Listed(7, Some((pods, Version(11)))));
        assert!(scene.round().is_empty(), "its agent has not published");
        scene
    }

    /// The agent publishes under this epoch.
    fn reported(&mut self, epoch: u64) {
        let still =
            Still { pod: "q".to_owned(), vrf: "default".to_owned(), address: ADDRESS.parse().unwrap() };
        let spec = NodeAttachmentsSpec { epoch, node_uid: "u1".to_owned(), ..NodeAttachmentsSpec::default() };
        let mut object = NodeAttachments::new("n1", spec);
        object.metadata.uid = Some("object".to_owned());
        object.metadata.resource_version = Some((40 + epoch).to_string());
        object.status = Some(NodeAttachmentsStatus {
            node_uid: "u1".to_owned(),
            as_of: "12".to_owned(),
            epoch,
            inventory: vec![still],
            ..NodeAttachmentsStatus::default()
        });
        self.input(&Input::Attachments(Event::Applied(object)));
    }

    /// The agent publishes under this epoch; what is then to be taken over.
    fn inventory(&mut self, epoch: u64) -> BTreeSet<Use> {
        self.reported(epoch);
        let mut actions = self.round();
        let found = actions.iter().position(|action| matches!(action, Action::Inventory { .. })).unwrap();
        let Action::Inventory { uses, .. } = actions.remove(found) else { unreachable!("it was found") };
        uses
    }
}

#[test]
fn l6_settled_once_every_node_has_said_what_it_uses_and_it_is_taken_over() {
    let mut scene = Scene::recovering();
    let uses = scene.inventory(7);
    let pods = Some(vec![pod("q", 9, "Running")]);
    scene.outcome(Outcome::Inventoried { node: "n1".to_owned(), uses, pods });
    let adopt = scene.next();
    let Some(Action::Adopt { used, .. }) = adopt.first() else { panic!("{adopt:?}") };
    let (_, allocation) = &used[0];
    assert_eq!((allocation.owner.name.as_str(), allocation.attachments[0].holder.as_str()), ("q", "q"));
    let nothing = || (BTreeSet::new(), Vec::new());
    let (left, doubled) = nothing();
    scene.outcome(Outcome::Adopted { node: "n1".to_owned(), left, doubled });
    let actions = scene.round();
    assert!(actions.iter().any(|action| matches!(action, Action::Settle(7))), "{actions:?}");
    assert!(scene.outcome(Outcome::Epoch(None)), "waiters have their turn");
    // Now its agent may leave its inventory out.
    let spec = scene.written();
    assert_eq!((spec.epoch, spec.recovered), (7, 7));
}

#[test]
fn l6_what_was_done_under_an_earlier_epoch_neither_ends_this_one_nor_holds_it_up() {
    let mut scene = Scene::recovering();
    let uses = scene.inventory(7);
    // A new epoch begins while all of that is under way.
    scene.epoch(Some(8));
    scene.outcome(Outcome::Listed(7, Some((Vec::new(), Version(11)))));
    scene.outcome(Outcome::Settled(7, true));
    scene.outcome(Outcome::Adopted { node: "n1".to_owned(), left: BTreeSet::new(), doubled: Vec::new() });
    let actions = scene.round();
    assert!(actions.iter().any(|action| matches!(action, Action::List(8))), "{actions:?}");
    assert!(!actions.iter().any(|action| matches!(action, Action::Settle(_))), "{actions:?}");
    scene.outcome(Outcome::Listed(8, Some((vec![pod("q", 9, "Running")], Version(12)))));
    assert_eq!(scene.inventory(8), uses);
    scene.outcome(Outcome::Adopted { node: "n1".to_owned(), left: BTreeSet::new(), doubled: Vec::new() });
    let actions = scene.round();
    assert!(actions.iter().any(|action| matches!(action, Action::Settle(8))), "{actions:?}");
    scene.outcome(Outcome::Settled(8, false));
    let actions = scene.round();
    assert!(
        actions.iter().any(|action| matches!(action, Action::Settle(8))),
        "it is tried again: {actions:?}"
    );
}

#[test]
fn l6_what_another_has_is_said_and_what_failed_is_tried_again() {
    let mut scene = Scene::recovering();
    let uses = scene.inventory(7);
    scene.outcome(Outcome::Inventoried { node: "n1".to_owned(), uses: uses.clone(), pods: None });
    let actions = scene.round();
    assert!(actions.iter().any(|action| matches!(action, Action::Inventory { .. })), "{actions:?}");
    let doubled = uses.into_iter().map(|used| (used, "pod r has it".to_owned())).collect();
    scene.outcome(Outcome::Adopted { node: "n1".to_owned(), left: BTreeSet::new(), doubled });
    scene.round();
    let saying = scene.releases.sayings.first().unwrap();
    assert_eq!((saying.reason, saying.about.as_str()), ("AddressDoubled", ADDRESS));
}

#[test]
fn l6_a_leader_that_finds_a_recovery_begins_it_anew() {
    let mut scene = Scene::new();
    scene.epoch(Some(7));
    let actions = scene.round();
    assert!(actions.iter().any(|action| matches!(action, Action::Raise(_))), "{actions:?}");
    scene.outcome(Outcome::Raised(true));
    let actions = scene.round();
    assert!(!actions.iter().any(|action| matches!(action, Action::Raise(_))), "{actions:?}");
}

#[test]
fn l6_a_report_from_before_a_restore_begins_an_epoch() {
    let mut scene = Scene::new();
    scene.epoch(None);
    scene.admitted(9000);
    let actions = scene.round();
    assert!(actions.iter().any(|action| matches!(action, Action::Raise(_))), "{actions:?}");
}

#[test]
fn l6_an_epoch_begins_above_all_that_any_node_knows() {
    // The clock of whoever began the last one was ahead, and the ledger that knew of it is gone.
    let mut scene = Scene::recovering();
    scene.reported(9);
    let actions = scene.round();
    let above = |action: &Action| matches!(action, Action::Raise(9));
    assert!(actions.iter().any(above), "{actions:?}");
    assert!(!actions.iter().any(|action| matches!(action, Action::Settle(_))), "{actions:?}");
    scene.outcome(Outcome::Raised(true));
    assert!(!scene.round().iter().any(above), "it has begun");
    scene.epoch(Some(10));
    assert!(!scene.round().iter().any(above), "and is above it");
}
