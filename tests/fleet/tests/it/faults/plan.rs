//! What is to happen, drawn from a seed before anything happens.

use std::time::Duration;

/// A stream of numbers that looks like chance (`SplitMix64`).
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64, stream: u64) -> Draw {
        let mut draw = Draw(seed ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03));
        draw.next();
        draw
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, and without, `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn millis(&mut self, end: usize) -> Duration {
        Duration::from_millis(self.below(end) as u64)
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// How a pod goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    /// Deleted, its sandbox taken down, removed.
    Proper,
    /// The object goes first, with force; the sandbox is taken down so much later.
    Forced(Duration),
    /// The object goes, and the namespace; nobody ever calls DEL.
    Lost,
    /// It has finished and is taken down; the object stays so much longer.
    Finished(Duration),
}

/// What a runtime may do besides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Twist {
    None,
    /// The ADDs are called once more.
    Repeat,
    /// The sandbox is replaced, and the old one's DEL comes after the new one's ADD.
    Replace,
}

/// One pod's life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    /// Place of its node.
    pub(crate) node: usize,
    /// It is its worker's ordinal of the `StatefulSet`, which has one name for ever.
    pub(crate) stateful: bool,
    pub(crate) second_interface: bool,
    pub(crate) own_namespace: bool,
    pub(crate) twist: Twist,
    pub(crate) lasts: Duration,
    pub(crate) end: End,
}

impl Life {
    pub(crate) fn draw(draw: &mut Draw, nodes: usize) -> Life {
        let end = match draw.below(6) {
            0 => End::Forced(draw.millis(1500)),
            1 => End::Lost,
            2 => End::Finished(draw.millis(1500)),
            _ => End::Proper,
        };
        Life {
            node: draw.below(nodes),
            stateful: draw.one_in(3),
            second_interface: draw.one_in(2),
            // Only an own one can go without a DEL.
            own_namespace: end == End::Lost || draw.one_in(3),
            twist: draw.of(&[Twist::None, Twist::None, Twist::Repeat, Twist::Replace]),
            lasts: draw.millis(2000),
            end,
        }
    }
}

/// Whose view of the API server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Whose {
    Controller(usize),
    Agent(usize),
}

/// Something that goes wrong, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Trouble {
    KillController(usize),
    KillAgent(usize),
    KillApiServer,
    KillEtcd,
    /// It neither runs nor ends; the other takes over while it believes to lead.
    FreezeController(usize),
    Slow(Whose, Duration),
    Cut(Whose),
    Refuse(Whose),
    /// Watches of this resource stand still while all else flows.
    Hold(Whose, &'static str),
    /// Watches are told that their history is gone.
    Expire(Whose),
    /// The next writes are done, and nobody is told.
    LoseAnswers(Whose, u64),
    /// The next requests are answered with this status.
    Answer(Whose, u16, u64),
}

/// After a pause, something goes wrong for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) pause: Duration,
    pub(crate) trouble: Trouble,
    pub(crate) lasts: Duration,
}

impl Step {
    pub(crate) fn draw(draw: &mut Draw, nodes: usize, controllers: usize) -> Step {
        let whose = if draw.one_in(2) {
            Whose::Controller(draw.below(controllers))
        } else {
            Whose::Agent(draw.below(nodes))
        };
        let trouble = match draw.below(14) {
            0 | 1 => Trouble::KillController(draw.below(controllers)),
            2 | 3 => Trouble::KillAgent(draw.below(nodes)),
            4 => Trouble::KillApiServer,
            5 => Trouble::KillEtcd,
            6 => Trouble::FreezeController(draw.below(controllers)),
            7 => Trouble::Slow(whose, draw.millis(2000)),
            8 => Trouble::Cut(whose),
            9 => Trouble::Refuse(whose),
            10 => Trouble::Hold(whose, draw.of(&["pods", "nodeattachments", "addressblocks", "subnets"])),
            11 => Trouble::Expire(whose),
            12 => Trouble::LoseAnswers(whose, 1 + draw.next() % 5),
            _ => Trouble::Answer(whose, draw.of(&[429, 500, 503, 504]), 1 + draw.next() % 20),
        };
        Step { pause: draw.millis(1500), trouble, lasts: draw.millis(4000) }
    }
}

#[test]
fn a_seed_repeats_the_plan() {
    let plan = |seed| {
        let mut draw = Draw::new(seed, 3);
        let lives: Vec<_> = (0..100).map(|_| Life::draw(&mut draw, 4)).collect();
        let steps: Vec<_> = (0..100).map(|_| Step::draw(&mut draw, 4, 2)).collect();
        format!("{lives:?} {steps:?}")
    };
    assert_eq!(plan(7), plan(7));
    assert_ne!(plan(7), plan(8));
}
