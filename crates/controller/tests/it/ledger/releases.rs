//! What earlier releases wrote is read, kept, and gone on with.

use std::fs;

use allotment_api::v1alpha1::{AddressBlock, AddressBlockSpec};
use allotment_core::{Allocation, Object};
use allotment_engine::conformance::{Content, pod};
use kube::api::PostParams;

use super::restarted;
use crate::plane::{Turn, turn};

/// Earlier releases that left a folder behind; see README.md there.
fn releases() -> Vec<String> {
    let all = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/releases")).unwrap();
    let folders = all.map(Result::unwrap).filter(|entry| entry.path().is_dir());
    folders.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn stored<T: serde::de::DeserializeOwned>(release: &str, name: &str) -> T {
    let file = format!("{}/tests/releases/{release}/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&fs::read_to_string(&file).unwrap())
        .unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The ledger's objects, as somebody restores them from a backup.
fn restore(turn: &Turn, release: &str) {
    for (name, spec) in stored::<Vec<(String, AddressBlockSpec)>>(release, "blocks.json") {
        let block = AddressBlock::new(&name, spec);
        turn.runtime.block_on(turn.blocks().create(&PostParams::default(), &block)).unwrap();
    }
}

#[test]
fn the_ledger_of_an_earlier_release_goes_on() {
    assert!(!releases().is_empty());
    for release in &releases() {
        let turn = turn();
        restore(&turn, release);
        let known = Content {
            objects: stored::<Vec<Object>>(release, "objects.json"),
            allocations: stored::<Vec<Allocation>>(release, "allocations.json"),
        };
        let mut world = turn.world();
        world.content().assert_same(&known, release);
        // Every block is written by today's program, and says what it said.
        world
            .change(|state, batch| {
                batch.places.extend(state.blocks().flat_map(|block| state.places(block)).collect::<Vec<_>>());
            })
            .unwrap();
        restarted(&turn).assert_same(&known, "written again");
        assert!(world.allocate(&[pod(1000, "rack-a")]).unwrap()[0].is_ok());
    }
}
