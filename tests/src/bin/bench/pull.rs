//! Measures how long a worker takes to prepare a version: first a large image, compared with `tar x` of its layers, then
//! a next version with one new layer. All on a tmpfs, because the noise of a disk is larger than the difference.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::binaries::binary;
use e2e::image::{Image, Layer};
use e2e::request::version;
use e2e::router::Router;
use e2e::stage::Stage;
use flate2::read::GzDecoder;

use crate::cpu;
use crate::ratio::Ratio;
use crate::sample_image;

const ROUNDS: usize = 5;

/// The measurements.
pub(crate) struct PullResult {
    /// Wall time of pull and unpack, with the worker's start and bootstrap, divided by that of `tar x`.
    pub(crate) unpack: Ratio,
    /// The worker's peak resident memory in bytes, the maximum of all rounds.
    pub(crate) memory: u64,
    /// The size of the gzipped image in bytes.
    pub(crate) gzipped: usize,
    /// The size of the image's tars in bytes.
    pub(crate) tars: u64,
    /// The maximum time for the next version, with the worker's start and bootstrap.
    pub(crate) next: Duration,
}

/// Measures everything.
pub(crate) fn measure() -> io::Result<PullResult> {
    let stage = Stage::new();
    let layers = sample_image::layers();
    let last = Layer::of(&[("opt/test-runner/bin/run.sh", 0o755, b"#!/bin/sh\n")]);
    let next = Layer::of(&[("opt/test-runner/bin/run.sh", 0o755, b"#!/bin/sh\nexit 0\n")]);
    for (digit, top) in [('1', last), ('2', next)] {
        let image = layers.iter().cloned().chain([top]).fold(Image::bare(), Image::layer);
        stage.images().add("ruby-test-runner", &version(digit), &image);
    }
    let tars = decompress(&layers, stage.dir())?;
    let first = Router::start(&stage.config().deployed("test_runners", "ruby", &[&version('1')]));
    let both =
        Router::start(&stage.config().deployed("test_runners", "ruby", &[&version('1'), &version('2')]));
    let mut ratios = Vec::new();
    let mut memory = 0;
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        let dir = tempfile::Builder::new().prefix("trackyard-bench").tempdir_in("/dev/shm")?;
        let untar_time = untar(&tars, &dir.path().join("tar"))?;
        let work = dir.path().join("work");
        let (pull_time, peak) = configure(&first, &work, round)?;
        let (upgrade_time, _) = configure(&both, &work, round)?;
        ratios.push(pull_time.as_secs_f64() / untar_time.as_secs_f64());
        memory = memory.max(peak);
        slowest = slowest.max(upgrade_time);
    }
    let gzipped = layers.iter().map(|layer| layer.blob.len()).sum();
    let tars = tars.iter().map(|tar| Ok(fs::metadata(tar)?.len())).sum::<io::Result<u64>>()?;
    Ok(PullResult { unpack: Ratio::of(ratios.into_iter()), memory, gzipped, tars, next: slowest })
}

fn decompress(layers: &[Arc<Layer>], dir: &Path) -> io::Result<Vec<PathBuf>> {
    let unpack = |(index, layer): (usize, &Arc<Layer>)| {
        let path = dir.join(format!("{index}.tar"));
        io::copy(&mut GzDecoder::new(layer.blob.as_slice()), &mut fs::File::create(&path)?)?;
        Ok(path)
    };
    layers.iter().enumerate().map(unpack).collect()
}

fn untar(tars: &[PathBuf], into: &Path) -> io::Result<Duration> {
    fs::create_dir_all(into)?;
    let start = Instant::now();
    for tar in tars {
        let status = Command::new("tar").arg("xf").arg(tar).arg("-C").arg(into).status()?;
        if !status.success() {
            return Err(io::Error::other("tar failed"));
        }
    }
    let elapsed = start.elapsed();
    fs::remove_dir_all(into)?;
    Ok(elapsed)
}

/// Prepares every deployed version. Returns the wall time and the worker's peak resident memory.
fn configure(router: &Router, work: &Path, round: usize) -> io::Result<(Duration, u64)> {
    let url = format!("{}/test_runners", router.clients());
    let start = Instant::now();
    let mut worker = Command::new(binary("trackyard-worker"))
        .args(["configure", &format!("bench-{round}"), &url])
        .arg(work)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut peak = 0;
    let status = loop {
        peak = cpu::peak_memory(worker.id()).unwrap_or(peak).max(peak);
        match worker.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    if !status.success() {
        return Err(io::Error::other(format!("trackyard-worker configure: {status}")));
    }
    Ok((start.elapsed(), peak))
}
