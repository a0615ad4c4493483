//! Entry points for the fuzz targets in `fuzz/`; the worker does not use them. Each reads or judges bytes from outside,
//! and hides the crate's private types.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use bytes::Bytes;
use tokio::sync::mpsc;
use trackyard_images::Layer;
use trackyard_protocol::limits::Limits;

use crate::input::plan::InputPlan;
use crate::sandbox::EntryScript;
use crate::sandbox::spec::ContainerParams;
use crate::{input, sandbox, store};

/// Unpacks a tar stream into `root`. `lowers` are the layers below, from the top. Returns true if they were used.
///
/// # Errors
/// When the stream is refused, or the machine fails.
pub fn unpack(
    tar: &[u8],
    root: OwnedFd,
    lowers: Vec<OwnedFd>,
    limits: &store::LayerLimits,
) -> Result<bool, store::StoreError> {
    let outcome = store::unpack::unpack(tar, root, Some(lowers), limits);
    outcome.map(|outcome| outcome.used_lower).map_err(|error| store::StoreError::from_unpack("it", error))
}

/// Decompresses and unpacks a layer that arrives in chunks of `chunk` bytes, as from a registry.
///
/// # Errors
/// When the layer is refused, or the machine fails.
pub fn layer(
    bytes: &[u8],
    chunk: usize,
    layer: &Layer,
    root: OwnedFd,
    limits: &store::LayerLimits,
) -> Result<(), store::StoreError> {
    let chunks = bytes.chunks(chunk.max(1)).map(|chunk| Some(Ok(Bytes::copy_from_slice(chunk))));
    let items: Vec<_> = chunks.chain([None]).collect();
    let (sender, receiver) = mpsc::channel(items.len());
    for item in items {
        // The channel has room for all of them.
        drop(sender.try_send(item));
    }
    store::decode::unpack_transfer(receiver, layer, root, Some(Vec::new()), limits).map(drop)
}

/// Collects the files that a job left in `dir`, without those that are refused.
#[must_use]
pub fn collect(dir: BorrowedFd<'_>, entry: EntryScript, limits: &Limits) -> BTreeMap<String, Vec<u8>> {
    sandbox::collect::collect(dir, entry, limits).files
}

/// Returns the configuration that `runc` reads, for a job with these arguments, environment and limits.
///
/// # Errors
/// When it cannot be made.
pub fn spec(
    argv: Vec<String>,
    working_dir: &str,
    env: &[String],
    limits: &Limits,
) -> io::Result<serde_json::Value> {
    let spec = sandbox::spec::spec(&ContainerParams {
        rootfs: Path::new("/run/trackyard/mnt/slot-0/rootfs"),
        job_dir: Path::new("/run/trackyard/mnt/slot-0/job"),
        tmp: Path::new("/run/trackyard/mnt/slot-0/tmp"),
        argv,
        working_dir,
        env,
        ids: (0x7000_0000, 65_536),
        cgroup: "trackyard-worker/slot-0/job".to_owned(),
        limits,
    })?;
    serde_json::to_value(spec).map_err(io::Error::other)
}

/// Plans the files of a submission from a listing of paths and sizes.
///
/// # Errors
/// When a path is not safe, or the submission is too large.
pub fn plan(limits: input::InputLimits, listing: &[(&str, u64)]) -> Result<Vec<String>, input::InputError> {
    let mut plan = InputPlan::new(limits);
    listing.iter().try_for_each(|(path, size)| plan.add(path, *size))?;
    plan.finish(|| "the source".to_owned())
}
