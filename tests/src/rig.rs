//! A router with one generic worker and a track whose test runner runs the submission's script. Tests of one binary
//! that only need to run containers share it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::{Value, json};
use trackyard_protocol::answer::Answer;
use trackyard_protocol::quantity::HumanDuration;

use crate::image::{File, Image, Layer};
use crate::request::{test_solution, version, with};
use crate::router::Router;
use crate::stage::{RUN_SUBMISSION, Stage};
use crate::wait::{seconds, slowness};
use crate::worker::{Worker, WorkerOptions};

/// The track whose test runner runs the submission's `do.sh`.
pub const TRACK: &str = "shell";

/// A router with a worker. Fields are dropped in order, so the worker ends first.
pub struct Rig {
    /// The worker.
    pub worker: Worker,
    /// The router.
    pub router: Router,
    /// Images and submissions.
    pub stage: Stage,
    count: AtomicU32,
}

static SHARED: Mutex<Weak<Rig>> = Mutex::new(Weak::new());

impl Rig {
    /// Returns the rig that other tests use at the same time, or starts one. Its jobs have small limits.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let rig = Arc::new(Self::start(small_limits()));
            *shared = Arc::downgrade(&rig);
            rig
        })
    }

    /// Starts a rig with these limits for its track.
    ///
    /// # Panics
    /// When router or worker do not become ready.
    #[must_use]
    pub fn start(limits: Value) -> Self {
        Self::with_worker(limits, WorkerOptions::new("any-1").slots(2))
    }

    /// Starts a rig with this worker.
    ///
    /// # Panics
    /// When router or worker do not become ready.
    #[must_use]
    pub fn with_worker(limits: Value, worker: WorkerOptions) -> Self {
        let stage = Stage::new();
        let crash = crashing_program();
        let tools: &[File<'_>] = &[("bin/crash", 0o755, &crash)];
        let image = Image::tooling("test_runners", RUN_SUBMISSION).layer(Layer::of(tools));
        stage.images().add(&format!("{TRACK}-test-runner"), &version('a'), &image);
        let config = stage.config().deployed("test_runners", TRACK, &[&version('a')]).limits(
            "test_runners",
            TRACK,
            limits,
        );
        let router = Router::start(&config);
        let worker = worker.start(&router);
        Self { worker, router, stage, count: AtomicU32::new(0) }
    }

    /// Returns a request for a job whose container runs `script`, a shell script in the submission.
    #[must_use]
    pub fn request(&self, script: &str) -> Value {
        self.request_with(&[("do.sh", script)])
    }

    /// Returns a request for a job with these files.
    #[must_use]
    pub fn request_with(&self, files: &[(&str, &str)]) -> Value {
        let name = format!("job-{}", self.count.fetch_add(1, Ordering::SeqCst));
        let uri = self.stage.submission(&name, files);
        test_solution(&name, TRACK, &uri, &version('a'))
    }

    /// Runs `script` in a container.
    #[must_use]
    pub fn run(&self, script: &str) -> Answer {
        self.router.ask(&self.request(script))
    }

    /// Runs `script` with an `execution_timeout` of `seconds`, multiplied by [`slowness`].
    #[must_use]
    pub fn run_for(&self, seconds: u32, script: &str) -> Answer {
        self.router.ask(&with(self.request(script), "execution_timeout", json!(seconds * slowness())))
    }
}

/// Returns limits that a hostile job reaches quickly.
#[must_use]
pub fn small_limits() -> Value {
    json!({
        "wall": HumanDuration(seconds(8)), "wall_max": HumanDuration(seconds(60)), "memory": "64Mi", "pids": 32,
        "stdout": "64Ki", "stderr": "64Ki", "file_size": "1Mi", "job_folder": "4Mi", "job_inodes": 128,
        "tmp": "8Mi", "result": "16Ki", "input_files": 20, "input_bytes": "256Ki",
    })
}

/// Returns a minimal program that ends with SIGILL: an ELF header, one segment, one invalid instruction.
fn crashing_program() -> Vec<u8> {
    let (machine, code): (u16, [u8; 4]) = match std::env::consts::ARCH {
        "x86_64" => (62, [0x0f, 0x0b, 0x0f, 0x0b]),
        "aarch64" => (183, [0, 0, 0, 0]),
        other => panic!("no crashing program for the architecture {other}"),
    };
    let base = 0x40_0000_u64;
    let size = 124_u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let put16 = |elf: &mut Vec<u8>, values: &[u16]| elf.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    let put32 = |elf: &mut Vec<u8>, values: &[u32]| elf.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    let put64 = |elf: &mut Vec<u8>, values: &[u64]| elf.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    // Executable, machine; version; entry, program headers, section headers; flags; sizes and counts.
    put16(&mut elf, &[2, machine]);
    put32(&mut elf, &[1]);
    put64(&mut elf, &[base + 120, 64, 0]);
    put32(&mut elf, &[0]);
    put16(&mut elf, &[64, 56, 1, 0, 0, 0]);
    // One segment, loaded, readable and executable: offset, addresses, sizes, alignment.
    put32(&mut elf, &[1, 5]);
    put64(&mut elf, &[0, base, base, size, size, 0x1000]);
    elf.extend(code);
    elf
}
