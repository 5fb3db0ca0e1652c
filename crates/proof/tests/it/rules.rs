//! Each rule: what holds with it, in every interleaving, and how the address is doubled without it.

use crate::search::search;
use crate::world::{May, World, Wrong};

/// Never doubled, and from every state the address can come back.
#[track_caller]
fn holds(may: May) {
    let outcome = search(World::new(may));
    println!("{} states", outcome.states);
    if let Some(path) = outcome.doubled {
        panic!("doubled: {path:#?}");
    }
    if let Some(path) = outcome.stuck {
        panic!("never freed after: {path:#?}");
    }
}

/// Without this part of the rules the address is doubled, in a world where it is not with it.
#[track_caller]
fn needed(wrong: Wrong, may: May) {
    let outcome = search(World::new(May { wrong, ..may }));
    println!("{wrong:?}: {:?}", outcome.doubled);
    assert!(outcome.doubled.is_some(), "nothing is doubled without it, in {} states", outcome.states);
}

const CRASH: May = May { agent_crashes: 1, ..May::SMALL };
const LOSS: May = May { agent_crashes: 1, journal_losses: 1, ..May::SMALL };
const REPLACED: May = May { replacements: 1, ..May::SMALL };
const STATIC: May = May { is_static: true, ..May::SMALL };
const LATE: May = May { is_late: true, ..May::SMALL };
const UNPLUGGED: May = May { unplugs: 1, ..May::SMALL };
const STATIC_LEADERS: May = May { leader_crashes: 1, sandboxes: 2, ..STATIC };

const RESTORED: May = May { restores: 1, ..May::SMALL };
const RESTORED_STATIC: May = May { restores: 1, ..STATIC };

#[test]
fn r3_an_address_comes_back_and_is_never_doubled() {
    holds(May::SMALL);
}

#[test]
fn r3_the_second_pod_may_be_on_the_same_node() {
    holds(May { is_same_node: true, ..May::SMALL });
}

#[test]
fn r2_a_second_sandbox_and_a_late_del() {
    holds(May { sandboxes: 2, ..May::SMALL });
}

#[test]
fn r2_an_add_after_the_del_of_its_sandbox() {
    holds(May { readds: 1, ..CRASH });
}

#[test]
fn r3_finished_pods_whose_object_stays() {
    holds(May { finishes: true, is_same_node: true, ..May::SMALL });
}

#[test]
fn r2_lists_instead_of_events() {
    holds(May { relists: 1, finishes: true, ..May::SMALL });
}

#[test]
fn r2_the_agent_crashes() {
    holds(CRASH);
    holds(May { finishes: true, ..CRASH });
}

#[test]
fn r3_the_leader_changes() {
    holds(May { leader_crashes: 1, ..CRASH });
}

#[test]
fn r3_the_journal_is_lost() {
    holds(LOSS);
}

#[test]
fn r3_a_reboot_ends_everything_older() {
    holds(May { reboots: 1, agent_crashes: 1, ..May::SMALL });
}

#[test]
fn r4_a_node_is_replaced_under_its_name() {
    holds(REPLACED);
}

#[test]
fn l5_another_leader_grants_meanwhile() {
    holds(LATE);
}

#[test]
fn k1_a_static_pod() {
    holds(May { agent_crashes: 1, ..STATIC });
    holds(STATIC_LEADERS);
}

#[test]
fn l6_a_ledger_that_was_set_back_doubles_nothing() {
    holds(RESTORED);
}

#[test]
fn l6_a_second_epoch_may_be_lower_than_the_first() {
    holds(May { restores: 2, ..RESTORED });
}

#[test]
fn l6_the_leader_changes_in_a_recovery() {
    holds(May { leader_crashes: 1, ..RESTORED });
}

#[test]
fn l6_the_agent_crashes_in_a_recovery() {
    holds(May { agent_crashes: 1, ..RESTORED });
}

#[test]
fn l6_a_static_pod_that_no_restored_object_knows_of() {
    holds(RESTORED_STATIC);
}

