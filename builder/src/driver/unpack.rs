//! Unpacks the archive that img writes into an image layout directory.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path};

/// Unpacks files and directories. Anything else, which an image layout never has, is an error.
pub(super) fn unpack(archive: &Path, into: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(File::open(archive)?);
    fs::create_dir_all(into)?;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let is_beneath =
            path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let kind = entry.header().entry_type();
        if !is_beneath || !(kind.is_file() || kind.is_dir()) {
            return Err(io::Error::other(format!(
                "the archive has {}, which an image layout cannot have",
                path.display()
            )));
        }
        let target = into.join(&path);
        if kind.is_dir() {
            fs::create_dir_all(target)?;
            continue;
        }
        if let Some(dir) = target.parent() {
            fs::create_dir_all(dir)?;
        }
        io::copy(&mut entry, &mut File::create_new(target)?)?;
    }
    Ok(())
}
