//! Makes an image complete: fetches the missing layers, and only those.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use trackyard_images::Images;
use trackyard_protocol::version::Digest;

use super::decode::Unpacked;
use super::error::StoreError;
use super::flight::{Flight, OtherFlight};
use super::record::{self, Record};
use super::stack::{StackedLayer, stack};
use super::transfer::{Transferred, transfer};
use super::{Inner, MAX_PARALLEL_LAYERS, PreparedImage, Store, dirs};

/// A layer that this call fetches.
struct Claim<'a> {
    stacked: &'a StackedLayer,
    /// The layers below, from the top, if the layer needs them.
    lowers: Option<Vec<std::path::PathBuf>>,
    _flight: Flight,
}

impl Store {
    /// Makes an image ready to run. Only missing layers are fetched; layers that another call is fetching are awaited.
    /// No request is sent if the image is complete already.
    ///
    /// # Errors
    /// When the image cannot be pulled, breaks a rule, or the machine fails. Complete layers stay.
    pub async fn prepare(
        &self,
        images: &Images,
        repository: &str,
        digest: &Digest,
    ) -> Result<PreparedImage, StoreError> {
        if let Some(prepared) = self.get(digest) {
            return Ok(prepared);
        }
        let image = images.manifest(repository, digest).await?;
        let limit = self.inner.limits.bytes;
        if image.total_size > limit {
            return Err(StoreError::ImageSize { size: image.total_size, limit });
        }
        let stack = stack(&image.layers);
        let names = stack.iter().flat_map(|s| [s.own.clone(), s.chained.clone()]);
        // From here on nothing that is found present is removed.
        let lease = self.inner.leases.take(names.chain([dirs::image(digest)]));
        let layers = self.complete_layers(images, repository, &stack).await?;
        let record = Record { layers, env: image.env };
        let inner = Arc::clone(&self.inner);
        let key = digest.clone();
        let written = record.clone();
        blocking(move || record::write(&inner.dirs, &key, &written)).await?;
        Ok(self.prepared(digest, record, lease))
    }

    /// Fetches until all layers are present, and returns their names.
    async fn complete_layers(
        &self,
        images: &Images,
        repository: &str,
        stack: &[StackedLayer],
    ) -> Result<Vec<String>, StoreError> {
        let mut need_lower = BTreeSet::new();
        loop {
            let present: Option<Vec<_>> = stack.iter().map(|s| s.present(&self.inner.dirs)).collect();
            if let Some(names) = present {
                return Ok(names.into_iter().map(str::to_owned).collect());
            }
            match self.claim(stack, &need_lower) {
                Ok(claims) => need_lower.extend(self.fetch(images, repository, claims).await?),
                Err(Some(other)) => other.ended().await,
                // All layers have arrived since the check above.
                Err(None) => {}
            }
        }
    }