#[test]
fn k3_taken_out_of_a_pod_that_runs() {
    holds(May { is_same_node: true, ..UNPLUGGED });
    holds(May { agent_crashes: 1, ..UNPLUGGED });
    holds(May { leader_crashes: 1, ..UNPLUGGED });
}

#[test]
fn k3_taken_out_and_plugged_in_again() {
    holds(May { readds: 1, ..UNPLUGGED });
    holds(May { sandboxes: 2, ..UNPLUGGED });
}

#[test]
fn k3_what_a_running_pod_is_granted_no_more_is_listed() {
    needed(Wrong::UnpluggedLeftOut, UNPLUGGED);
}

#[test]
fn k3_nothing_is_granted_again_while_it_is_released() {
    needed(Wrong::PluggedAtOnce, May { sandboxes: 2, ..UNPLUGGED });
}

#[test]
fn r2_answered_only_after_the_journal() {
    needed(Wrong::AnsweredBeforeJournal, CRASH);
}

#[test]
fn r2_published_only_after_the_fence() {
    needed(Wrong::PublishedBeforeFence, CRASH);
}

#[test]
fn r2_never_serves_a_pod_that_is_gone() {
    needed(Wrong::ServedGone, May::SMALL);
}

#[test]
fn r2_a_del_alone_proves_nothing() {
    needed(Wrong::DelAlone, May::SMALL);
}

#[test]
fn r2_absence_alone_proves_nothing() {
    needed(Wrong::AbsenceAlone, May::SMALL);
}

#[test]
fn r2_a_look_from_before_the_del_proves_nothing() {
    needed(Wrong::OldLook, May::SMALL);
}

#[test]
fn r3_without_a_journal_what_lives_is_found_first() {
    needed(Wrong::NotRebuilt, LOSS);
}

#[test]
fn r3_what_lives_is_found_when_no_plugin_is_at_work() {
    needed(Wrong::RebuiltTooEarly, LOSS);
}

#[test]
fn r3_a_missing_entry_proves_nothing() {
    needed(Wrong::MissingEntry, May::SMALL);
}

#[test]
fn r3_another_machine_of_the_name_proves_nothing() {
    needed(Wrong::AnyMachine, REPLACED);
}

#[test]
fn r3_a_grant_is_served_on_its_own_node_only() {
    needed(Wrong::ServedElsewhere, May { sandboxes: 2, ..REPLACED });
}

#[test]
fn r4_a_deleted_node_proves_nothing() {
    needed(Wrong::DeletedNode, REPLACED);
}

#[test]
fn l5_pods_are_listed_after_the_blocks_are_loaded() {
    needed(Wrong::ListedBeforeLoad, LATE);
}

#[test]
fn k1_what_is_asked_for_is_in_use() {
    needed(Wrong::AsksLeftOut, STATIC);
}

#[test]
fn r2_no_report_lands_on_a_newer_one() {
    needed(Wrong::Overwrites, May { agent_crashes: 1, ..STATIC });
}

#[test]
fn r3_a_release_is_meant_for_one_grant() {
    needed(Wrong::AnyGrant, STATIC_LEADERS);
}

#[test]
fn l6_nothing_is_given_while_the_ledger_recovers() {
    needed(Wrong::GivenWhileRecovering, RESTORED);
}

#[test]
fn l6_every_node_says_what_it_uses() {
    needed(Wrong::SettledAtOnce, RESTORED);
}

#[test]
fn l6_what_a_node_uses_is_taken_over() {
    needed(Wrong::NotTakenOver, RESTORED);
}

#[test]
fn l6_every_report_of_a_recovery_has_the_inventory() {
    needed(Wrong::InventoryOnce, May { sandboxes: 2, ..RESTORED_STATIC });
}

#[test]
fn l6_an_epoch_is_above_all_that_any_node_knows() {
    needed(Wrong::LowerEpoch, May { restores: 2, ..RESTORED });
}
