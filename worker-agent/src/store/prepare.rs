//! Makes an image complete: fetches the layers that are missing, and only those.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use trackyard_images::Images;
use trackyard_protocol::version::Digest;

use super::decode::Unpacked;
use super::error::StoreError;
use super::flight::{Flight, Other};
use super::record::{self, Record};
use super::stack::{Stacked, stack};
use super::transfer::{Transferred, transfer};
use super::{Inner, PARALLEL_LAYERS, PreparedImage, Store, dirs};

/// One layer that is fetched here and now.
struct Claim<'a> {
    stacked: &'a Stacked,
    /// The layers below, from the top, for a layer that needs them.
    lowers: Option<Vec<std::path::PathBuf>>,
    _flight: Flight,
}

impl Store {
    /// The image of `digest`, ready to run. Nobody is asked if it is complete already; else only what is missing is
    /// fetched, and what another call is fetching is waited for.
    ///
    /// # Errors
    /// When the image cannot be pulled, breaks a rule, or the machine fails. Layers that are complete stay.
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
        // From here on nothing that is found present goes away.
        let lease = self.inner.leases.take(names.chain([dirs::image(digest)]));
        let layers = self.complete_layers(images, repository, &stack).await?;
        let record = Record { layers, env: image.env };
        let inner = Arc::clone(&self.inner);
        let (key, written) = (digest.clone(), record.clone());
        blocking(move || record::write(&inner.dirs, &key, &written)).await?;
        Ok(self.prepared(digest, record, lease))
    }

    /// The names of all layers, once they are all here.
    async fn complete_layers(
        &self,
        images: &Images,
        repository: &str,
        stack: &[Stacked],
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
                // All have come since they were looked for.
                Err(None) => {}
            }
        }
    }

    /// What to fetch next, or whom to wait for. A layer is first tried on its own. Those that turned out to need the
    /// layers below follow when all others are here, the lowest first.
    fn claim<'a>(
        &self,
        stack: &'a [Stacked],
        need_lower: &BTreeSet<String>,
    ) -> Result<Vec<Claim<'a>>, Option<Other>> {
        let here = &self.inner.dirs;
        let missing = || stack.iter().enumerate().filter(|(_, s)| s.present(here).is_none());
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
            let lowers = below.filter_map(|s| s.present(here)).map(|name| here.at(name)).collect();
            match self.inner.flights.claim(&stacked.chained) {
                Ok(flight) => claims.push(Claim { stacked, lowers: Some(lowers), _flight: flight }),
                Err(taken) => other = Some(taken),
            }
        }
        // What came between looking and claiming is not fetched again.
        claims.retain(|claim| claim.stacked.present(here).is_none());
        if claims.is_empty() { Err(other) } else { Ok(claims) }
    }

    /// Fetches all claims, the largest first. Gives the layers that turned out to need those below. Whatever was
    /// unpacked is kept, even if another layer fails.
    async fn fetch(
        &self,
        images: &Images,
        repository: &str,
        mut claims: Vec<Claim<'_>>,
    ) -> Result<Vec<String>, StoreError> {
        claims.sort_by_key(|claim| std::cmp::Reverse(claim.stacked.layer.size));
        let futures: Vec<_> = claims.iter().map(|claim| self.fetch_one(images, repository, claim)).collect();
        let mut running = stream::iter(futures).buffer_unordered(PARALLEL_LAYERS);
        let (mut done, mut need_lower, mut error) = (Vec::new(), Vec::new(), None);
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
        let (inner, targets) = (Arc::clone(&self.inner), targets.collect());
        blocking(move || publish(&inner, targets)).await?;
        error.map_or(Ok(need_lower), Err)
    }

    async fn fetch_one(
        &self,
        images: &Images,
        repository: &str,
        claim: &Claim<'_>,
    ) -> Result<(String, Transferred), StoreError> {
        let closed =
            |_| StoreError::Io { what: "waiting for a turn".to_owned(), source: io::ErrorKind::Other.into() };
        let turn = Arc::clone(&self.inner.slots).acquire_owned().await.map_err(closed)?;
        let layer = claim.stacked.layer.clone();
        let blob = images.blob(repository, &layer)?;
        let (path, limits) = (self.inner.dirs.stage(), self.inner.limits.clone());
        let transferred = transfer(blob, layer, path, claim.lowers.clone(), limits, turn).await?;
        Ok((claim.stacked.own.clone(), transferred))
    }
}

/// Brings finished layers into place: all is on the disk before the first gets its name.
fn publish(inner: &Inner, targets: Vec<(String, super::transfer::Staged)>) -> Result<(), StoreError> {
    let Some((_, first)) = targets.first() else { return Ok(()) };
    let file_system = File::open(&first.path).map_err(StoreError::io("opening a layer"))?;
    rustix::fs::syncfs(&file_system).map_err(|e| StoreError::io("syncing the layers")(e.into()))?;
    for (name, staged) in targets {
        match fs::rename(&staged.path, inner.dirs.at(&name)) {
            Ok(()) => {}
            // The same layer came by another image's way; ours is removed.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && inner.dirs.has(&name) => {}
            Err(error) => return Err(StoreError::io(format!("moving {name} into place"))(error)),
        }
    }
    inner.dirs.sync("layers")?;
    inner.dirs.sync("chained")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| StoreError::Io { what: "working on the store".to_owned(), source: error.into() })?
}
