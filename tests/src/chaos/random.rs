//! A small random number generator (SplitMix64): the same seed gives the same plan on every machine.

use std::time::Duration;

pub(super) struct Random(u64);

impl Random {
    /// Creates the generator for one part of a plan; each `stream` has numbers of its own.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut mixer = Self(seed ^ stream.rotate_left(32));
        Self(mixer.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    pub(super) fn shuffle<T>(&mut self, mut items: Vec<T>) -> Vec<T> {
        (1..items.len()).for_each(|last| items.swap(last, self.index(last + 1)));
        items
    }

    pub(super) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}
