//! A platform: the router, the workers and the S3 API.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use trackyard_protocol::quantity::Bytes;

use super::LocalError;
use super::admin::{self, Readiness};
use super::child::{Child, UnexpectedExits, tail};
use super::layouts::LayoutVersions;
use super::plan::{self, RouterAddresses, WorkerPlan};
use super::ports::{DefaultPortsLock, FreePorts};
use super::prerequisites::Binaries;
use super::router_config::RouterConfig;
use super::storage::Storage;
use crate::console::Console;

/// How long a process may take to become ready; a worker unpacks its images first.
const READY_TIMEOUT: Duration = Duration::from_secs(180);
/// Interval between two checks whether a process is ready.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long a process may take to end; longer than a worker's drain.
const EXIT_TIMEOUT: Duration = Duration::from_secs(15);
/// The router's default ports: for clients, for workers, and the admin port.
const DEFAULT_PORTS: [u16; 3] = [5555, 5556, 9180];

/// The options of a platform that is to be started.
#[derive(Debug)]
pub(super) struct PlatformOptions {
    /// The directory for all files; other users must be able to pass through its parents.
    pub(super) dir: PathBuf,
    /// The directory of image layouts.
    pub(super) images: PathBuf,
    /// The versions that are deployed at first.
    pub(super) versions: LayoutVersions,
    /// The workers.
    pub(super) workers: Vec<WorkerPlan>,
    /// The number of slots of each worker.
    pub(super) slots: u32,
    /// The directories below which `file://` submissions are allowed.
    pub(super) dirs: Vec<PathBuf>,
    /// The memory limit of a job.
    pub(super) memory: Bytes,
    /// The directory of the git repositories that builders fetch.
    pub(super) repositories: Option<PathBuf>,
    /// Use the default ports if they are free.
    pub(super) use_default_ports: bool,
}

/// A running platform.
#[derive(Debug)]
pub(super) struct Platform {
    options: PlatformOptions,
    console: Console,
    binaries: Binaries,
    /// The S3 API.
    pub(super) storage: Storage,
    router: RouterAddresses,
    _default_ports: Option<DefaultPortsLock>,
    worker_ports: Vec<SocketAddr>,
    children: Vec<Child>,
    unexpected_exits: UnexpectedExits,
}

impl Platform {
    /// Creates directories, reserves ports and starts the S3 API. Starts no process yet.
    pub(super) async fn prepare(options: PlatformOptions, console: Console) -> Result<Self, LocalError> {
        let binaries = Binaries::find()?;
        create_dirs(&options)?;
        let storage = Storage::start(&options.dir.join("s3")).await?;
        let mut ports = FreePorts::default();
        let lock = options.use_default_ports.then(DefaultPortsLock::try_acquire).flatten();
        let [clients, workers, admin] = DEFAULT_PORTS.map(|port| ports.reserve(lock.as_ref().map(|_| port)));
        let router = RouterAddresses { clients: clients?, workers: workers?, admin: admin? };
        let worker_ports =
            options.workers.iter().map(|_| ports.reserve(None)).collect::<Result<Vec<_>, LocalError>>()?;
        let platform = Self {
            options,
            console,
            binaries,
            storage,
            router,
            _default_ports: lock,
            worker_ports,
            children: Vec::new(),
            unexpected_exits: UnexpectedExits::new(),
        };
        platform.write_files()?;
        Ok(platform)
    }

    /// Starts the router, then the workers, and waits until all are ready.
    pub(super) async fn start(&mut self) -> Result<(), LocalError> {
        let names: Vec<String> = self.options.workers.iter().map(WorkerPlan::name).collect();
        let names = names.join(", ");
        self.console.say(&format!("local: starting the router, then {names}, which unpack images first"));
        let router = plan::router(&self.binaries.router, &self.file("router.yml"), self.router);
        self.spawn(router, &[])?;
        self.wait_until_ready("router", "/livez").await?;
        let environment = self.storage.environment();
        for (plan, port) in self.options.workers.clone().iter().zip(self.worker_ports.clone()) {
            let dir = self.file(&format!("workers/{}", plan.name()));
            let slots = self.options.slots;
            let worker = plan::worker(&self.binaries.worker, plan, &dir, slots, self.router.clients, port);
            self.spawn(worker, &environment)?;
        }
        let names: Vec<String> = self.children.iter().map(|child| child.spec.name.clone()).collect();
        for name in names {
            self.wait_until_ready(&name, "/readyz").await?;
            self.console.say(&format!("local: {name} is ready"));
        }
        Ok(())
    }

    /// Returns the router's address for clients.
    pub(super) fn router(&self) -> String {
        format!("tcp://{}", self.router.clients)
    }

