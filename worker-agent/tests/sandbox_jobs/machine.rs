//! A worker's sandbox on this machine, with an image made from busybox.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Pid;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::name::{ExerciseSlug, WorkerName};
use trackyard_protocol::quantity::HumanDuration;
use trackyard_worker::sandbox::{
    self, EntryScript, Host, JobOutcome, Rootfs, RunSpec, SandboxConfig, SandboxError, Slot,
};

pub(crate) const RUNC: &str = "/usr/sbin/runc";
/// The entry script of every image here. It runs the script in the submission.
const RUN_SCRIPT: &str = "#!/bin/sh\nexec sh \"$2/job.sh\" \"$@\"\n";

/// Returns the factor by which this machine is slower, from `TRACKYARD_TEST_SLOWNESS`. The default is 1.
pub(crate) fn slowness() -> u32 {
    std::env::var("TRACKYARD_TEST_SLOWNESS").map_or(1, |text| text.parse().unwrap())
}

/// Returns a duration of a test, multiplied by the machine's [`slowness`].
pub(crate) fn scaled(millis: u64) -> Duration {
    Duration::from_millis(millis) * slowness()
}

/// A machine that can run two jobs at one time.
pub(crate) struct Machine {
    runtime: Runtime,
    pub(crate) host: Host,
    slots: RefCell<Vec<Slot>>,
    base: PathBuf,
    work: PathBuf,
}

/// A job of a test.
pub(crate) struct Job {
    /// The script that the job runs.
    pub(crate) script: String,
    pub(crate) limits: Limits,
    pub(crate) channel: Channel,
    pub(crate) cpu_time: Option<Duration>,
    /// Layers on top of the busybox image.
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) env: Vec<String>,
    pub(crate) cancel: CancellationToken,
    pub(crate) caller_drops_after: Duration,
}

impl Job {
    pub(crate) fn new(script: &str) -> Self {
        let limits = Limits {
            wall: HumanDuration(scaled(5000)),
            memory: "128Mi".parse().unwrap(),
            ..Limits::default()
        };
        Self {
            script: script.to_owned(),
            limits,
            channel: Channel::TestRunners,
            cpu_time: None,
            layers: Vec::new(),
            env: Vec::new(),
            cancel: CancellationToken::new(),
            caller_drops_after: scaled(60_000),
        }
    }

    pub(crate) fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }
}

impl Machine {
    /// Enters the sandbox of a worker with this directory. A `runc` in it is used instead of the machine's.
    pub(crate) fn enter(work: &Path) -> Self {
        assert!(Path::new("/bin/busybox").exists(), "no /bin/busybox: apt-get install busybox-static");
        let config = SandboxConfig {
            workdir: work.to_owned(),
            worker: WorkerName::new("sandbox-test").unwrap(),
            slots: 2,
            runc: Some(work.join("runc")).filter(|runc| runc.exists()).unwrap_or_else(|| RUNC.into()),
            allow_unmapped_layers: false,
            run_dir: "/run/trackyard".into(),
        };
        let entered =
            sandbox::enter(config).unwrap_or_else(|error| panic!("cannot enter the sandbox: {error}"));
        let host =
            Host::detect(entered).unwrap_or_else(|error| panic!("this machine cannot run jobs: {error}"));
        let slots = RefCell::new(host.slots().unwrap());
        let base = work.join("base");
        if !base.exists() {
            make_base(&base);
        }
        let runtime = Runtime::new().unwrap();
        Self { runtime, host, slots, base, work: work.to_owned() }
    }

    /// Runs a job whose submission is its script.
    pub(crate) fn run(&self, job: &Job) -> JobOutcome {
        self.run_while(job, || async {}).unwrap()
    }

    /// Runs a job, and something else at the same time. Returns `None` if the caller dropped the job.
    pub(crate) fn run_while<F: Future<Output = ()>>(
        &self,
        job: &Job,
        meanwhile: impl FnOnce() -> F,
    ) -> Option<JobOutcome> {
        let mut slots = self.slots.borrow_mut();
        self.runtime.block_on(async { tokio::join!(self.run_in(&mut slots[0], job), meanwhile()).0 })
    }

    /// Runs a job twice at the same time.
    pub(crate) fn run_two(&self, job: &Job) -> Vec<JobOutcome> {
        let mut slots = self.slots.borrow_mut();
        let [first, second] = &mut slots[..] else { panic!("there are two slots") };
        let both = async { tokio::join!(self.run_in(first, job), self.run_in(second, job)) };
        let (first, second) = self.runtime.block_on(both);
        [first, second].into_iter().flatten().collect()
    }

