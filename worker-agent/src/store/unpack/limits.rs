//! How much a layer may hold.

/// Bounds on one layer. The defaults let every image pass that a tooling container has a use for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerLimits {
    /// Entries of the archive, extended headers included.
    pub entries: u64,
    /// Bytes of the tar stream, and of the files written.
    pub bytes: u64,
    /// Bytes of the tar stream for each byte transferred...
    pub ratio: u64,
    /// ...once the stream is longer than this.
    pub ratio_from: u64,
    /// Bytes of one path.
    pub path: usize,
    /// Components of one path.
    pub depth: usize,
    /// Bytes of all extended headers of one entry.
    pub header: u64,
    /// Bytes that the directories' names and times take together; they are kept until the end.
    pub directory_names: usize,
}

impl Default for LayerLimits {
    fn default() -> Self {
        Self {
            entries: 1_000_000,
            bytes: 20 << 30,
            ratio: 250,
            ratio_from: 256 << 20,
            path: 4095,
            depth: 128,
            header: 1 << 20,
            directory_names: 16 << 20,
        }
    }
}
