//! Objects that come, change and go while addresses are held and cool (invariant 7, L1, O6).

mod change;
mod declare;
mod pools;
mod together;

use allotment_core::{Allocation, ObjectError};

use crate::check;
use crate::world::{World, subnet};

/// All that an error says: object and field, text, hint.
fn said(error: &ObjectError) -> [String; 3] {
    [format!("{}: {}", error.object, error.field), error.text.clone(), error.hint.clone()]
}

fn all(world: &World) -> Vec<Allocation> {
    check::all(&world.state)
}

/// 10.0.0.2 held, .3 cooling, .4 cooled, the rest never used.
fn lived_in(cidr: &str) -> World {
    let mut world = World::new([subnet("s", &[cidr])]);
    for id in ["held", "cooling", "cooled"] {
        world.ask(id).on("s").grant().unwrap();
    }
    world.del("cooled");
    world.now += 30_000;
    world.del("cooling");
    world
}

/// Takes addresses with new containers until nothing is left.
fn drain(world: &mut World, subnet: &str, name: &str) -> Vec<String> {
    let next = |at: usize| {
        let address = world.ask(&format!("{name}{at}")).on(subnet).get();
        (address != "full").then_some(address)
    };
    (0..).map_while(next).collect()
}
