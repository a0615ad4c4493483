//! The tar format. Blocks are walked here, because the tar library reads extended headers of any size into memory;
//! its header type reads the fields.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use super::limits::LayerLimits;
use super::pax::{Extension, Xattrs};
use super::rejection::{Rejection, shown};

const BLOCK: usize = 512;

/// One entry, with its extended headers applied. Names are as written: not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    pub(crate) mtime: (i64, u32),
    pub(crate) xattrs: Xattrs,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Dir,
    Symlink(Vec<u8>),
    Hardlink(Vec<u8>),
}

/// Reads entries in turn. As a reader it gives the current entry's data.
pub(crate) struct Archive<'a, R> {
    source: R,
    limits: &'a LayerLimits,
    entries: u64,
    /// Bytes of extended headers held for the next entry.
    held: u64,
    /// What is left of the current entry's data, and of the filling after it.
    data: u64,
    filling: u64,
}

impl<'a, R: BufRead> Archive<'a, R> {
    pub(crate) const fn new(source: R, limits: &'a LayerLimits) -> Self {
        Self { source, limits, entries: 0, held: 0, data: 0, filling: 0 }
    }

    /// The next entry; `None` at the end mark, or where the stream ends between two entries.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry>, Rejection> {
        let mut extension = Extension::default();
        self.held = 0;
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                return if extension.is_empty() { Ok(None) } else { Err(Rejection::Truncated) };
            };
            match header.entry_type().as_byte() {
                b'x' => {
                    let records = self.small(&header)?;
                    extension.add(&records)?;
                }
                b'g' => self.expect(size(&header)?)?,
                b'L' => extension.path = Some(until_nul(self.small(&header)?)),
                b'K' => extension.link = Some(until_nul(self.small(&header)?)),
                _ => return self.entry(&header, extension).map(Some),
            }
        }
    }

    fn entry(&mut self, header: &tar::Header, extension: Extension) -> Result<Entry, Rejection> {
        let field = |_| Rejection::Tar("a malformed number in a header");
        let name = extension.path.unwrap_or_else(|| header.path_bytes().into_owned());
        if extension.sparse || header.entry_type().as_byte() == b'S' {
            return Err(Rejection::Sparse(shown(&name)));
        }
        let link =
            extension.link.or_else(|| header.link_name_bytes().map(Cow::into_owned)).unwrap_or_default();
        let kind = kind(header.entry_type().as_byte(), &name, link)?;
        if kind == Kind::File || header.entry_type().as_byte() == 0 {
            self.expect(extension.size.map_or_else(|| size(header), Ok)?)?;
        }
        let uid = extension.uid.map_or_else(|| header.uid().map_err(field), Ok)?;
        let gid = extension.gid.map_or_else(|| header.gid().map_err(field), Ok)?;
        let seconds = || header.mtime().ok().and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(0);
        Ok(Entry {
            name,
            kind,
            mode: header.mode().map_err(field)? & 0o7777,
            owner: (uid, gid),
            mtime: extension.mtime.unwrap_or_else(|| (seconds(), 0)),
            xattrs: extension.xattrs,
        })
    }

    /// The next header; `None` at the end. Counts it.
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

    /// The data of an extended header.
    fn small(&mut self, header: &tar::Header) -> Result<Vec<u8>, Rejection> {
        let size = size(header)?;
        self.held = self.held.saturating_add(size);
        if self.held > self.limits.header {
            return Err(Rejection::Tar("extended headers that are too large"));
        }
        self.expect(size)?;
        let mut data = Vec::new();
        self.read_to_end(&mut data).map_err(|e| Rejection::from_read(&e))?;
        Ok(data)
    }

    fn expect(&mut self, size: u64) -> Result<(), Rejection> {
        self.data = size;
        let filled = size.checked_next_multiple_of(512).ok_or(Rejection::Size(self.limits.bytes))?;
        self.filling = filled - size;
        if size > self.limits.bytes { Err(Rejection::Size(self.limits.bytes)) } else { Ok(()) }
    }

    /// To the next header.
    fn skip(&mut self) -> Result<(), Rejection> {
        let left = self.data + self.filling;
        (self.data, self.filling) = (0, 0);
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

fn kind(byte: u8, name: &[u8], link: Vec<u8>) -> Result<Kind, Rejection> {
    match byte {
        // The oldest tar files have no type for directories.
        0 if name.ends_with(b"/") => Ok(Kind::Dir),
        0 | b'0' | b'7' => Ok(Kind::File),
        b'1' => Ok(Kind::Hardlink(link)),
        b'2' => Ok(Kind::Symlink(link)),
        b'3' | b'4' => Err(Rejection::Device(shown(name))),
        b'5' => Ok(Kind::Dir),
        b'6' => Err(Rejection::Fifo(shown(name))),
        other => Err(Rejection::EntryType(shown(name), other)),
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

/// The sum of all bytes, those of the checksum itself taken as spaces.
fn checksum(header: &[u8; BLOCK]) -> u32 {
    let is_own = |at: usize| (148..156).contains(&at);
    header.iter().enumerate().map(|(at, b)| if is_own(at) { 32 } else { u32::from(*b) }).sum()
}
