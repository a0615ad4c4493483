//! The processes of a run: a router, workers on nodes of their own, S3 and a registry, with proxies between them.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;

use tempfile::TempDir;

use super::client::{RouterEndpoint, TRACK, submission_path};
use super::clock::Clock;
use super::disk::Disk;
use super::history::JobStart;
use super::plan::{CHANGING, Job, STEADY, Source};
use super::proxy::Proxy;
use super::worker_log;
use crate::config::Config;
use crate::registry::Registry;
use crate::request::version;
use crate::router::Router;
use crate::s3::{CREDENTIALS, S3};
use crate::stage::{RUN_SUBMISSION, Stage};
use crate::worker::{Worker, WorkerOptions};

const BUCKET: &str = "submissions";
/// Drain timeout of the workers; shorter than the longest job, so that drains also interrupt jobs.
const DRAIN_TIMEOUT: &str = "1s";

/// The machine of one worker. Its name, disk and proxy outlive the worker processes that run on it.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) number: usize,
    pub(super) worker: Option<Worker>,
    pub(super) disk: Disk,
    /// Between the worker and the router.
    pub(super) proxy: Proxy,
    /// The job starts that earlier processes logged.
    earlier_starts: Vec<JobStart>,
}

/// Stores the jobs' submissions.
pub(super) struct Submissions {
    stage: Stage,
    s3: S3,
}

/// All processes of a run. Fields are dropped in order, so a process stands before those that it needs.
pub(super) struct Fleet {
    pub(super) nodes: Vec<Node>,
    pub(super) router: Router,
    pub(super) s3_proxy: Proxy,
    pub(super) registry_proxy: Proxy,
    pub(super) slots: u32,
    _registry: Registry,
    _dir: TempDir,
}

impl Submissions {
    /// Stores a job's submission. Returns its URI.
    pub(super) fn store(&self, job: &Job) -> String {
        let script = job.script();
        let path = submission_path(job);
        match job.source {
            Source::S3 => {
                self.s3.put(BUCKET, &format!("{path}/do.sh"), script.as_bytes());
                format!("s3://{BUCKET}/{path}")
            }
            Source::Dir => self.stage.submission(&path, &[("do.sh", &script)]),
        }
    }

    /// Removes the submission directory of a job that is answered.
    pub(super) fn remove(&self, job: &Job) {
        if job.source == Source::Dir {
            // After a second answer the directory is already gone.
            let _ = fs::remove_dir_all(self.stage.submissions().join(submission_path(job)));
        }
    }
}

fn address(text: &str) -> SocketAddr {
    text.trim_start_matches("tcp://").trim_start_matches("http://").parse().expect("an address")
}

impl Fleet {
    /// Starts everything, with `nodes` workers of `slots` slots each, and waits until the workers are ready.
    pub(super) fn start(nodes: usize, slots: u32) -> (Self, Submissions, RouterEndpoint) {
        let stage = Stage::new();
        let s3 = S3::start(BUCKET);
        let registry = Registry::start(false);
        let versions = [STEADY, CHANGING[0], CHANGING[1]];
        let repository = format!("{TRACK}-test-runner");
        for digit in versions {
            // Each version is an image of its own, so that workers have to pull it.
            let tag = stage.test_runner(TRACK, digit, &format!(": {digit}; {RUN_SUBMISSION}"));
            registry.push(&stage.images().dir().join(&repository), &tag, &repository);
        }
        let s3_proxy = Proxy::to(address(&s3.endpoint()));
        let registry_proxy = Proxy::to(address(&registry.location()));
        let deployed = versions.map(version);
        let config = Config::registry(&registry_proxy.address().to_string())
            .dir(&stage.submissions())
            .bucket(BUCKET, &format!("http://{}", s3_proxy.address()))
            .deployed("test_runners", TRACK, &deployed.each_ref().map(String::as_str));
        let router = Router::start(&config);
        let dir = TempDir::new().expect("a directory for the disks");
        let nodes = (0..nodes).map(|number| Node::new(number, &router, &dir)).collect();
        let endpoint = RouterEndpoint { address: router.clients(), generation: AtomicU64::new(0) };
        let mut fleet =
            Self { nodes, router, s3_proxy, registry_proxy, slots, _registry: registry, _dir: dir };
        (0..fleet.nodes.len()).for_each(|node| fleet.start_worker(node));
        fleet.wait_ready();
        (fleet, Submissions { stage, s3 }, endpoint)
    }

    /// Starts a worker on a node.
    pub(super) fn start_worker(&mut self, node: usize) {
        if let Some(node) = self.nodes.get_mut(node) {
            let router_workers = format!("tcp://{}", node.proxy.address());
            let options = WorkerOptions::new(&node.name)
                .slots(self.slots)
                .dir(&node.disk.dir())
                .flags(&["--router-workers", &router_workers, "--drain-timeout", DRAIN_TIMEOUT])
                .environment(&CREDENTIALS)
                .environment(&[("TRACKYARD_LOG", worker_log::FILTER)]);
            node.worker = Some(options.launch(&self.router));
        }
    }

    /// Waits until every worker is ready.
    pub(super) fn wait_ready(&mut self) {
        self.nodes.iter_mut().filter_map(|node| node.worker.as_mut()).for_each(Worker::wait_ready);
    }
}

impl Node {
    fn new(number: usize, router: &Router, dir: &TempDir) -> Self {
        let name = format!("chaos-{number}");
        let disk = Disk::mount(&dir.path().join(&name));
        let proxy = Proxy::to(address(&router.workers()));
        Self { name, number, worker: None, disk, proxy, earlier_starts: Vec::new() }
    }

    /// Drops a worker process that has ended, and keeps the job starts that it logged.
    pub(super) fn remove_worker(&mut self, clock: Clock) {
        if let Some(mut worker) = self.worker.take() {
            self.earlier_starts.extend(worker_log::starts(&worker.process().log(), self.number, clock));
        }
    }

    /// Returns all job starts so far.
    pub(super) fn starts(&mut self, clock: Clock) -> Vec<JobStart> {
        let mut starts = self.earlier_starts.clone();
        if let Some(worker) = &mut self.worker {
            starts.extend(worker_log::starts(&worker.process().log(), self.number, clock));
        }
        starts
    }
}
