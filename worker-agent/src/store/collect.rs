//! Removes what no deployed version and no running job needs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use trackyard_protocol::version::Digest;

use super::error::StoreError;
use super::{Inner, Store, dirs, record};

impl Store {
    /// Removes all images but those of `keep` and those in use, then all layers that no remaining image has. Gives
    /// the images that it removed.
    ///
    /// # Errors
    /// When something cannot be removed; what was not removed is tried again the next time.
    pub async fn collect(&self, keep: &[Digest]) -> Result<Vec<Digest>, StoreError> {
        let (inner, keep) = (Arc::clone(&self.inner), keep.iter().cloned().collect());
        let work = tokio::task::spawn_blocking(move || {
            let (gone, trash) = sweep(&inner, &keep)?;
            for path in trash {
                dirs::remove(&path).map_err(StoreError::io(format!("removing {}", path.display())))?;
            }
            Ok(gone)
        });
        work.await.map_err(|e| StoreError::Io { what: "collecting".to_owned(), source: e.into() })?
    }
}

/// Moves what is not needed out of the way. No lease is given meanwhile, and moving is quick; the removing is not.
fn sweep(inner: &Inner, keep: &BTreeSet<Digest>) -> Result<(Vec<Digest>, Vec<PathBuf>), StoreError> {
    let leases = inner.leases.freeze();
    let mut gone = Vec::new();
    let mut needed = BTreeSet::new();
    for digest in record::digests(&inner.dirs)? {
        let name = dirs::image(&digest);
        let is_needed = keep.contains(&digest) || leases.holds(&name);
        match record::read(&inner.dirs, &digest).filter(|_| is_needed) {
            Some(record) => needed.extend(record.layers),
            None => {
                let path = inner.dirs.at(&name);
                dirs::remove(&path).map_err(StoreError::io(format!("removing {}", path.display())))?;
                gone.push(digest);
            }
        }
    }
    let mut trash = Vec::new();
    for dir in ["layers", "chained"] {
        for name in inner.dirs.names(dir)? {
            let name = format!("{dir}/{name}");
            if !needed.contains(&name) && !leases.holds(&name) {
                let away = inner.dirs.stage();
                fs::rename(inner.dirs.at(&name), &away)
                    .map_err(StoreError::io(format!("removing {name}")))?;
                trash.push(away);
            }
        }
    }
    Ok((gone, trash))
}
