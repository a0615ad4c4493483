//! The image whose unpacking is measured: made from a number, the same on every machine. Half of its bytes are in many
//! small files, as of a language's libraries, half in a few large ones, as of its programs; some compress well and some
//! do not. Gzipped it has 200 MB, which is how registries tell sizes.

use std::sync::Arc;

use e2e::image::Layer;

const SEED: u64 = 2026;
pub(crate) const LAYERS: usize = 5;
/// In each layer: small files of 100 bytes to 60 kB, most of them at the lower end.
pub(crate) const SMALL: usize = 4_735;
/// In each layer: large files.
pub(crate) const LARGE: usize = 4;
const LARGE_BYTES: usize = 10_080_000;
/// Files of one directory.
const DIR: usize = 24;

/// Its layers.
pub(crate) fn layers() -> Vec<Arc<Layer>> {
    let mut maker = Maker::new(SEED);
    (0..LAYERS).map(|number| maker.layer(number, SMALL, LARGE)).collect()
}

struct Maker {
    random: Random,
    words: Vec<String>,
}

impl Maker {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let word = |_| (0..2 + random.below(8)).map(|_| char::from(b'a' + random.byte(26))).collect();
        let words = (0..4096).map(word).collect();
        Self { random, words }
    }

    fn layer(&mut self, number: usize, small: usize, large: usize) -> Arc<Layer> {
        let mut files = Vec::with_capacity(small + large);
        for index in 0..small {
            let name = format!("usr/lib/layer{number}/library{}/part{index}.rb", index / DIR);
            files.push((name, 0o644, self.small()));
        }
        for index in 0..large {
            files.push((format!("usr/bin/layer{number}-program{index}"), 0o755, self.code(LARGE_BYTES)));
        }
        let files: Vec<_> =
            files.iter().map(|(name, mode, content)| (name.as_str(), *mode, &**content)).collect();
        Layer::of(&files)
    }

    fn small(&mut self) -> Vec<u8> {
        // Each of nine sizes, doubling, is as likely as the others.
        let least = 100_usize << self.random.below(9);
        let size = least + self.random.below(least);
        if self.random.below(4) == 0 { self.code(size) } else { self.text(size) }
    }

    /// Words, the first ones of the list more often: what compresses to two fifths.
    fn text(&mut self, size: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(size + 10);
        while text.len() < size {
            let (a, b) = (self.random.below(64), self.random.below(64));
            text.extend_from_slice(self.words[a * b].as_bytes());
            text.push(if self.random.below(9) == 0 { b'\n' } else { b' ' });
        }
        text.truncate(size);
        text
    }

    /// Pieces of any bytes, every other one a repetition of a recent one: what compresses to a half.
    fn code(&mut self, size: usize) -> Vec<u8> {
        const PIECE: usize = 32;
        let mut code: Vec<u8> = Vec::with_capacity(size + PIECE);
        while code.len() < size {
            if self.random.below(2) == 0 && code.len() > 200 * PIECE {
                let from = code.len() - PIECE * (1 + self.random.below(200));
                code.extend_from_within(from..from + PIECE);
            } else {
                (0..PIECE / 8).for_each(|_| code.extend_from_slice(&self.random.next().to_le_bytes()));
            }
        }
        code.truncate(size);
        code
    }
}

/// SplitMix64: the same numbers everywhere, which no library promises for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is small.
    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        usize::try_from(self.next() % limit).unwrap_or_default()
    }

    fn byte(&mut self, limit: u8) -> u8 {
        self.next().to_le_bytes()[0] % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_everywhere() {
        let mut maker = Maker::new(SEED);
        let first: Vec<u8> = (0..40).flat_map(|_| maker.small()).collect();
        let digest = "sha256:eefc39dbe70ce283161dbcb7de77837b9f4dc815c1caa7cee86fa4e6b1251ee3";
        assert_eq!(e2e::image::digest(&first), digest);
    }
}
