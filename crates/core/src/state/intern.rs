//! Words that many records share (kinds, namespaces, networks, interfaces, nodes, VRFs), stored once.

use hashbrown::HashTable;

use super::hash::Seed;

/// Word → number and back. Numbers are never given back: the words of a cluster are few, and a record that is cooling
/// still needs them.
#[derive(Default)]
pub(super) struct Interner {
    words: Vec<Box<str>>,
    table: HashTable<u32>,
    /// The last answer: neighbouring requests mostly say the same words.
    recent: u32,
}

impl Interner {
    pub(super) fn get(&self, number: u32) -> &str {
        &self.words[number as usize]
    }

    pub(super) fn find(&self, word: &str, seed: Seed) -> Option<u32> {
        if self.words.get(self.recent as usize).is_some_and(|recent| **recent == *word) {
            return Some(self.recent);
        }
        self.table.find(seed.word(word), |&number| &*self.words[number as usize] == word).copied()
    }

    pub(super) fn intern(&mut self, word: &str, seed: Seed) -> u32 {
        if let Some(number) = self.find(word, seed) {
            self.recent = number;
            return number;
        }
        let number = u32::try_from(self.words.len()).expect("fewer words than records");
        self.words.push(word.into());
        let words = &self.words;
        self.table.insert_unique(seed.word(word), number, |&other| seed.word(&words[other as usize]));
        self.recent = number;
        number
    }

    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| &**word)
    }
}
