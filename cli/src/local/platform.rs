//! The router, the workers and the S3 API, from start to end.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use trackyard_protocol::quantity::Bytes;

use super::Error;
use super::admin::{self, Readiness};
use super::child::{Child, Deaths, tail};
use super::layouts::Versions;
use super::machine::Binaries;
use super::plan::{self, RouterAddresses, WorkerPlan};
use super::ports::{Ports, UsualPorts};
use super::seed::Seed;
use super::storage::Storage;
use crate::console::Console;

/// How long a part may take to become ready: a worker unpacks its images first.
const READY_WITHIN: Duration = Duration::from_secs(180);
/// Between two looks at a part that is not ready.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a part may take to end: a worker's drain, and some seconds.
const END_WITHIN: Duration = Duration::from_secs(15);
/// The router's usual port for clients; those for workers and for `/readyz` are the others' usual ones.
const USUAL_PORTS: [u16; 3] = [5555, 5556, 9180];

/// What to bring up.
#[derive(Debug)]
pub(super) struct Options {
    /// The directory for everything; its parents must let others pass.
    pub(super) dir: PathBuf,
    /// The image layouts.
    pub(super) images: PathBuf,
    /// The versions that jobs may name at first.
    pub(super) versions: Versions,
    /// The workers.
    pub(super) workers: Vec<WorkerPlan>,
    /// Slots of each.
    pub(super) slots: u32,
    /// The directories that `file://` may name.
    pub(super) dirs: Vec<PathBuf>,
    /// What one job may use.
    pub(super) memory: Bytes,
    /// The directory of the repositories that builders fetch.
    pub(super) repositories: Option<PathBuf>,
    /// Take the usual ports where they are free.
    pub(super) usual_ports: bool,
}

/// The running parts.
#[derive(Debug)]
pub(super) struct Platform {
    options: Options,
    console: Console,
    binaries: Binaries,
    /// The S3 API.
    pub(super) storage: Storage,
    router: RouterAddresses,
    _usual_ports: Option<UsualPorts>,
    worker_ports: Vec<SocketAddr>,
    children: Vec<Child>,
    deaths: Deaths,
}

impl Platform {
    /// Makes directories, finds ports and starts the S3 API; no process yet.
    pub(super) async fn prepare(options: Options, console: Console) -> Result<Self, Error> {
        let binaries = Binaries::find()?;
        make_dirs(&options)?;
        let storage = Storage::start(&options.dir.join("s3")).await?;
        let mut ports = Ports::default();
        let claim = options.usual_ports.then(UsualPorts::claim).flatten();
        let usual = USUAL_PORTS.map(|port| claim.as_ref().map(|_| port));
        let [clients, workers, admin] = usual.map(|usual| ports.take(usual));
        let router = RouterAddresses { clients: clients?, workers: workers?, admin: admin? };
        let worker_ports =
            options.workers.iter().map(|_| ports.take(None)).collect::<Result<Vec<_>, Error>>()?;
        let platform = Self {
            options,
            console,
            binaries,
            storage,
            router,
            _usual_ports: claim,
            worker_ports,
            children: Vec::new(),
            deaths: Deaths::new(),
        };
        platform.write_files()?;
        Ok(platform)
    }

    /// Starts the router, then the workers, and waits until all are ready.
    pub(super) async fn bring_up(&mut self) -> Result<(), Error> {
        let names: Vec<String> = self.options.workers.iter().map(WorkerPlan::name).collect();
        let names = names.join(", ");
        self.console.say(&format!("local: starting the router, then {names}, which unpack images first"));
        let router = plan::router(&self.binaries.router, &self.file("router.yml"), self.router);
        self.start(router, &[])?;
        self.wait_for("router", "/livez").await?;
        let environment = self.storage.environment();
        for (plan, port) in self.options.workers.clone().iter().zip(self.worker_ports.clone()) {
            let dir = self.file(&format!("workers/{}", plan.name()));
            let ends = (self.router.clients, port);
            let part = plan::worker(&self.binaries.worker, plan, &dir, self.options.slots, ends);
            self.start(part, &environment)?;
        }
        let names: Vec<String> = self.children.iter().map(|child| child.part.name.clone()).collect();
        for name in names {
            self.wait_for(&name, "/readyz").await?;
            self.console.say(&format!("local: {name} is ready"));
        }
        Ok(())
    }

    /// The router's address for clients.
    pub(super) fn router(&self) -> String {
        format!("tcp://{}", self.router.clients)
    }

