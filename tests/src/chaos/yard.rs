//! The processes of a run: router, workers with disks and wires of their own, S3 and a registry, each behind a wire.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;

use tempfile::TempDir;

use super::client::{Line, TRACK, place};
use super::clock::Clock;
use super::disk::Disk;
use super::ledger::Start;
use super::plan::{CHANGING, Job, STEADY, Source};
use super::trace;
use super::wire::Wire;
use crate::config::Config;
use crate::registry::Registry;
use crate::request::version;
use crate::router::Router;
use crate::s3::{CREDENTIALS, S3};
use crate::stage::{OBEDIENT, Stage};
use crate::worker::{Options, Worker};

const BUCKET: &str = "submissions";
/// A drain is shorter than the longest job.
const DRAIN: &str = "1s";

/// A worker's name and place, whichever process has it.
pub(super) struct Seat {
    pub(super) name: String,
    pub(super) number: usize,
    pub(super) worker: Option<Worker>,
    pub(super) disk: Disk,
    pub(super) wire: Wire,
    /// What the processes before this one logged.
    starts: Vec<Start>,
}

/// Where submissions are put.
pub(super) struct Shelves {
    stage: Stage,
    s3: S3,
}

/// All of it. What is needed longer comes later: fields are dropped in order.
pub(super) struct Yard {
    pub(super) seats: Vec<Seat>,
    pub(super) router: Router,
    pub(super) s3_wire: Wire,
    pub(super) registry_wire: Wire,
    pub(super) slots: u32,
    _registry: Registry,
    _dir: TempDir,
}

impl Shelves {
    /// Stores a job's submission; gives its address.
    pub(super) fn put(&self, job: &Job) -> String {
        let script = job.script();
        match job.source {
            Source::S3 => {
                self.s3.put(BUCKET, &format!("{}/do.sh", place(job)), script.as_bytes());
                format!("s3://{BUCKET}/{}", place(job))
            }
            Source::Dir => self.stage.submission(&place(job), &[("do.sh", &script)]),
        }
    }

    /// A directory whose job is answered is not needed any more.
    pub(super) fn remove(&self, job: &Job) {
        if job.source == Source::Dir {
            // A second answer would find it gone.
            let _ = fs::remove_dir_all(self.stage.submissions().join(place(job)));
        }
    }
}

fn address(text: &str) -> SocketAddr {
    text.trim_start_matches("tcp://").trim_start_matches("http://").parse().expect("an address")
}

impl Yard {
    /// Starts all, with `seats` workers of `slots` slots each, and waits until they are ready.
    pub(super) fn start(seats: usize, slots: u32) -> (Self, Shelves, Line) {
        let (stage, s3, registry) = (Stage::new(), S3::start(BUCKET), Registry::start(false));
        let versions = [STEADY, CHANGING[0], CHANGING[1]];
        let repository = format!("{TRACK}-test-runner");
        for digit in versions {
            // Each version is another image, so that it has to be pulled.
            let tag = stage.test_runner(TRACK, digit, &format!(": {digit}; {OBEDIENT}"));
            registry.push(&stage.images().dir().join(&repository), &tag, &repository);
        }
        let s3_wire = Wire::to(address(&s3.endpoint()));
        let registry_wire = Wire::to(address(&registry.location()));
        let deployed = versions.map(version);
        let config = Config::registry(&registry_wire.address().to_string())
            .dir(&stage.submissions())
            .bucket(BUCKET, &format!("http://{}", s3_wire.address()))
            .deployed("test_runners", TRACK, &deployed.each_ref().map(String::as_str));
        let router = Router::start(&config);
        let dir = TempDir::new().expect("a directory for the disks");
        let seats = (0..seats).map(|number| Seat::new(number, &router, &dir)).collect();
        let line = Line { address: router.clients(), life: AtomicU64::new(0) };
        let mut yard = Self { seats, router, s3_wire, registry_wire, slots, _registry: registry, _dir: dir };
        (0..yard.seats.len()).for_each(|seat| yard.man(seat));
        yard.wait_ready();
        (yard, Shelves { stage, s3 }, line)
    }

    /// Starts a worker on a seat.
    pub(super) fn man(&mut self, seat: usize) {
        let (slots, router) = (self.slots, &self.router);
        if let Some(seat) = self.seats.get_mut(seat) {
            let options = Options::new(&seat.name).slots(slots).dir(&seat.disk.dir());
            let wire = format!("tcp://{}", seat.wire.address());
            let options = options.flags(&["--router-workers", &wire, "--drain-timeout", DRAIN]);
            let options = options.environment(&CREDENTIALS).environment(&[("TRACKYARD_LOG", trace::LOG)]);
            seat.worker = Some(options.launch(router));
        }
    }

    /// Waits until every worker is ready.
    pub(super) fn wait_ready(&mut self) {
        self.seats.iter_mut().filter_map(|seat| seat.worker.as_mut()).for_each(Worker::wait_ready);
    }
}

impl Seat {
    fn new(number: usize, router: &Router, dir: &TempDir) -> Self {
        let name = format!("chaos-{number}");
        let disk = Disk::mount(&dir.path().join(&name));
        let wire = Wire::to(address(&router.workers()));
        Self { name, number, worker: None, disk, wire, starts: Vec::new() }
    }

    /// The worker has ended: what it logged is kept.
    pub(super) fn clear(&mut self, clock: Clock) {
        if let Some(mut worker) = self.worker.take() {
            self.starts.extend(trace::starts(&worker.process().log(), self.number, clock));
        }
    }

    /// All starts of containers so far.
    pub(super) fn starts(&mut self, clock: Clock) -> Vec<Start> {
        let mut starts = self.starts.clone();
        if let Some(worker) = &mut self.worker {
            starts.extend(trace::starts(&worker.process().log(), self.number, clock));
        }
        starts
    }
}
