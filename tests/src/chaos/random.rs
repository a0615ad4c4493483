//! A small generator of random numbers: the same seed gives the same plan on every machine.

use std::time::Duration;

pub(super) struct Random(u64);

impl Random {
    /// The numbers of one thing of a plan: `of` keeps those of different things apart.
    pub(super) fn new(seed: u64, of: u64) -> Self {
        let mut mixer = Self(seed ^ of.rotate_left(32));
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

    pub(super) fn shuffle<T>(&mut self, mut things: Vec<T>) -> Vec<T> {
        (1..things.len()).for_each(|last| things.swap(last, self.index(last + 1)));
        things
    }

    pub(super) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}
