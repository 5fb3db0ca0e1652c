//! README's tour.

use allotment_fleet::programs::root;
use anyhow::{Result, ensure};

use crate::world::{Test, World};

pub(crate) const TESTS: &[Test] = &[("tour::readme_works_as_it_is_written", readme)];

fn readme(world: &World) -> Result<()> {
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    let mut said = Vec::new();
    let played = allotment_nodes::tour::play(world.layout(), &readme, &mut said);
    let said = String::from_utf8_lossy(&said);
    ensure!(played.is_ok(), "{said}\n{played:?}");
    for words in ["10.60.0.77", "fd00:61::77", "0 errors"] {
        ensure!(said.contains(words), "`{words}` was expected:\n{said}");
    }
    world.wait_free("default")?;
    world.wait_free("shop")
}
