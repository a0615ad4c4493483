//! Makes tar streams, unpacks them, and lists directories as text.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::store::unpack::tree::is_opaque;
use crate::store::unpack::{LayerLimits, UnpackError, UnpackOutcome, unpack};

/// Builds a tar stream, entry by entry. Names are written as given, however bad.
#[derive(Default, Clone)]
pub(crate) struct Tar(pub(crate) Vec<u8>);

impl Tar {
    pub(crate) fn entry(mut self, kind: u8, name: &str, link: &str, data: &[u8]) -> Self {
        self.push(kind, name.as_bytes(), link.as_bytes(), data, |_| {});
        self
    }

    pub(crate) fn with(mut self, kind: u8, name: &str, change: impl FnOnce(&mut tar::Header)) -> Self {
        self.push(kind, name.as_bytes(), b"", b"", change);
        self
    }

    pub(crate) fn file(self, name: &str, data: &str) -> Self {
        self.entry(b'0', name, "", data.as_bytes())
    }

    pub(crate) fn dir(self, name: &str) -> Self {
        self.entry(b'5', name, "", b"")
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(b'2', name, target, b"")
    }

    pub(crate) fn hardlink(self, name: &str, target: &str) -> Self {
        self.entry(b'1', name, target, b"")
    }

    /// Adds extended headers for the next entry.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let data: Vec<u8> = records.iter().flat_map(|(key, value)| pax_record(key, value)).collect();
        self.entry(b'x', "pax", "", &data)
    }

    pub(crate) fn push(
        &mut self,
        kind: u8,
        name: &[u8],
        link: &[u8],
        data: &[u8],
        change: impl FnOnce(&mut tar::Header),
    ) {
        let mut header = tar::Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
        old.linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(if kind == b'5' { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_size(data.len() as u64);
        change(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    /// Adds the end mark and returns the stream.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let body = [format!(" {key}=").as_bytes(), value, b"\n"].concat();
    let length = (body.len()..).find(|n| n.to_string().len() + body.len() == *n).unwrap();
    [length.to_string().as_bytes(), &body].concat()
}

pub(crate) fn open(path: &Path) -> OwnedFd {
    require_root();
    File::open(path).unwrap().into()
}

/// Asserts that this is root: only root may set owners and overlayfs's marks.
pub(crate) fn require_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test needs root: run `make test`, which uses sudo for it"
    );
}

/// Unpacks into the new directory `root`. `lowers` are given from the top.
pub(crate) fn unpack_into(
    root: &Path,
    tar: Tar,
    lowers: Option<&[&Path]>,
    limits: &LayerLimits,
) -> Result<UnpackOutcome, UnpackError> {
    fs::create_dir(root).unwrap();
    let lowers = lowers.map(|paths| paths.iter().map(|path| open(path)).collect());
    unpack(tar.finish().as_slice(), open(root), lowers, limits)
}

/// Returns a line for each node, sorted: its name, its kind and its content.
pub(crate) fn show(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    walk(root, root, &mut lines);
    lines.sort();
    lines
}

fn walk(root: &Path, dir: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let meta = fs::symlink_metadata(&path).unwrap();
        let kind = meta.file_type();
        let line = if kind.is_dir() {
            walk(root, &path, lines);
            let opaque = if is_opaque(open(&path)).unwrap() { " opaque" } else { "" };
            format!("{name}/{opaque}")
        } else if kind.is_symlink() {
            format!("{name} -> {}", fs::read_link(&path).unwrap().display())
        } else if kind.is_char_device() {
            format!("{name} whiteout {}", meta.rdev())
        } else {
            let content = fs::read(&path).unwrap();
            format!("{name}: {}", String::from_utf8_lossy(content.as_slice()))
        };
        lines.push(line);
    }
}

/// Returns the value of an extended attribute.
pub(crate) fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 256];
    let length = rustix::fs::lgetxattr(path.as_os_str().as_bytes(), name, &mut value).ok()?;
    value.truncate(length);
    Some(value)
}
