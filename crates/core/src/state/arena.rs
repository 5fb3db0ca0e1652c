//! Where the texts of records live: 16-byte granules in large chunks, one free list per length.
//!
//! Names in an allocator of their own cost half of what a `Box<[u8]>` each would: no header, no pointer, and a text that
//! is replaced by one of the same length stays in its place.

use super::prefetch::prefetch;

/// Bytes of a granule.
const GRANULE: usize = 16;
/// Granules of a chunk: a text never crosses its chunk, so this bounds a text at 64 KiB.
const CHUNK: usize = 4096;

/// Where a text is.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) start: u32,
    pub(super) granules: u16,
}

#[derive(Default)]
pub(super) struct Arena {
    chunks: Vec<Box<[u8]>>,
    /// First granule of the last chunk that was never used.
    next: usize,
    /// By length in granules: starts of texts that were given back.
    free: Vec<Vec<u32>>,
}

impl Arena {
    pub(super) fn get(&self, text: Text) -> &[u8] {
        let (chunk, start) = split(text.start);
        self.chunks
            .get(chunk)
            .map_or(&[], |chunk| &chunk[start..start + usize::from(text.granules) * GRANULE])
    }

    /// Asks for the first and the last line of a text: most have no other.
    pub(super) fn prefetch(&self, text: Text) {
        if let [first, .., last] = self.get(text) {
            prefetch(first);
            prefetch(last);
        }
    }

    /// Stores `bytes`; what is behind them up to the end of the last granule is undefined.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Text {
        let granules = bytes.len().div_ceil(GRANULE).max(1);
        assert!(granules <= CHUNK, "the codec bounds the length of a record's text");
        let start = self.free.get_mut(granules).and_then(Vec::pop).unwrap_or_else(|| self.fresh(granules));
        let (chunk, at) = split(start);
        self.chunks[chunk][at..at + bytes.len()].copy_from_slice(bytes);
        Text { start, granules: u16::try_from(granules).expect("at most CHUNK") }
    }

    /// Replaces a text, if there is one; in place where the length allows.
    pub(super) fn replace(&mut self, old: Text, bytes: &[u8]) -> Text {
        if bytes.len().div_ceil(GRANULE).max(1) == usize::from(old.granules) {
            let (chunk, at) = split(old.start);
            self.chunks[chunk][at..at + bytes.len()].copy_from_slice(bytes);
            return old;
        }
        self.drop(old);
        self.put(bytes)
    }

    pub(super) fn drop(&mut self, text: Text) {
        let granules = usize::from(text.granules);
        if granules > 0 {
            self.list(granules).push(text.start);
        }
    }

    fn list(&mut self, granules: usize) -> &mut Vec<u32> {
        if self.free.len() <= granules {
            self.free.resize_with(granules + 1, Vec::new);
        }
        &mut self.free[granules]
    }

    fn fresh(&mut self, granules: usize) -> u32 {
        if self.chunks.is_empty() || self.next + granules > CHUNK {
            if !self.chunks.is_empty() && self.next < CHUNK {
                let (left, start) = (CHUNK - self.next, self.address(self.next));
                self.list(left).push(start);
            }
            self.chunks.push(vec![0; CHUNK * GRANULE].into_boxed_slice());
            self.next = 0;
        }
        let start = self.address(self.next);
        self.next += granules;
        start
    }

    fn address(&self, granule: usize) -> u32 {
        u32::try_from((self.chunks.len() - 1) * CHUNK + granule)
            .expect("64 GiB of names do not fit in memory")
    }
}

fn split(start: u32) -> (usize, usize) {
    let start = start as usize;
    (start / CHUNK, start % CHUNK * GRANULE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_their_content_while_others_come_and_go() {
        let mut arena = Arena::default();
        let mut held: Vec<(Text, Vec<u8>)> = Vec::new();
        for step in 0..30_000_usize {
            let bytes = vec![u8::try_from(step % 251).unwrap(); step * 7 % 300];
            match step % 3 {
                0 if held.len() > 500 => {
                    let (text, expected) = held.swap_remove(step % held.len());
                    assert_eq!(&arena.get(text)[..expected.len()], &expected[..]);
                    arena.drop(text);
                }
                1 if !held.is_empty() => {
                    let at = step % held.len();
                    held[at] = (arena.replace(held[at].0, &bytes), bytes);
                }
                _ => held.push((arena.put(&bytes), bytes)),
            }
        }
        for (text, expected) in held {
            assert_eq!(&arena.get(text)[..expected.len()], &expected[..]);
        }
    }
}
