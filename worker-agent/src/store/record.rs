//! Records of complete images. One is written last, so what it names is there.

use std::fs::{self, File};
use std::io::Write;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use trackyard_protocol::version::Digest;

use super::dirs::{self, Dirs};
use super::error::StoreError;

/// What is needed to run an image without asking where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The layers' names, from the bottom to the top.
    pub(crate) layers: Vec<String>,
    /// `NAME=value` each.
    pub(crate) env: Vec<String>,
}

/// The record of an image, if it and all its layers are there.
pub(crate) fn read(dirs: &Dirs, digest: &Digest) -> Option<Record> {
    let text = fs::read(dirs.at(&dirs::image(digest))).ok()?;
    let record: Record = serde_json::from_slice(&text).ok()?;
    let present = |name: &String| is_layer(name) && dirs.has(name);
    (!record.layers.is_empty() && record.layers.iter().all(present)).then_some(record)
}

/// All images that have a record.
pub(crate) fn digests(dirs: &Dirs) -> Result<Vec<Digest>, StoreError> {
    let names = dirs.names("images")?;
    let digest = |name: &String| Digest::from_str(&format!("sha256:{}", name.strip_suffix(".json")?)).ok();
    Ok(names.iter().filter_map(digest).collect())
}

/// Writes a record so that a crash leaves all of it or nothing.
pub(crate) fn write(dirs: &Dirs, digest: &Digest, record: &Record) -> Result<(), StoreError> {
    let staged = dirs.stage();
    let write = || {
        let mut file = File::create(&staged)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        file.sync_all()?;
        fs::rename(&staged, dirs.at(&dirs::image(digest)))
    };
    write().map_err(StoreError::io(format!("writing the record of {digest}")))?;
    dirs.sync("images")
}

fn is_layer(name: &str) -> bool {
    let hex = name.strip_prefix("layers/").or_else(|| name.strip_prefix("chained/"));
    hex.is_some_and(|hex| Digest::from_str(&format!("sha256:{hex}")).is_ok())
}