    /// The parts with their admin addresses.
    pub(super) fn admin_addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.children.iter().map(|child| (child.part.name.as_str(), child.part.admin))
    }

    /// What tells of the first part that ends by itself.
    pub(super) fn deaths(&self) -> Deaths {
        self.deaths.clone()
    }

    /// Lets one part drain and end.
    pub(super) async fn stop(&self, name: &str) -> Result<(), Error> {
        let child = self.child(name)?;
        child.ask_to_end(Signal::TERM);
        let ended = tokio::time::timeout(END_WITHIN, child.ended()).await;
        ended.map_err(|_| self.not_ready(child, END_WITHIN, "it does not end"))
    }

    /// Takes everything down: the workers drain, then the router ends. Returns the parts that had to be killed, which
    /// `hurry` does to all at once.
    pub(super) async fn down(&mut self, hurry: impl Future<Output = ()>) -> Vec<String> {
        let (workers, router): (Vec<_>, Vec<_>) =
            self.children.iter().partition(|child| child.part.name != "router");
        tokio::select! {
            () = async { end(&workers).await; end(&router).await; } => {}
            () = hurry => {}
        }
        let left: Vec<&Child> = self.children.iter().filter(|child| !child.has_ended()).collect();
        for child in &left {
            child.ask_to_end(Signal::KILL);
            child.ended().await;
        }
        let killed = left.iter().map(|child| child.part.name.clone()).collect();
        self.children.clear();
        killed
    }

    fn start(&mut self, part: plan::Part, environment: &[(&'static str, String)]) -> Result<(), Error> {
        let logs = self.file("log");
        self.children.push(Child::start(part, &self.binaries.own, &logs, environment, &self.deaths)?);
        Ok(())
    }

    /// Looks again and again, and says what is missing whenever that changes.
    async fn wait_for(&self, name: &str, path: &str) -> Result<(), Error> {
        let child = self.child(name)?;
        let (start, mut last) = (Instant::now(), String::new());
        loop {
            let Readiness::Missing(missing) = admin::ask(child.part.admin, path).await else { return Ok(()) };
            if start.elapsed() > READY_WITHIN {
                return Err(self.not_ready(child, READY_WITHIN, &missing));
            }
            if missing != last {
                self.console.phase(&format!("local: {name} waits: {missing}"));
                last = missing;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn child(&self, name: &str) -> Result<&Child, Error> {
        let found = self.children.iter().find(|child| child.part.name == name);
        let missing = || std::io::Error::other("it was never started");
        found.ok_or_else(|| Error::Start { name: name.to_owned(), source: missing() })
    }

    fn not_ready(&self, child: &Child, waited: Duration, missing: &str) -> Error {
        Error::NotReady {
            name: child.part.name.clone(),
            waited,
            missing: missing.to_owned(),
            log: child.log.clone(),
            tail: tail(&child.log),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.options.dir.join(name)
    }

    /// The router's configuration, and the keys for people who want to store submissions by hand.
    fn write_files(&self) -> Result<(), Error> {
        let options = &self.options;
        let endpoint = self.storage.endpoint();
        let seed = Seed::new(&options.images, &endpoint, &options.dirs, &options.versions, options.memory);
        let seed = seed.fetching(options.repositories.as_deref());
        let text = seed.text().map_err(std::io::Error::other);
        let config = self.file("router.yml");
        text.and_then(|text| fs::write(&config, text)).map_err(Error::file("write", &config))?;
        let export = |(name, value): &(&str, String)| format!("export {name}={value}\n");
        let keys: String = self.storage.environment().iter().map(export).collect();
        write_secret(&self.file("s3.env"), &keys)
    }
}

async fn end(children: &[&Child]) {
    children.iter().for_each(|child| child.ask_to_end(Signal::TERM));
    let all = async {
        for child in children {
            child.ended().await;
        }
    };
    // Those that are left are killed by the caller.
    let _ = tokio::time::timeout(END_WITHIN, all).await;
}

/// Directories on the way to a worker's are passable for all: jobs run as other users.
fn make_dirs(options: &Options) -> Result<(), Error> {
    let dir = &options.dir;
    let workers = options.workers.iter().map(|plan| format!("workers/{}", plan.name()));
    for name in ["log", "s3", "workers"].into_iter().map(str::to_owned).chain(workers) {
        let path = dir.join(name);
        fs::create_dir_all(&path).map_err(Error::file("make the directory", &path))?;
    }
    for (path, mode) in [(dir.clone(), 0o711), (dir.join("workers"), 0o711), (dir.join("s3"), 0o700)] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(Error::file("open", &path))?;
    }
    Ok(())
}

fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(Error::file("write", path))
}
