//! Export and import: everything in pages, and taking over what an export has.

use allotment_core::{Allocation, AllocationState, BlockId, Code, Place, Refusal, State};

/// Blocks in one page: reading them holds the engine up for about a millisecond when they are full.
const PAGE: usize = 8;

/// A part of all allocations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub allocations: Vec<Allocation>,
    /// Where the next page begins; nothing after the last one.
    pub next: Option<BlockId>,
}

impl Page {
    /// The allocations of the blocks behind `after`.
    pub(crate) fn read(state: &State, after: Option<BlockId>) -> Page {
        let mut blocks = state.blocks_after(after);
        let page: Vec<BlockId> = blocks.by_ref().take(PAGE).collect();
        let next = page.last().copied().filter(|_| blocks.next().is_some());
        let places = page.into_iter().flat_map(|block| state.places(block));
        Page { allocations: places.filter_map(|place| state.at(place)).collect(), next }
    }
}

/// Takes over allocations as they are: all of them, or none. What is there already in the same words is passed over.
/// Places that changed are appended to `changed`.
pub(crate) fn import(
    state: &mut State,
    allocations: &[Allocation],
    changed: &mut Vec<Place>,
) -> Result<usize, Refusal> {
    let news = check(state, allocations)?;
    state.begin_loading();
    for allocation in &news {
        let loaded = state.load(&allocation.vrf, allocation.address, &allocation.to_record());
        changed.push(loaded.expect("the same record was loaded into an empty state"));
    }
    state.settle();
    Ok(news.len())
}

/// Those that are new; refuses when one cannot be had.
fn check<'a>(state: &State, allocations: &'a [Allocation]) -> Result<Vec<&'a Allocation>, Refusal> {
    // The list among itself: an address or a MAC may occur twice in it.
    let mut listed = State::new();
    listed.begin_loading();
    let mut news = Vec::new();
    let mut faults = Vec::new();
    for allocation in allocations {
        match fault(state, &listed, allocation) {
            Ok(true) => match listed.load(&allocation.vrf, allocation.address, &allocation.to_record()) {
                Ok(_) => news.push(allocation),
                Err(error) => faults.push(error.to_string()),
            },
            Ok(false) => {}
            Err(why) => faults.push(format!("{} in VRF `{}` {why}", allocation.address, allocation.vrf)),
        }
    }
    let Some(first) = faults.first() else { return Ok(news) };
    let text =
        format!("the allocations cannot be taken over, and none of them was; the first in the way: {first}");
    let hint = "correct the list, or import it into an empty ledger";
    Err(Refusal::new(Code::Taken, text, hint)
        .count("in the list", allocations.len())
        .count("in the way", faults.len()))
}

/// Why an allocation cannot be had; otherwise whether it is new.
fn fault(state: &State, listed: &State, allocation: &Allocation) -> Result<bool, String> {
    if allocation.address != allocation.address.to_canonical() {
        return Err("is an IPv4-mapped IPv6 address; write it as IPv4".to_owned());
    }
    match (allocation.state, allocation.attachments.len()) {
        (AllocationState::Active, 0) => return Err("is active, but has no attachment".to_owned()),
        (_, 3..) => return Err("has more than two attachments".to_owned()),
        _ => {}
    }
    if let Some(known) = state.allocation(&allocation.vrf, allocation.address) {
        let same = known == *allocation;
        return if same { Ok(false) } else { Err(format!("is recorded for {} already", known.owner)) };
    }
    if let Some(mac) = allocation.mac.filter(|_| allocation.state.is_held()) {
        let others = [state, listed].into_iter().flat_map(|state| state.with_mac(&allocation.vrf, mac));
        if let Some(other) = others.into_iter().find(|other| other.owner.key() != allocation.owner.key()) {
            return Err(format!("has the MAC {mac}, which {} has", other.owner));
        }
    }
    Ok(true)
}
