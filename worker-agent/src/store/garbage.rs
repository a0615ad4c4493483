//! Removes images and layers that no deployed version and no running job needs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use trackyard_protocol::version::Digest;

use super::error::StoreError;
use super::{Inner, Store, dirs, record};

impl Store {
    /// Removes all images except those in `keep` and those in use, then all layers that no remaining image has. Returns
    /// the removed images.
    ///
    /// # Errors
    /// When something cannot be removed. The next call tries again.
    pub async fn collect_garbage(&self, keep: &[Digest]) -> Result<Vec<Digest>, StoreError> {
        let inner = Arc::clone(&self.inner);
        let keep = keep.iter().cloned().collect();
        let work = tokio::task::spawn_blocking(move || {
            let (removed, trash) = sweep(&inner, &keep)?;
            for path in trash {
                dirs::remove(&path).map_err(StoreError::io(format!("remove {}", path.display())))?;
            }
            Ok(removed)
        });
        work.await.map_err(|e| StoreError::Io { what: "collect garbage".to_owned(), source: e.into() })?
    }
}

/// Moves unneeded layers to the staging directory, and returns the removed images and those layers. No lease can be
/// taken meanwhile, so only quick renames are done here; the caller removes the layers.
fn sweep(inner: &Inner, keep: &BTreeSet<Digest>) -> Result<(Vec<Digest>, Vec<PathBuf>), StoreError> {
    let leases = inner.leases.freeze();
    let mut removed = Vec::new();
    let mut needed = BTreeSet::new();
    for digest in record::digests(&inner.dirs)? {
        let name = dirs::image(&digest);
        let is_needed = keep.contains(&digest) || leases.has(&name);
        match record::read(&inner.dirs, &digest).filter(|_| is_needed) {
            Some(record) => needed.extend(record.layers),
            None => {
                let path = inner.dirs.path(&name);
                dirs::remove(&path).map_err(StoreError::io(format!("remove {}", path.display())))?;
                removed.push(digest);
            }
        }
    }
    let mut trash = Vec::new();
    for dir in ["layers", "chained"] {
        for name in inner.dirs.names(dir)? {
            let name = format!("{dir}/{name}");
            if !needed.contains(&name) && !leases.has(&name) {
                let staged = inner.dirs.staging_path();
                fs::rename(inner.dirs.path(&name), &staged)
                    .map_err(StoreError::io(format!("remove {name}")))?;
                trash.push(staged);
            }
        }
    }
    Ok((removed, trash))
}
