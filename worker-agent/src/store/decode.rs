//! Decompresses, counts and hashes a layer's bytes in one pass, on the way from the network to the unpacker.

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

const BUFFER_BYTES: usize = 128 << 10;
/// Maximum size of a decoder's window, as a power of two: enough for every common zstd level, and less than the 128 MiB
/// that a frame may ask for.
const MAX_ZSTD_WINDOW_LOG: u32 = 24;

/// A part of a transfer: bytes, an error, or `None` at the end, once all bytes are verified.
pub(crate) type TransferItem = Option<Result<Bytes, trackyard_images::ImageError>>;

/// How the unpacking of a layer ended.
pub(crate) enum Unpacked {
    Done(UnpackOutcome),
    NeedsLower,
}

/// Unpacks a layer into `root`. Call it on a thread that may block.
pub(crate) fn unpack_transfer(
    items: Receiver<TransferItem>,
    layer: &Layer,
    root: OwnedFd,
    lowers: Option<Vec<OwnedFd>>,
    limits: &LayerLimits,
) -> Result<Unpacked, StoreError> {
    let fault = Rc::default();
    let mut transfer =
        TransferReader { items, current: Bytes::new(), ended: false, fault: Rc::clone(&fault) };
    let result = decode(&mut transfer, layer, root, lowers, limits);
    let result = match result {
        Err(UnpackError::NeedsLower) => return Ok(Unpacked::NeedsLower),
        Err(UnpackError::Rejected(rejection)) => {
            // Bytes damaged in the transfer look like a bad layer. Only the verified end of the transfer tells which it
            // is.
            drop(transfer.drain());
            Err(UnpackError::Rejected(rejection))
        }
        Err(error) => Err(error),
        Ok(outcome) => match transfer.drain() {
            Ok(0) => Ok(outcome),
            Ok(_) => Err(Rejection::Compression("there is more after its end".to_owned()).into()),
            Err(error) => Err(Rejection::from_read(&error).into()),
        },
    };
    match fault.take() {
        Some(TransferFault::Pull(error)) => Err(error.into()),
        Some(TransferFault::Cancelled) => Err(StoreError::Io {
            what: "unpack a layer".to_owned(),
            source: io::ErrorKind::Interrupted.into(),
        }),
        None => result.map(Unpacked::Done).map_err(|e| StoreError::from_unpack(layer.digest.as_str(), e)),
    }
}

fn decode(
    transfer: &mut TransferReader,
    layer: &Layer,
    root: OwnedFd,
    lowers: Option<Vec<OwnedFd>>,
    limits: &LayerLimits,
) -> Result<UnpackOutcome, UnpackError> {
    let tar: Box<dyn Read + '_> = match layer.compression {
        Compression::None => Box::new(transfer),
        Compression::Gzip => Box::new(MultiGzDecoder::new(transfer)),
        Compression::Zstd => Box::new(zstd(transfer).map_err(|e| Rejection::from_read(&e))?),
    };
    let mut tar = BufReader::with_capacity(BUFFER_BYTES, HashingReader::new(tar, layer.size, limits));
    let outcome = unpack(&mut tar, root, lowers, limits)?;
    // The digest covers what follows the end mark, too.
    io::copy(&mut tar, &mut io::sink()).map_err(|e| Rejection::from_read(&e))?;
    let found = tar.into_inner().digest();
    if found == layer.diff_id {
        return Ok(outcome);
    }
    Err(Rejection::DiffId { expected: layer.diff_id.to_string(), found: found.to_string() }.into())
}

fn zstd(transfer: &mut TransferReader) -> io::Result<zstd::Decoder<'_, &mut TransferReader>> {
    let mut decoder = zstd::Decoder::with_buffer(transfer)?;
    decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
    Ok(decoder)
}

/// Reads the bytes of a transfer.
struct TransferReader {
    items: Receiver<TransferItem>,
    current: Bytes,
    ended: bool,
    /// Stored here, because decoders pass on only an I/O error.
    fault: Rc<RefCell<Option<TransferFault>>>,
}

enum TransferFault {
    Pull(trackyard_images::ImageError),
    /// The layer is not wanted any more.
    Cancelled,
}

impl TransferReader {
    /// Reads to the verified end, and returns the number of bytes that were left.
    fn drain(&mut self) -> io::Result<u64> {
        io::copy(self, &mut io::sink())
    }

    fn fail(&self, fault: TransferFault) -> io::Error {
        self.fault.borrow_mut().get_or_insert(fault);
        io::Error::other("the transfer failed")
    }
}

impl BufRead for TransferReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            match self.items.blocking_recv() {
                Some(Some(Ok(bytes))) => self.current = bytes,
                Some(Some(Err(error))) => return Err(self.fail(TransferFault::Pull(error))),
                Some(None) => self.ended = true,
                None => return Err(self.fail(TransferFault::Cancelled)),
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, count: usize) {
        self.current.advance(count.min(self.current.len()));
    }
}

impl Read for TransferReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// Hashes the tar stream, and fails when it is longer than allowed.
struct HashingReader<R> {
    source: R,
    hasher: Sha256,
    left: u64,
    rejection: Rejection,
}

impl<R: Read> HashingReader<R> {
    fn new(source: R, transferred: u64, limits: &LayerLimits) -> Self {
        let by_ratio = transferred.saturating_mul(limits.ratio).max(limits.ratio_from);
        let rejection = if by_ratio < limits.bytes {
            Rejection::Ratio(limits.ratio)
        } else {
            Rejection::Size(limits.bytes)
        };
        Self { source, hasher: Sha256::new(), left: by_ratio.min(limits.bytes), rejection }
    }

    fn digest(self) -> Digest {
        Digest::from_sha256(&self.hasher.finalize().into())
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let left = u64::try_from(count).ok().and_then(|count| self.left.checked_sub(count));
        self.left = left.ok_or_else(|| io::Error::other(self.rejection.clone()))?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
