//! Objects that come, change and go while addresses are held and cool (invariant 7, L1, O6).

mod change;
mod declare;
mod pools;

use allotment_core::{Allocation, ObjectError};

use crate::check;
use crate::world::World;

/// All that an error says: object and field, text, hint.
fn said(error: &ObjectError) -> [String; 3] {
    [format!("{}: {}", error.object, error.field), error.text.clone(), error.hint.clone()]
}

fn all(world: &World) -> Vec<Allocation> {
    check::all(&world.state)
}

/// Takes addresses with new containers until nothing is left.
fn drain(world: &mut World, subnet: &str, name: &str) -> Vec<String> {
    let next = |at: usize| {
        let address = world.ask(&format!("{name}{at}")).on(subnet).get();
        (address != "full").then_some(address)
    };
    (0..).map_while(next).collect()
}
