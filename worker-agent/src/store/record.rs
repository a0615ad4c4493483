//! Records of complete images. A record is written last, so what it names exists.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use trackyard_protocol::version::Digest;

use super::dirs::{self, Dirs};
use super::error::StoreError;

/// What is needed to run an image without a request to its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The layers' names, from the bottom to the top.
    pub(crate) layers: Vec<String>,
    /// The environment, each entry as `NAME=value`.
    pub(crate) env: Vec<String>,
}

/// Reads the record of an image. Returns `None` if the record or one of its layers is missing.
pub(crate) fn read(dirs: &Dirs, digest: &Digest) -> Option<Record> {
    let text = fs::read(dirs.path(&dirs::image(digest))).ok()?;
    let record: Record = serde_json::from_slice(&text).ok()?;
    let is_complete =
        !record.layers.is_empty() && record.layers.iter().all(|name| is_layer(name) && dirs.has(name));
    is_complete.then_some(record)
}

/// Returns all images that have a record.
pub(crate) fn digests(dirs: &Dirs) -> Result<Vec<Digest>, StoreError> {
    let names = dirs.names("images")?;
    let hashes = names.iter().filter_map(|name| name.strip_suffix(".json"));
    Ok(hashes.filter_map(|hash| Digest::from_str(&format!("sha256:{hash}")).ok()).collect())
}

/// Writes a record so that a crash leaves either all of it or nothing.
pub(crate) fn write(dirs: &Dirs, digest: &Digest, record: &Record) -> Result<(), StoreError> {
    write_and_rename(&dirs.staging_path(), &dirs.path(&dirs::image(digest)), record)
        .map_err(StoreError::io(format!("write the record of {digest}")))?;
    dirs.sync("images")
}

fn write_and_rename(staged: &Path, target: &Path, record: &Record) -> io::Result<()> {
    let mut file = File::create(staged)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    file.sync_all()?;
    fs::rename(staged, target)
}

fn is_layer(name: &str) -> bool {
    let hex = name.strip_prefix("layers/").or_else(|| name.strip_prefix("chained/"));
    hex.is_some_and(|hex| Digest::from_str(&format!("sha256:{hex}")).is_ok())
}
