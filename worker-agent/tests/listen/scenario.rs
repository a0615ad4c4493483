//! An image, submissions and a work directory.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use e2e::image::Image;
use e2e::process::Process;
use e2e::request::version;
use e2e::stage::Stage;
use e2e::wait::wait_until;
use rustix::process::{Pid, Signal, kill_process};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::source::{ImageSource, ImageSourceKind, InputPolicy, default_repositories};
use trackyard_protocol::token::{JobKey, Token};
use trackyard_protocol::worker::{Job, Task, TrackVersion};

use crate::router::Router;

pub(crate) struct Scenario {
    stage: Stage,
    digest: String,
    admin: u16,
    name: String,
}

impl Scenario {
    /// Returns a scenario whose image has this entry script.
    pub(crate) fn new(script: &str) -> Self {
        Self::with(&Image::tooling("test_runners", script))
    }

    /// Returns a scenario whose image has no entry script.
    pub(crate) fn without_entry() -> Self {
        Self::with(&Image::bare())
    }

    fn with(image: &Image) -> Self {
        e2e::binaries::require_root();
        let stage = Stage::new();
        let digest = stage.images().add("ruby-test-runner", &version('a'), image);
        let admin = e2e::ports::free_port();
        Self { stage, digest, admin, name: format!("listen-{admin}") }
    }

    pub(crate) fn listen(&self, router: &Router, flags: &[&str]) -> Process {
        let mut command = self.command("listen", router);
        command.args(["--slots", "2", "--admin", &format!("127.0.0.1:{}", self.admin)]).args(flags);
        Process::spawn("trackyard-worker", &mut command, &self.stage.path("worker.log"))
    }

    pub(crate) fn configure(&self, router: &Router) -> Process {
        let mut command = self.command("configure", router);
        Process::spawn("trackyard-worker", &mut command, &self.stage.path("worker.log"))
    }

    fn command(&self, subcommand: &str, router: &Router) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trackyard-worker"));
        let url = format!("{}/test_runners?topic=ruby", router.clients());
        command.args([subcommand, &self.name, &url]).arg(self.workdir());
        command
    }

    fn workdir(&self) -> PathBuf {
        self.stage.path("work")
    }

    /// Returns the URI of a submission whose job takes `seconds` and has `answer` as its result.
    pub(crate) fn submission(&self, seconds: &str, answer: &str) -> String {
        self.stage.submission("1", &[("seconds", seconds), ("answer", answer)])
    }

    pub(crate) fn dir(&self) -> &str {
        self.stage.dir().to_str().unwrap()
    }

    pub(crate) fn version(&self) -> TrackVersion {
        let version = format!("{}@{}", version('a'), self.digest);
        TrackVersion { track: "ruby".parse().unwrap(), version: version.parse().unwrap() }
    }

    pub(crate) fn images(&self) -> ImageSource {
        ImageSource {
            kind: ImageSourceKind::Layout,
            location: self.stage.images().dir().to_str().unwrap().to_owned(),
            repositories: default_repositories(),
        }
    }

    pub(crate) fn inputs(&self) -> InputPolicy {
        InputPolicy { allowed_folders: vec![self.stage.submissions()], ..InputPolicy::default() }
    }

    pub(crate) fn wait_ready(&self) {
        wait_until(Duration::from_secs(10), "the worker is ready", || e2e::http::is_ready(self.admin));
    }

    /// Waits until a container of this worker runs.
    pub(crate) fn wait_running(&self) {
        wait_until(Duration::from_secs(10), "a container runs", || !self.containers().is_empty());
    }

    /// Kills the first process of each container of this worker.
    pub(crate) fn kill_container(&self) {
        self.wait_running();
        for process in self.containers() {
            kill_process(process, Signal::KILL).unwrap();
        }
    }

    /// Returns the first processes of this worker's containers: those that run the entry script, in its cgroup.
    fn containers(&self) -> Vec<Pid> {
        let is_ours = |dir: &PathBuf| {
            let read = |name: &str| std::fs::read(dir.join(name)).unwrap_or_default();
            let text = |name: &str| String::from_utf8_lossy(&read(name)).into_owned();
            text("cmdline").contains("run.sh\0two-fer") && text("cgroup").contains(&self.name)
        };
        let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        let pid = |dir: PathBuf| dir.file_name()?.to_str()?.parse().ok().and_then(Pid::from_raw);
        processes.filter(is_ours).filter_map(pid).collect()
    }

    /// Makes the canary fail from now on.
    pub(crate) fn break_canary(&self) {
        let program = self.workdir().join("canary/opt/test-runner/bin/run.sh");
        assert!(program.is_file());
        std::fs::set_permissions(program, Permissions::from_mode(0o644)).unwrap();
    }

    pub(crate) fn wait_without_layers(&self) {
        let layers = self.workdir().join("layers");
        let count = || std::fs::read_dir(&layers).unwrap().count();
        wait_until(Duration::from_secs(10), "the layers are removed", || count() == 0);
    }

    /// Returns the cgroups of this worker that still exist.
    pub(crate) fn cgroups(&self) -> Vec<String> {
        let all = e2e::leftovers::cgroups().into_iter().map(|group| group.display().to_string());
        all.filter(|group| group.contains(&self.name)).collect()
    }
}

pub(crate) fn job(router: &Router, sequence: u64, scenario: &Scenario, input: &str) -> Job {
    let TrackVersion { track, version } = scenario.version();
    Job {
        token: Token { epoch: router.epoch, sequence },
        attempt: 1,
        setup_ms: 15_000,
        total_ms: 40_000,
        task: Task {
            key: JobKey(u128::from(sequence) + 1),
            id: "job".parse().unwrap(),
            channel: Channel::TestRunners,
            track,
            exercise: "two-fer".parse().unwrap(),
            version,
            input: input.parse().unwrap(),
            limits: Limits {
                wall: "10s".parse().unwrap(),
                memory: "64Mi".parse().unwrap(),
                ..Limits::default()
            }
            .into(),
        }
        .into(),
    }
}
