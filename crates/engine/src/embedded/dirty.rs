//! Which blocks have changes that only the journal has, and when they are folded into their rows.
//!
//! Every commit folds a share of the dirty blocks, oldest first, in proportion to what it appends: the whole set is
//! gone through once per [`JOURNAL_BUDGET`] bytes of journal. So the journal stays about that long, however many
//! blocks are in use, and no commit has to fold many at once.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

/// Bytes of journal that a load may have to replay.
pub(super) const JOURNAL_BUDGET: u64 = 16 << 20;

/// Blocks folded by a small commit at most: it writes about 30 KB for a full one.
pub(super) const FOLDS: usize = 16;

/// Blocks with changes that no row of theirs has yet.
#[derive(Debug)]
pub(super) struct Dirty<B> {
    /// Oldest first.
    queue: VecDeque<Entry<B>>,
    members: HashSet<B>,
    /// What is due of the next fold, in parts of `budget`.
    due: u64,
    budget: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry<B> {
    block: B,
    /// The journal row of its oldest change.
    sequence: u64,
    /// Bytes of journal written before that row.
    before: u64,
}

/// Where a commit's journal row stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) sequence: u64,
    /// Bytes of journal written before it, and its own.
    pub(super) before: u64,
    pub(super) length: u64,
}

/// What one commit will fold; in force when the commit is durable.
#[derive(Debug)]
pub(super) struct Folds<B> {
    pub(super) blocks: Vec<B>,
    due: u64,
}

impl<B: Copy + Eq + Hash> Dirty<B> {
    /// `budget`: bytes of journal within which all are to be folded once.
    pub(super) fn new(budget: u64) -> Dirty<B> {
        Dirty { queue: VecDeque::new(), members: HashSet::new(), due: 0, budget }
    }

    pub(super) fn budget(&self) -> u64 {
        self.budget
    }

    /// Which blocks the commit at `at` folds, which changes `touched` blocks: one that is large itself may fold as many.
    pub(super) fn folds(&self, at: Position, touched: usize) -> Folds<B> {
        let due = self.due + self.queue.len() as u64 * at.length;
        let unfolded = self.queue.front().map_or(0, |oldest| at.before - oldest.before);
        let least = u64::from(unfolded > self.budget);
        let count =
            usize::try_from((due / self.budget).max(least)).unwrap_or(usize::MAX).min(touched.max(FOLDS));
        let blocks = self.queue.iter().take(count).map(|entry| entry.block);
        Folds { blocks: blocks.collect(), due: due % self.budget }
    }

    /// The oldest sequence that has to be read at load once these folds are done; `touched` changed at `at`.
    pub(super) fn tail_after(&self, folds: &Folds<B>, touched: &[B], at: Position) -> u64 {
        let oldest = self.queue.get(folds.blocks.len()).map(|entry| entry.sequence);
        let all_folded = || touched.iter().all(|block| folds.blocks.contains(block));
        oldest.unwrap_or_else(|| if all_folded() { at.sequence + 1 } else { at.sequence })
    }

    /// The commit at `at` is durable: it folded and changed these blocks.
    pub(super) fn committed(&mut self, folds: &Folds<B>, touched: &[B], at: Position) {
        self.due = folds.due;
        for entry in self.queue.drain(..folds.blocks.len()) {
            self.members.remove(&entry.block);
        }
        for &block in touched {
            if !folds.blocks.contains(&block) {
                self.touch(block, at.sequence, at.before);
            }
        }
    }

    /// Notes a change that only the journal has. Sequences come in ascending.
    pub(super) fn touch(&mut self, block: B, sequence: u64, before: u64) {
        if self.members.insert(block) {
            self.queue.push_back(Entry { block, sequence, before });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs commits of `length` bytes, the n-th touching what `touched` says, and returns the longest stretch of
    /// journal that a load would have had to read, and the most blocks folded by one commit.
    fn run(commits: u64, length: u64, mut touched: impl FnMut(u64) -> Vec<u64>) -> (u64, usize) {
        let mut dirty = Dirty::new(JOURNAL_BUDGET);
        let (mut longest, mut most) = (0, 0);
        for sequence in 1..=commits {
            let at = Position { sequence, before: (sequence - 1) * length, length };
            let touched = touched(sequence);
            let folds = dirty.folds(at, touched.len());
            let tail = dirty.tail_after(&folds, &touched, at);
            dirty.committed(&folds, &touched, at);
            longest = longest.max((sequence + 1 - tail) * length);
            most = most.max(folds.blocks.len());
        }
        (longest, most)
    }

    #[test]
    fn the_journal_stays_short_and_no_commit_folds_much() {
        // 64 scattered addresses a commit, on a small network, on a /16, and on a million addresses.
        for blocks in [4, 256, 4096] {
            let (longest, most) =
                run(20_000, 10_000, |n| (0..64).map(|i| (n * 64 + i) * 7919 % blocks).collect());
            assert!(longest < JOURNAL_BUDGET * 5 / 4, "{blocks} blocks: {longest} bytes");
            assert!(most <= 4, "{blocks} blocks: {most} folded at once");
        }
    }

    #[test]
    fn a_block_touched_once_is_folded_in_the_end() {
        let (longest, _) = run(20_000, 10_000, |n| if n == 1 { vec![999] } else { vec![n % 3] });
        assert!(longest < JOURNAL_BUDGET * 5 / 4, "{longest} bytes");
    }

    #[test]
    fn the_tail_is_the_oldest_change_not_yet_folded() {
        let mut dirty = Dirty::new(JOURNAL_BUDGET);
        let at = |sequence| Position { sequence, before: sequence * 10, length: 10 };
        for (sequence, block) in [(1, 'a'), (2, 'b'), (3, 'a')] {
            let folds = dirty.folds(at(sequence), 1);
            assert!(folds.blocks.is_empty());
            assert_eq!(dirty.tail_after(&folds, &[block], at(sequence)), 1);
            dirty.committed(&folds, &[block], at(sequence));
        }
        let one = Folds { blocks: vec!['a'], due: 0 };
        assert_eq!(dirty.tail_after(&one, &['a'], at(4)), 2, "`a` is folded with what this commit changed");
        let both = Folds { blocks: vec!['a', 'b'], due: 0 };
        assert_eq!(dirty.tail_after(&both, &['a', 'c'], at(4)), 4, "`c` is in this commit's row only");
        assert_eq!(dirty.tail_after(&both, &['a'], at(4)), 5);
        dirty.committed(&one, &['a'], at(4));
        assert_eq!(dirty.queue.iter().map(|entry| entry.block).collect::<Vec<_>>(), ['b']);
    }
}
