//! Parses the tar format. Blocks are read here, because the tar library reads extended headers of any size into memory.
//! Its header type parses the fields.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use super::LayerLimits;
use super::pax::{Extension, Xattrs};
use super::rejection::{Rejection, quoted};

const BLOCK_BYTES: usize = 512;

/// One entry, with its extended headers applied. Names are as written, and not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: EntryKind,
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    pub(crate) mtime: (i64, u32),
    pub(crate) xattrs: Xattrs,
}

/// The kind of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Dir,
    Symlink(Vec<u8>),
    Hardlink(Vec<u8>),
}

/// Reads entries, one after the other. As a reader it returns the current entry's data.
pub(crate) struct Archive<'a, R> {
    source: R,
    limits: &'a LayerLimits,
    entries: u64,
    /// Bytes of extended headers in memory for the next entry.
    header_bytes: u64,
    /// Bytes left of the current entry's data.
    data: u64,
    /// Bytes left of the padding after the data.
    padding: u64,
}

impl<'a, R: BufRead> Archive<'a, R> {
    pub(crate) const fn new(source: R, limits: &'a LayerLimits) -> Self {
        Self { source, limits, entries: 0, header_bytes: 0, data: 0, padding: 0 }
    }

    /// Reads the next entry. Returns `None` at the end mark, or if the stream ends between two entries.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry>, Rejection> {
        let mut extension = Extension::default();
        self.header_bytes = 0;
        loop {
            self.skip_data()?;
            let Some(header) = self.header()? else {
                return if extension.is_empty() { Ok(None) } else { Err(Rejection::Truncated) };
            };
            match header.entry_type().as_byte() {
                b'x' => {
                    let records = self.extended_header(&header)?;
                    extension.add(&records)?;
                }
                b'g' => self.start_data(size(&header)?)?,
                b'L' => extension.path = Some(until_nul(self.extended_header(&header)?)),
                b'K' => extension.link = Some(until_nul(self.extended_header(&header)?)),
                _ => return self.entry(&header, extension).map(Some),
            }
        }
    }

    fn entry(&mut self, header: &tar::Header, extension: Extension) -> Result<Entry, Rejection> {
        let malformed = |_| Rejection::Tar("a malformed number in a header");
        let name = extension.path.unwrap_or_else(|| header.path_bytes().into_owned());
        if extension.sparse || header.entry_type().as_byte() == b'S' {
            return Err(Rejection::Sparse(quoted(&name)));
        }
        let link =
            extension.link.or_else(|| header.link_name_bytes().map(Cow::into_owned)).unwrap_or_default();
        let kind = kind(header.entry_type().as_byte(), &name, link)?;
        if kind == EntryKind::File || header.entry_type().as_byte() == 0 {
            self.start_data(extension.size.map_or_else(|| size(header), Ok)?)?;
        }
        let uid = extension.uid.map_or_else(|| header.uid().map_err(malformed), Ok)?;
        let gid = extension.gid.map_or_else(|| header.gid().map_err(malformed), Ok)?;
        let seconds = header.mtime().ok().and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(0);
        Ok(Entry {
            name,
            kind,
            mode: header.mode().map_err(malformed)? & 0o7777,
            owner: (uid, gid),
            mtime: extension.mtime.unwrap_or((seconds, 0)),
            xattrs: extension.xattrs,
        })
    }

    /// Reads and counts the next header. Returns `None` at the end.
    fn header(&mut self) -> Result<Option<tar::Header>, Rejection> {
        let at_end = self.source.fill_buf().map_err(|e| Rejection::from_read(&e))?.is_empty();
        if at_end {
            return Ok(None);
        }
        let mut header = tar::Header::new_old();
        self.source.read_exact(header.as_mut_bytes()).map_err(|e| Rejection::from_read(&e))?;
        if header.as_bytes().iter().all(|b| *b == 0) {
            return Ok(None);
        }
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Rejection::Entries(self.limits.entries));
        }
        if header.cksum().ok() == Some(checksum(header.as_bytes())) {
            Ok(Some(header))
        } else {
            Err(Rejection::Tar("a header's checksum is wrong"))
        }
    }

    /// Reads the data of an extended header.
    fn extended_header(&mut self, header: &tar::Header) -> Result<Vec<u8>, Rejection> {
        let size = size(header)?;
        self.header_bytes = self.header_bytes.saturating_add(size);
        if self.header_bytes > self.limits.header {
            return Err(Rejection::Tar("extended headers that are too large"));
        }
        self.start_data(size)?;
        let mut data = Vec::new();
        self.read_to_end(&mut data).map_err(|e| Rejection::from_read(&e))?;
        Ok(data)
    }

    fn start_data(&mut self, size: u64) -> Result<(), Rejection> {
        self.data = size;
        let padded = size.checked_next_multiple_of(512).ok_or(Rejection::Size(self.limits.bytes))?;
        self.padding = padded - size;
        if size > self.limits.bytes { Err(Rejection::Size(self.limits.bytes)) } else { Ok(()) }
    }

    /// Skips to the next header.
    fn skip_data(&mut self) -> Result<(), Rejection> {
        let left = self.data + self.padding;
        self.data = 0;
        self.padding = 0;
        let skipped = io::copy(&mut self.source.by_ref().take(left), &mut io::sink());
        match skipped {
            Ok(skipped) if skipped == left => Ok(()),
            Ok(_) => Err(Rejection::Truncated),
            Err(error) => Err(Rejection::from_read(&error)),
        }
    }
}

impl<R: BufRead> Read for Archive<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.data).unwrap_or(usize::MAX));
        let Some(buffer) = buffer.get_mut(..wanted).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let read = self.source.read(buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.data -= u64::try_from(read).unwrap_or(self.data);
        Ok(read)
    }
}

fn kind(byte: u8, name: &[u8], link: Vec<u8>) -> Result<EntryKind, Rejection> {
    match byte {
        // The oldest tar format has no type for directories.
        0 if name.ends_with(b"/") => Ok(EntryKind::Dir),
        0 | b'0' | b'7' => Ok(EntryKind::File),
        b'1' => Ok(EntryKind::Hardlink(link)),
        b'2' => Ok(EntryKind::Symlink(link)),
        b'3' | b'4' => Err(Rejection::Device(quoted(name))),
        b'5' => Ok(EntryKind::Dir),
        b'6' => Err(Rejection::Fifo(quoted(name))),
        other => Err(Rejection::EntryType(quoted(name), other)),
    }
}

fn size(header: &tar::Header) -> Result<u64, Rejection> {
    header.entry_size().map_err(|_| Rejection::Tar("a malformed size in a header"))
}

fn until_nul(mut name: Vec<u8>) -> Vec<u8> {
    if let Some(end) = name.iter().position(|b| *b == 0) {
        name.truncate(end);
    }
    name
}

/// Returns the sum of all bytes, where those of the checksum itself count as spaces.
fn checksum(header: &[u8; BLOCK_BYTES]) -> u32 {
    let bytes = header.iter().enumerate();
    bytes.map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum()
}
