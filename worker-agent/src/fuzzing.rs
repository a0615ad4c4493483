//! Doors for the fuzz targets in `fuzz/`; no part of what the worker is made of. Each is what reads or decides about
//! bytes from outside, with its crate-private types left out.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use bytes::Bytes;
use tokio::sync::mpsc;
use trackyard_images::Layer;
use trackyard_protocol::limits::Limits;

use crate::input::plan::Plan;
use crate::sandbox::Entry;
use crate::sandbox::spec::Container;
use crate::{input, sandbox, store};

/// Unpacks a tar stream into `root`, on top of `lowers` from the top; true if it had to look at them.
///
/// # Errors
/// If it is refused, or the machine fails.
pub fn unpack(
    tar: &[u8],
    root: OwnedFd,
    lowers: Vec<OwnedFd>,
    limits: &store::Limits,
) -> Result<bool, store::Error> {
    let outcome = store::unpack::unpack(tar, root, Some(lowers), limits);
    outcome.map(|outcome| outcome.asked_lower).map_err(|error| store::Error::from_unpack("it", error))
}

/// Decompresses and unpacks a layer that comes in chunks of `chunk` bytes, as from a registry.
///
/// # Errors
/// If it is refused, or the machine fails.
pub fn layer(
    bytes: &[u8],
    chunk: usize,
    layer: &Layer,
    root: OwnedFd,
    limits: &store::Limits,
) -> Result<(), store::Error> {
    let chunks = bytes.chunks(chunk.max(1)).map(|chunk| Some(Ok(Bytes::copy_from_slice(chunk))));
    let messages: Vec<_> = chunks.chain([None]).collect();
    let (sender, receiver) = mpsc::channel(messages.len());
    for message in messages {
        // There is room for all of them.
        drop(sender.try_send(message));
    }
    store::decode::run(receiver, layer, root, Some(Vec::new()), limits).map(drop)
}

/// The files that a job left in `dir`, as far as they are taken.
#[must_use]
pub fn collect(dir: BorrowedFd<'_>, entry: Entry, limits: &Limits) -> BTreeMap<String, Vec<u8>> {
    sandbox::collect::collect(dir, entry, limits).files
}

/// The configuration that `runc` reads, for a job with these words, environment and limits.
///
/// # Errors
/// If it cannot be made.
pub fn spec(
    argv: Vec<String>,
    working_dir: &str,
    env: &[String],
    limits: &Limits,
) -> io::Result<serde_json::Value> {
    let spec = sandbox::spec::spec(&Container {
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

/// The files of a submission, by a listing of paths and sizes.
///
/// # Errors
/// If a path is not safe, or it is too much.
pub fn plan(caps: input::Caps, listing: &[(&str, u64)]) -> Result<Vec<String>, input::Error> {
    let mut plan = Plan::new(caps);
    listing.iter().try_for_each(|(path, size)| plan.add(path, *size))?;
    plan.finish(|| "it".to_owned())
}
