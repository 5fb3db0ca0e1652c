//! Words that many records share (kinds, namespaces, networks, interfaces, nodes, VRFs), stored once.

use super::hash::Seed;
use super::table::Table;

/// Word → number and back. Numbers are never given back: the words of a cluster are few, and a record that is cooling
/// still needs them.
#[derive(Default)]
pub(super) struct Interner {
    words: Vec<Box<str>>,
    table: Table,
    /// The last answer: neighbouring requests mostly say the same words.
    recent: u32,
}

impl Interner {
    pub(super) fn get(&self, number: u32) -> &str {
        &self.words[number as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    #[inline]
    pub(super) fn find(&self, word: &str, seed: Seed) -> Option<u32> {
        if self.is_recent(word) {
            return Some(self.recent);
        }
        self.look_up(word, seed.word(word))
    }

    fn is_recent(&self, word: &str) -> bool {
        self.words.get(self.recent as usize).is_some_and(|recent| **recent == *word)
    }

    fn look_up(&self, word: &str, tag: u32) -> Option<u32> {
        self.table.find(tag).find(|&number| &*self.words[number as usize] == word)
    }

    #[inline]
    pub(super) fn intern(&mut self, word: &str, seed: Seed) -> u32 {
        if !self.is_recent(word) {
            self.recent = self.find_or_add(word, seed);
        }
        self.recent
    }

    fn find_or_add(&mut self, word: &str, seed: Seed) -> u32 {
        let tag = seed.word(word);
        self.look_up(word, tag).unwrap_or_else(|| {
            let number = u32::try_from(self.words.len()).expect("fewer words than records");
            self.words.push(word.into());
            self.table.insert(tag, number);
            number
        })
    }

    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| &**word)
    }
}
