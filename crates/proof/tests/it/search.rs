//! Breadth-first through all states that a world can come to.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use crate::world::World;

/// What a search found.
pub(crate) struct Outcome {
    pub(crate) states: usize,
    /// The shortest way to an address that two pods use at once.
    pub(crate) doubled: Option<Vec<String>>,
    /// The way to a state from which the address never comes back.
    pub(crate) stuck: Option<Vec<String>>,
}

/// A world that grows beyond this is not small any more.
const MOST_STATES: usize = 3_000_000;

struct Seen {
    from: u32,
    step: &'static str,
    is_good: bool,
}

/// Stops at the first doubled address; otherwise also looks for states from which no freed one can be reached.
pub(crate) fn search(start: World) -> Outcome {
    let hashers = (RandomState::new(), RandomState::new());
    let key = |world: &World| (hashers.0.hash_one(world), hashers.1.hash_one(world));
    let mut known: HashMap<(u64, u64), u32> = HashMap::from([(key(&start), 0)]);
    let mut seen = vec![Seen { from: 0, step: "", is_good: start.is_freed() }];
    let mut back: Vec<Vec<u32>> = vec![Vec::new()];
    let mut todo = VecDeque::from([(0u32, start)]);
    let mut next = Vec::new();
    while let Some((index, world)) = todo.pop_front() {
        world.steps(&mut next);
        for (step, after) in next.drain(..) {
            let fresh = u32::try_from(seen.len()).unwrap();
            let target = *known.entry(key(&after)).or_insert(fresh);
            if target == fresh {
                assert!(seen.len() < MOST_STATES, "the world is too large; last: {:?}", path(&seen, index));
                seen.push(Seen { from: index, step, is_good: after.is_freed() });
                back.push(Vec::new());
                if after.is_doubled() {
                    let doubled = Some(path(&seen, fresh));
                    return Outcome { states: seen.len(), doubled, stuck: None };
                }
                todo.push_back((fresh, after));
            }
            back[target as usize].push(index);
        }
    }
    let stuck = unreaching(&seen, &back).map(|state| path(&seen, state));
    Outcome { states: seen.len(), doubled: None, stuck }
}

/// The first state from which no good one can be reached.
fn unreaching(seen: &[Seen], back: &[Vec<u32>]) -> Option<u32> {
    let mut can: Vec<bool> = seen.iter().map(|state| state.is_good).collect();
    let all = 0..u32::try_from(seen.len()).unwrap();
    let mut todo: Vec<u32> = all.clone().filter(|state| can[*state as usize]).collect();
    while let Some(state) = todo.pop() {
        for &before in &back[state as usize] {
            if !std::mem::replace(&mut can[before as usize], true) {
                todo.push(before);
            }
        }
    }
    all.into_iter().find(|state| !can[*state as usize])
}

fn path(seen: &[Seen], mut state: u32) -> Vec<String> {
    let mut steps = Vec::new();
    while state != 0 {
        let came = &seen[state as usize];
        steps.push(came.step.to_owned());
        state = came.from;
    }
    steps.reverse();
    steps
}
