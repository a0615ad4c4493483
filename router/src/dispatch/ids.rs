//! The dispatcher's own ids for what it holds, and maps keyed by them.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use foldhash::SharedSeed;
use foldhash::quality::{FoldHasher, SeedableRandomState};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub(crate) struct $name(pub(crate) u64);
        )*
    };
}

ids! {
    /// A job in flight. A job with a smaller index was received earlier.
    JobIndex,
    /// A channel's track.
    TrackId,
    /// A lane: a version of a channel's track, or the builds of one.
    LaneId,
    /// An incarnation of a worker.
    WorkerId,
}

/// Yields ascending numbers from 1, none twice.
#[derive(Debug, Default)]
pub(crate) struct Sequence(u64);

impl Sequence {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }

    /// Returns the last number; 0 before the first.
    pub(crate) const fn last(&self) -> u64 {
        self.0
    }
}

/// A map whose keys are ids that this process assigns itself, so that a weak hash is safe.
pub(crate) type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// A map whose keys clients can influence. They cannot provoke collisions, because they do not know the seed.
pub(crate) type SeededMap<K, V> = HashMap<K, V, SeededState>;

/// A fast hash with a random seed. Speed matters: a job's key is hashed six times.
#[derive(Debug, Clone)]
pub(crate) struct SeededState(SeedableRandomState);

impl Default for SeededState {
    fn default() -> Self {
        Self(SeedableRandomState::with_seed(rand::random(), SharedSeed::global_random()))
    }
}

impl BuildHasher for SeededState {
    type Hasher = FoldHasher<'static>;

    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}

/// Hashes integers. Not for keys that clients can influence.
#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
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
