//! Makes tar streams, unpacks them, and shows directories as text.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::store::unpack::tree::is_opaque;
use crate::store::unpack::{LayerLimits, UnpackError, UnpackOutcome, unpack};

/// A tar stream, entry by entry. Names are written as given, however bad.
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

    /// Extended headers for the next entry.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let one = |(key, value): &(&str, &[u8])| {
            let body = [format!(" {key}=").as_bytes(), value, b"\n"].concat();
            let fits = |n: &usize| n.to_string().len() + body.len() == *n;
            let length = (body.len()..).find(fits).unwrap();
            [length.to_string().as_bytes(), &body].concat()
        };
        let data: Vec<u8> = records.iter().flat_map(one).collect();
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

    /// With the end mark.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

pub(crate) fn open(path: &Path) -> OwnedFd {
    require_root();
    File::open(path).unwrap().into()
}

/// Owners and overlayfs's marks are root's to set.
pub(crate) fn require_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test needs root: run `make test`, which uses sudo for it"
    );
}

/// Unpacks into the new directory `root`; `lowers` from the top.
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

/// One line per node, sorted: kind, name, and what matters of it.
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

/// The value of an extended attribute.
pub(crate) fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 256];
    let length = rustix::fs::lgetxattr(path.as_os_str().as_bytes(), name, &mut value).ok()?;
    value.truncate(length);
    Some(value)
}