    /// Returns the names and admin addresses of the processes.
    pub(super) fn admin_addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.children.iter().map(|child| (child.spec.name.as_str(), child.spec.admin))
    }

    /// Returns the reporter of the first process that ends by itself.
    pub(super) fn unexpected_exits(&self) -> UnexpectedExits {
        self.unexpected_exits.clone()
    }

    /// Stops one process, which may drain first.
    pub(super) async fn stop_one(&self, name: &str) -> Result<(), LocalError> {
        let child = self.child(name)?;
        child.stop(Signal::TERM);
        let exit = tokio::time::timeout(EXIT_TIMEOUT, child.wait()).await;
        exit.map_err(|_| self.timeout(child, EXIT_TIMEOUT, "still running".to_owned()))
    }

    /// Stops everything: the workers drain, then the router ends. Kills what is left after a timeout, or as soon as
    /// `kill_now` resolves. Returns the names of the killed processes.
    pub(super) async fn stop(&mut self, kill_now: impl Future<Output = ()>) -> Vec<String> {
        let (workers, router): (Vec<_>, Vec<_>) =
            self.children.iter().partition(|child| child.spec.name != "router");
        tokio::select! {
            () = async { stop_all(&workers).await; stop_all(&router).await; } => {}
            () = kill_now => {}
        }
        let left: Vec<&Child> = self.children.iter().filter(|child| !child.has_ended()).collect();
        for child in &left {
            child.stop(Signal::KILL);
            child.wait().await;
        }
        let killed = left.iter().map(|child| child.spec.name.clone()).collect();
        self.children.clear();
        killed
    }

    fn spawn(
        &mut self,
        spec: plan::ProcessSpec,
        environment: &[(&'static str, String)],
    ) -> Result<(), LocalError> {
        let logs = self.file("log");
        let child = Child::start(spec, &self.binaries.own, &logs, environment, &self.unexpected_exits)?;
        self.children.push(child);
        Ok(())
    }

    /// Polls a process until it is ready, and prints the reason whenever that changes.
    async fn wait_until_ready(&self, name: &str, path: &str) -> Result<(), LocalError> {
        let child = self.child(name)?;
        let start = Instant::now();
        let mut last = String::new();
        loop {
            let Readiness::NotReady(reason) = admin::ask(child.spec.admin, path).await else {
                return Ok(());
            };
            if start.elapsed() > READY_TIMEOUT {
                return Err(self.timeout(child, READY_TIMEOUT, format!("not ready ({reason})")));
            }
            if reason != last {
                self.console.phase(&format!("local: {name} is not ready yet: {reason}"));
                last = reason;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    fn child(&self, name: &str) -> Result<&Child, LocalError> {
        let found = self.children.iter().find(|child| child.spec.name == name);
        found.ok_or_else(|| LocalError::Start {
            name: name.to_owned(),
            source: std::io::Error::other("it is not a process of this platform"),
        })
    }

    fn timeout(&self, child: &Child, waited: Duration, state: String) -> LocalError {
        LocalError::Timeout {
            name: child.spec.name.clone(),
            waited,
            state,
            log: child.log.clone(),
            tail: tail(&child.log),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.options.dir.join(name)
    }

    /// Writes the router's configuration, and the S3 keys for users who upload submissions themselves.
    fn write_files(&self) -> Result<(), LocalError> {
        let options = &self.options;
        let endpoint = self.storage.endpoint();
        let config =
            RouterConfig::new(&options.images, &endpoint, &options.dirs, &options.versions, options.memory)
                .with_repositories(options.repositories.as_deref());
        let path = self.file("router.yml");
        let text = config.to_yaml().map_err(std::io::Error::other);
        text.and_then(|text| fs::write(&path, text)).map_err(LocalError::file("write", &path))?;
        let environment = self.storage.environment();
        let keys: String =
            environment.iter().map(|(name, value)| format!("export {name}={value}\n")).collect();
        write_secret(&self.file("s3.env"), &keys)
    }
}

async fn stop_all(children: &[&Child]) {
    children.iter().for_each(|child| child.stop(Signal::TERM));
    let all = async {
        for child in children {
            child.wait().await;
        }
    };
    // The caller kills those that are left.
    let _ = tokio::time::timeout(EXIT_TIMEOUT, all).await;
}

/// Creates the directories. Other users may pass through the parents of a worker's directory, because jobs run as such.
fn create_dirs(options: &PlatformOptions) -> Result<(), LocalError> {
    let dir = &options.dir;
    let workers = options.workers.iter().map(|plan| format!("workers/{}", plan.name()));
    for name in ["log", "s3", "workers"].into_iter().map(str::to_owned).chain(workers) {
        let path = dir.join(name);
        fs::create_dir_all(&path).map_err(LocalError::file("create the directory", &path))?;
    }
    for (path, mode) in [(dir.clone(), 0o711), (dir.join("workers"), 0o711), (dir.join("s3"), 0o700)] {
        fs::set_permissions(&path, Permissions::from_mode(mode))
            .map_err(LocalError::file("set the mode of", &path))?;
    }
    Ok(())
}

fn write_secret(path: &Path, text: &str) -> Result<(), LocalError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(LocalError::file("write", path))
}
