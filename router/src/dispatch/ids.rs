//! The dispatcher's own numbers for what it holds, and maps keyed by them.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use foldhash::SharedSeed;
use foldhash::quality::{FoldHasher, SeedableRandomState};

macro_rules! number {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub(crate) struct $name(pub(crate) u64);
        )*
    };
}

number! {
    /// A job in flight; a smaller number was received earlier.
    JobNo,
    /// A channel's track.
    TrackId,
    /// A version of a channel's track: what jobs wait for and workers have ready.
    LaneId,
    /// A worker's start.
    WorkerId,
}

/// Counts up; no number is given twice.
#[derive(Debug, Default)]
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }

    /// The last that was given; 0 before the first.
    pub(crate) const fn last(&self) -> u64 {
        self.0
    }
}

/// A map whose keys are numbers that this process gave out itself, so that a quick hash is safe.
pub(crate) type Map<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// A map whose keys a client has a hand in. It could try names until many fall together, but it does not know the seed.
pub(crate) type SeededMap<K, V> = HashMap<K, V, Seeded>;

/// A quick hash with a random seed: a job's key is hashed six times on its way.
#[derive(Debug, Clone)]
pub(crate) struct Seeded(SeedableRandomState);

impl Default for Seeded {
    fn default() -> Self {
        Self(SeedableRandomState::with_seed(rand::random(), SharedSeed::global_random()))
    }
}

impl BuildHasher for Seeded {
    type Hasher = FoldHasher<'static>;

    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}

/// Mixes whole numbers; not for keys that a stranger chooses.
#[derive(Debug, Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