    /// Claims what to fetch next, or returns the flight to wait for. A layer is first tried on its own. Layers that
    /// turned out to need those below follow when all others are present, the lowest first.
    fn claim<'a>(
        &self,
        stack: &'a [StackedLayer],
        need_lower: &BTreeSet<String>,
    ) -> Result<Vec<Claim<'a>>, Option<OtherFlight>> {
        let dirs = &self.inner.dirs;
        let missing = || stack.iter().enumerate().filter(|(_, s)| s.present(dirs).is_none());
        let mut claims = Vec::new();
        let mut other = None;
        for (_, stacked) in missing().filter(|(_, s)| !need_lower.contains(&s.own)) {
            match self.inner.flights.claim(&stacked.own) {
                Ok(flight) => claims.push(Claim { stacked, lowers: None, _flight: flight }),
                Err(taken) => other = Some(taken),
            }
        }
        if claims.is_empty()
            && other.is_none()
            && let Some((at, stacked)) = missing().next()
        {
            let below = stack.get(..at).unwrap_or_default().iter().rev();
            let lowers = below.filter_map(|s| s.present(dirs)).map(|name| dirs.path(name)).collect();
            match self.inner.flights.claim(&stacked.chained) {
                Ok(flight) => claims.push(Claim { stacked, lowers: Some(lowers), _flight: flight }),
                Err(taken) => other = Some(taken),
            }
        }
        // A layer may have arrived between the check and the claim.
        claims.retain(|claim| claim.stacked.present(dirs).is_none());
        if claims.is_empty() { Err(other) } else { Ok(claims) }
    }

    /// Fetches all claims, the largest first. Returns the layers that turned out to need those below. Unpacked layers
    /// are kept, even if another one fails.
    async fn fetch(
        &self,
        images: &Images,
        repository: &str,
        mut claims: Vec<Claim<'_>>,
    ) -> Result<Vec<String>, StoreError> {
        claims.sort_by_key(|claim| std::cmp::Reverse(claim.stacked.layer.size));
        let futures: Vec<_> = claims.iter().map(|claim| self.fetch_one(images, repository, claim)).collect();
        let mut running = stream::iter(futures).buffer_unordered(MAX_PARALLEL_LAYERS);
        let mut done = Vec::new();
        let mut need_lower = Vec::new();
        let mut error = None;
        while let Some(result) = running.next().await {
            match result {
                Ok((own, Transferred { unpacked: Unpacked::NeedsLower, .. })) => need_lower.push(own),
                Ok((own, Transferred { staged, unpacked: Unpacked::Done(outcome) })) => {
                    done.push((own, staged, outcome));
                }
                Err(failed) => {
                    error = Some(failed);
                    break;
                }
            }
        }
        drop(running);
        let targets = done.into_iter().map(|(own, staged, outcome)| {
            let claim = claims.iter().find(|claim| claim.stacked.own == own);
            let chained = claim.filter(|_| outcome.used_lower).map(|claim| claim.stacked.chained.clone());
            (chained.unwrap_or(own), staged)
        });
        let inner = Arc::clone(&self.inner);
        let targets = targets.collect();
        blocking(move || publish(&inner, targets)).await?;
        error.map_or(Ok(need_lower), Err)
    }

    async fn fetch_one(
        &self,
        images: &Images,
        repository: &str,
        claim: &Claim<'_>,
    ) -> Result<(String, Transferred), StoreError> {
        let closed = |_| StoreError::Io {
            what: "wait to unpack a layer".to_owned(),
            source: io::ErrorKind::Other.into(),
        };
        let permit = Arc::clone(&self.inner.unpacking).acquire_owned().await.map_err(closed)?;
        let layer = claim.stacked.layer.clone();
        let blob = images.blob(repository, &layer)?;
        let path = self.inner.dirs.staging_path();
        let limits = self.inner.limits.clone();
        let transferred = transfer(blob, layer, path, claim.lowers.clone(), limits, permit).await?;
        Ok((claim.stacked.own.clone(), transferred))
    }
}

/// Moves finished layers into place. All are synced to disk before the first gets its name.
fn publish(inner: &Inner, targets: Vec<(String, super::transfer::Staged)>) -> Result<(), StoreError> {
    let Some((_, first)) = targets.first() else { return Ok(()) };
    let file_system = File::open(&first.path).map_err(StoreError::io("open a layer"))?;
    rustix::fs::syncfs(&file_system).map_err(|e| StoreError::io("sync the layers")(e.into()))?;
    for (name, staged) in targets {
        match fs::rename(&staged.path, inner.dirs.path(&name)) {
            Ok(()) => {}
            // Another image brought the same layer. Ours is removed.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && inner.dirs.has(&name) => {}
            Err(error) => return Err(StoreError::io(format!("move {name} into place"))(error)),
        }
    }
    inner.dirs.sync("layers")?;
    inner.dirs.sync("chained")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| StoreError::Io { what: "work on the store".to_owned(), source: error.into() })?
}
