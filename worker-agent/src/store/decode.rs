//! A layer's bytes on their way from the network to the unpacker: decompressed, counted and hashed in one pass.

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use bytes::{Buf, Bytes};
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::Receiver;
use trackyard_images::{Compression, Layer};
use trackyard_protocol::version::Digest;

use super::error::StoreError;
use super::unpack::{LayerLimits, Rejection, UnpackError, UnpackOutcome, unpack};

const BUFFER: usize = 128 << 10;
/// A decoder's window is at most 2^24 bytes: every common zstd level, and not the 128 MiB that a frame may ask for.
const ZSTD_WINDOW_LOG: u32 = 24;

/// What comes from the network: bytes, then `None` once they are all verified, or an error.
pub(crate) type Message = Option<Result<Bytes, trackyard_images::ImageError>>;

/// How a layer's work ended.
pub(crate) enum Unpacked {
    Done(UnpackOutcome),
    NeedsLower,
}

/// Unpacks a layer into `root`; runs on a thread that may block.
pub(crate) fn run(
    messages: Receiver<Message>,
    layer: &Layer,
    root: OwnedFd,
    lowers: Option<Vec<OwnedFd>>,
    limits: &LayerLimits,
) -> Result<Unpacked, StoreError> {
    let fault = Rc::default();
    let mut chunks = Chunks { messages, current: Bytes::new(), ended: false, fault: Rc::clone(&fault) };
    let result = decode(&mut chunks, layer, root, lowers, limits);
    let result = match result {
        Err(UnpackError::NeedsLower) => return Ok(Unpacked::NeedsLower),
        Err(UnpackError::Rejected(rejected)) => {
            // Bytes that were damaged on the way look like a bad layer: the transfer's end tells which it is.
            drop(chunks.drain());
            Err(UnpackError::Rejected(rejected))
        }
        Err(error) => Err(error),
        Ok(outcome) => match chunks.drain() {
            Ok(0) => Ok(outcome),
            Ok(_) => Err(Rejection::Compression("there is more after its end".to_owned()).into()),
            Err(error) => Err(Rejection::from_read(&error).into()),
        },
    };
    match fault.take() {
        Some(Fault::Pull(error)) => Err(error.into()),
        Some(Fault::Cancelled) => Err(StoreError::Io {
            what: "unpacking a layer".to_owned(),
            source: io::ErrorKind::Interrupted.into(),
        }),
        None => result.map(Unpacked::Done).map_err(|e| StoreError::from_unpack(layer.digest.as_str(), e)),
    }
}

fn decode(
    chunks: &mut Chunks,
    layer: &Layer,
    root: OwnedFd,
    lowers: Option<Vec<OwnedFd>>,
    limits: &LayerLimits,
) -> Result<UnpackOutcome, UnpackError> {
    let tar: Box<dyn Read + '_> = match layer.compression {
        Compression::None => Box::new(chunks),
        Compression::Gzip => Box::new(MultiGzDecoder::new(chunks)),
        Compression::Zstd => Box::new(zstd(chunks).map_err(|e| Rejection::from_read(&e))?),
    };
    let mut tar = BufReader::with_capacity(BUFFER, Hashed::new(tar, layer.size, limits));
    let outcome = unpack(&mut tar, root, lowers, limits)?;
    // What follows the end mark is part of the digest.
    io::copy(&mut tar, &mut io::sink()).map_err(|e| Rejection::from_read(&e))?;
    let found = tar.into_inner().digest();
    if found == layer.diff_id {
        return Ok(outcome);
    }
    Err(Rejection::DiffId { expected: layer.diff_id.to_string(), found: found.to_string() }.into())
}

fn zstd(chunks: &mut Chunks) -> io::Result<zstd::Decoder<'_, &mut Chunks>> {
    let mut decoder = zstd::Decoder::with_buffer(chunks)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(decoder)
}

/// The transfer as a reader.
struct Chunks {
    messages: Receiver<Message>,
    current: Bytes,
    ended: bool,
    /// Kept aside, because decoders pass on no more than an I/O error.
    fault: Rc<RefCell<Option<Fault>>>,
}

enum Fault {
    Pull(trackyard_images::ImageError),
    /// Nobody wants the layer any more.
    Cancelled,
}

impl Chunks {
    /// Reads to the verified end; how much there was.
    fn drain(&mut self) -> io::Result<u64> {
        io::copy(self, &mut io::sink())
    }

    fn fail(&self, fault: Fault) -> io::Error {
        self.fault.borrow_mut().get_or_insert(fault);
        io::Error::other("the transfer failed")
    }
}

impl BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            match self.messages.blocking_recv() {
                Some(Some(Ok(bytes))) => self.current = bytes,
                Some(Some(Err(error))) => return Err(self.fail(Fault::Pull(error))),
                Some(None) => self.ended = true,
                None => return Err(self.fail(Fault::Cancelled)),
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, count: usize) {
        self.current.advance(count.min(self.current.len()));
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// Hashes the tar stream and ends it where it becomes a bomb.
struct Hashed<R> {
    source: R,
    hasher: Sha256,
    left: u64,
    rejected: Rejection,
}

impl<R: Read> Hashed<R> {
    fn new(source: R, transferred: u64, limits: &LayerLimits) -> Self {
        let by_ratio = transferred.saturating_mul(limits.ratio).max(limits.ratio_from);
        let rejected = if by_ratio < limits.bytes {
            Rejection::Ratio(limits.ratio)
        } else {
            Rejection::Size(limits.bytes)
        };
        Self { source, hasher: Sha256::new(), left: by_ratio.min(limits.bytes), rejected }
    }

    fn digest(self) -> Digest {
        Digest::from_sha256(&self.hasher.finalize().into())
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let left = u64::try_from(count).ok().and_then(|count| self.left.checked_sub(count));
        self.left = left.ok_or_else(|| io::Error::other(self.rejected.clone()))?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
