//! From the archive that img writes to the directory of an image layout.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path};

/// Unpacks plain files and directories; anything else in an image layout is refused.
pub(super) fn unpack(archive: &Path, into: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(File::open(archive)?);
    fs::create_dir_all(into)?;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let kind = entry.header().entry_type();
        if !plain || !(kind.is_file() || kind.is_dir()) {
            return Err(io::Error::other(format!(
                "the archive has {}, which no image layout has",
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
