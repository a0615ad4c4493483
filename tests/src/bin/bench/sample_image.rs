//! The image whose unpacking is measured, generated from a seed, the same on every machine. Half of its bytes are in
//! many small files, like a language's libraries, and half in a few large ones, like its programs; some compress well
//! and some do not. Gzipped it has 200 MB.

use std::sync::Arc;

use e2e::image::Layer;

const SEED: u64 = 2026;
pub(crate) const LAYERS: usize = 5;
/// Number of small files in each layer, of 100 bytes to 60 kB, most of them at the lower end.
pub(crate) const SMALL_FILES: usize = 4_735;
/// Number of large files in each layer.
pub(crate) const LARGE_FILES: usize = 4;
const LARGE_FILE_BYTES: usize = 10_080_000;
/// Number of files in a directory.
const FILES_PER_DIR: usize = 24;

/// Returns the image's layers.
pub(crate) fn layers() -> Vec<Arc<Layer>> {
    let mut generator = LayerGenerator::new(SEED);
    (0..LAYERS).map(|number| generator.layer(number, SMALL_FILES, LARGE_FILES)).collect()
}

struct LayerGenerator {
    random: Random,
    words: Vec<String>,
}

impl LayerGenerator {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let word = |_| (0..2 + random.below(8)).map(|_| char::from(b'a' + random.byte(26))).collect();
        let words = (0..4096).map(word).collect();
        Self { random, words }
    }

    fn layer(&mut self, number: usize, small: usize, large: usize) -> Arc<Layer> {
        let mut files = Vec::with_capacity(small + large);
        for index in 0..small {
            let name = format!("usr/lib/layer{number}/library{}/part{index}.rb", index / FILES_PER_DIR);
            files.push((name, 0o644, self.small()));
        }
        for index in 0..large {
            files.push((format!("usr/bin/layer{number}-program{index}"), 0o755, self.code(LARGE_FILE_BYTES)));
        }
        let files: Vec<_> =
            files.iter().map(|(name, mode, content)| (name.as_str(), *mode, &**content)).collect();
        Layer::of(&files)
    }

    fn small(&mut self) -> Vec<u8> {
        // Nine orders of magnitude, each twice the one before, are equally likely.
        let least = 100_usize << self.random.below(9);
        let size = least + self.random.below(least);
        if self.random.below(4) == 0 { self.code(size) } else { self.text(size) }
    }

    /// Returns words, the first ones of the list more often; they compress to two fifths.
    fn text(&mut self, size: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(size + 10);
        while text.len() < size {
            let a = self.random.below(64);
            let b = self.random.below(64);
            text.extend_from_slice(self.words[a * b].as_bytes());
            text.push(if self.random.below(9) == 0 { b'\n' } else { b' ' });
        }
        text.truncate(size);
        text
    }

    /// Returns pieces of random bytes, half of which repeat a recent one; they compress to a half.
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

/// SplitMix64: unlike a library's generator, it never changes its numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `limit`, which is small.
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
    fn image_is_reproducible() {
        let mut generator = LayerGenerator::new(SEED);
        let first: Vec<u8> = (0..40).flat_map(|_| generator.small()).collect();
        let digest = "sha256:eefc39dbe70ce283161dbcb7de77837b9f4dc815c1caa7cee86fa4e6b1251ee3";
        assert_eq!(e2e::image::digest(&first), digest);
    }
}
