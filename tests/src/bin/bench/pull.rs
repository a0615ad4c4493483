//! Getting a version ready: a large image, whole, against `tar x` of its layers; then a next version of which only the
//! last layer is new. All on a tmpfs, because the file system's own noise is larger than what is measured.

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

const ROUNDS: usize = 5;
const LAYERS: usize = 5;
/// Unpacked; gzipped that is some 200 MB, which is how registries tell sizes.
const IMAGE_BYTES: u64 = 545_000_000;

/// What was measured.
pub(crate) struct Pulled {
    /// Pull and unpack by `tar x`: wall time, the worker's start and bootstrap included.
    pub(crate) unpack: Ratio,
    /// The worker's most resident memory in any round, in bytes.
    pub(crate) memory: u64,
    /// The image, gzipped, in bytes.
    pub(crate) gzipped: usize,
    /// The image's tars, in bytes.
    pub(crate) tars: u64,
    /// The longest time for the next version, the worker's start and bootstrap included.
    pub(crate) next: Duration,
}

/// Measures everything.
pub(crate) fn measure() -> io::Result<Pulled> {
    let stage = Stage::new();
    let layers = layers()?;
    let last = Layer::of(&[("opt/test-runner/bin/run.sh", 0o755, b"#!/bin/sh\n")]);
    let next = Layer::of(&[("opt/test-runner/bin/run.sh", 0o755, b"#!/bin/sh\nexit 0\n")]);
    for (digit, top) in [('1', last), ('2', next)] {
        let image = layers.iter().cloned().chain([top]).fold(Image::bare(), Image::layer);
        stage.images().add("ruby-test-runner", &version(digit), &image);
    }
    let tars = plain(&layers, stage.folder())?;
    let first = Router::start(&stage.config().deployed("test_runners", "ruby", &[&version('1')]));
    let both =
        Router::start(&stage.config().deployed("test_runners", "ruby", &[&version('1'), &version('2')]));
    let (mut ratios, mut memory, mut slowest) = (Vec::new(), 0, Duration::ZERO);
    for round in 0..ROUNDS {
        let folder = tempfile::Builder::new().prefix("trackyard-bench").tempdir_in("/dev/shm")?;
        let plain = untar(&tars, &folder.path().join("tar"))?;
        let work = folder.path().join("work");
        let (whole, peak) = configure(&first, &work, round)?;
        let (upgrade, _) = configure(&both, &work, round)?;
        ratios.push(whole.as_secs_f64() / plain.as_secs_f64());
        memory = memory.max(peak);
        slowest = slowest.max(upgrade);
    }
    let gzipped = layers.iter().map(|layer| layer.blob.len()).sum();
    let tars = tars.iter().map(|tar| Ok(fs::metadata(tar)?.len())).sum::<io::Result<u64>>()?;
    Ok(Pulled { unpack: Ratio::of(ratios.into_iter()), memory, gzipped, tars, next: slowest })
}

/// Layers of this machine's own programs and libraries, every so many-th of them: real files of real sizes.
fn layers() -> io::Result<Vec<Arc<Layer>>> {
    let mut found = Vec::new();
    let bytes = collect(Path::new("/usr"), &mut found)?;
    let step = usize::try_from(bytes / IMAGE_BYTES).map_err(io::Error::other)?.max(1);
    let chosen: Vec<PathBuf> = found.into_iter().step_by(step).collect();
    let share = chosen.len().div_ceil(LAYERS).max(1);
    chosen.chunks(share).map(layer).collect()
}

fn layer(paths: &[PathBuf]) -> io::Result<Arc<Layer>> {
    let contents = paths.iter().map(fs::read).collect::<io::Result<Vec<_>>>()?;
    let names: Vec<String> =
        paths.iter().map(|p| p.to_string_lossy().trim_start_matches('/').to_owned()).collect();
    let files: Vec<_> = names.iter().zip(&contents).map(|(n, c)| (n.as_str(), 0o644, c.as_slice())).collect();
    Ok(Layer::of(&files))
}

/// Regular files below `folder`, in order; how many bytes they have together.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<u64> {
    let mut bytes = 0;
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() {
            bytes += collect(&path, found)?;
        } else if kind.is_file() && path.to_str().is_some_and(|p| p.len() < 240) {
            bytes += entry.metadata()?.len();
            found.push(path);
        }
    }
    Ok(bytes)
}

fn plain(layers: &[Arc<Layer>], folder: &Path) -> io::Result<Vec<PathBuf>> {
    let unpack = |(index, layer): (usize, &Arc<Layer>)| {
        let path = folder.join(format!("{index}.tar"));
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

/// Prepares every deployed version; gives the wall time and the worker's most resident memory.
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