    async fn run_in(&self, slot: &mut Slot, job: &Job) -> Option<JobOutcome> {
        let run = RunSpec {
            entry: EntryScript::candidates(job.channel).next().unwrap(),
            exercise: ExerciseSlug::new("two-fer").unwrap(),
            cpu_time: job.cpu_time.unwrap_or_else(|| job.limits.cpu_time()),
        };
        let prepared = slot.prepare(&self.rootfs(job), &job.limits).await.unwrap();
        fs::write(prepared.job_dir_path().join("job.sh"), &job.script).unwrap();
        let running = prepared.run(&run, job.cancel.clone());
        tokio::time::timeout(job.caller_drops_after, running).await.ok()
    }

    fn rootfs(&self, job: &Job) -> Rootfs {
        let layers = std::iter::once(self.base.clone()).chain(job.layers.iter().cloned()).collect();
        Rootfs { layers, env: job.env.clone() }
    }

    /// Returns why a job cannot be prepared.
    pub(crate) fn prepare_error(&self, job: &Job) -> SandboxError {
        let mut slots = self.slots.borrow_mut();
        self.runtime.block_on(slots[0].prepare(&self.rootfs(job), &job.limits)).unwrap_err()
    }

    /// Makes a directory for a layer.
    pub(crate) fn layer(&self, name: &str) -> PathBuf {
        let layer = self.work.join(name);
        fs::create_dir_all(&layer).unwrap();
        layer
    }

    /// Returns the directories of the jobs' cgroups that exist now.
    pub(crate) fn groups() -> Vec<PathBuf> {
        let mut found = Vec::new();
        find_groups(Path::new("/sys/fs/cgroup"), &mut found);
        found
    }

    /// Returns the processes of the running job, once it has started a `sleep`.
    pub(crate) async fn processes() -> Vec<Pid> {
        loop {
            let pids: Vec<Pid> = Self::groups().iter().flat_map(|group| processes_in(group)).collect();
            let name = |pid: &Pid| fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero()));
            if pids.iter().any(|pid| name(pid).is_ok_and(|name| name == "sleep\n")) {
                return pids;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn assert_nothing_left(&self) {
        assert_eq!(Self::groups(), Vec::<PathBuf>::new(), "cgroups of a job are left");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let slots: Vec<&str> = mounts.lines().filter(|line| line.contains("/slot-")).collect();
        assert_eq!(slots, Vec::<&str>::new(), "mounts of a job are left");
        let state = fs::read_dir("/run/trackyard/mnt/runc").map_or(0, Iterator::count);
        assert_eq!(state, 0, "state of runc is left");
        assert_eq!(self.processes_of_jobs(), Vec::<String>::new(), "processes of a job are left");
    }

    /// Returns the names of the processes with a user id of this machine's slots.
    fn processes_of_jobs(&self) -> Vec<String> {
        let owners: Vec<_> = self.slots.borrow().iter().map(Slot::owners).collect();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            let field =
                |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim();
            let uid = field("Uid:").split_whitespace().next().and_then(|uid| uid.parse::<u32>().ok());
            let is_of_a_job = uid.is_some_and(|uid| owners.iter().any(|owners| owners.contains(&uid)));
            if is_of_a_job && field("State:") != "Z (zombie)" {
                found.push(field("Name:").to_owned());
            }
        }
        found
    }

    pub(crate) fn assert_next_job_is_ok(&self) {
        let outcome = self.run(&Job::new("echo '{}' > $2/results.json"));
        assert_eq!(outcome.reason.as_str(), "ok", "{outcome:?}");
    }
}

fn processes_in(group: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| Pid::from_raw(line.parse().unwrap())).collect()
}

fn make_base(base: &Path) {
    for dir in ["bin", "opt/test-runner/bin", "opt/analyzer/bin", "opt/representer/bin"] {
        fs::create_dir_all(base.join(dir)).unwrap();
    }
    fs::copy("/bin/busybox", base.join("bin/busybox")).unwrap();
    let applets = std::process::Command::new("/bin/busybox").arg("--list").output().unwrap();
    for applet in String::from_utf8(applets.stdout).unwrap().lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", base.join("bin").join(applet)).unwrap();
    }
    for tool in ["test-runner", "analyzer", "representer"] {
        write_program(&base.join("opt").join(tool).join("bin/run.sh"), RUN_SCRIPT);
    }
}

pub(crate) fn write_program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn find_groups(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let path = entry.path();
            if path.ends_with("job") && path.to_string_lossy().contains("trackyard-sandbox-test") {
                found.push(path);
            } else {
                find_groups(&path, found);
            }
        }
    }
}
