//! Compares a build through Trackyard with the bare driver: the same files, the same driver with a warm cache, one file
//! changed. The bare driver does not fetch, check or release.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e::router::Router;
use e2e::stage::Stage;
use e2e::tooling::{SHELL, ToolingRepository, build, builder, config, tools};

use crate::ratio::Ratio;

const ROUNDS: usize = 7;
const TRACK: &str = "shell";
/// Makes the bare driver's layers reproducible, like Trackyard's.
const EPOCH: &str = "SOURCE_DATE_EPOCH=1700000000";
const BUILD_TIMEOUT: Duration = Duration::from_secs(60);

/// The measurements of one driver.
pub(crate) struct DriverResult {
    pub(crate) driver: &'static str,
    /// Trackyard's time divided by the bare driver's.
    pub(crate) ratio: Ratio,
    /// Trackyard's additional time in milliseconds.
    pub(crate) additional: Ratio,
    /// The bare driver's time divided by bare BuildKit's.
    pub(crate) against_buildkit: Ratio,
}

/// Measures all drivers.
pub(crate) fn measure() -> io::Result<Vec<DriverResult>> {
    let mut measured = Vec::new();
    for driver in ["buildkit", "img", "buildah"] {
        measured.push((driver, rounds(driver)?));
    }
    let buildkit: Vec<f64> = measured[0].1.iter().map(|(bare, _)| *bare).collect();
    let line = |(driver, rounds): (&'static str, Vec<(f64, f64)>)| DriverResult {
        driver,
        ratio: Ratio::of(rounds.iter().map(|(bare, whole)| whole / bare)),
        additional: Ratio::of(rounds.iter().map(|(bare, whole)| (whole - bare) * 1000.0)),
        against_buildkit: Ratio::of(rounds.iter().zip(&buildkit).map(|((bare, _), other)| bare / other)),
    };
    Ok(measured.into_iter().map(line).collect())
}

/// Returns the seconds of the bare driver and of Trackyard, measured in turn.
fn rounds(driver: &str) -> io::Result<Vec<(f64, f64)>> {
    let stage = Stage::new();
    let tooling = ToolingRepository::new(&stage, TRACK);
    let router = Router::start(&config(&stage));
    let _builder = builder("bench", driver).start(&router);
    let bare = BareDriver { driver: driver.to_owned(), state: stage.path("bare") };
    fs::create_dir_all(&bare.state)?;
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        // Like real steps, this one takes some time.
        tooling.write("Dockerfile", &format!("{SHELL}RUN echo {round} && sleep 0.5\n"));
        let sha = tooling.commit_all();
        let start = Instant::now();
        bare.build(tooling.dir())?;
        let bare_time = start.elapsed();
        let start = Instant::now();
        let answer = router.client().request(&build(TRACK, &sha), BUILD_TIMEOUT).map_err(io::Error::other)?;
        let trackyard_time = start.elapsed();
        if answer.response["status"] != "built" {
            return Err(io::Error::other(format!("not built: {:?}", answer.status)));
        }
        // The first round fills the caches.
        if round > 0 {
            rounds.push((bare_time.as_secs_f64(), trackyard_time.as_secs_f64()));
        }
    }
    Ok(rounds)
}

/// A driver without Trackyard.
struct BareDriver {
    driver: String,
    state: PathBuf,
}

impl BareDriver {
    fn build(&self, context: &Path) -> io::Result<()> {
        let output = self.state.join("out");
        let _ = fs::remove_dir_all(&output);
        let _ = fs::remove_file(&output);
        let context = context.display().to_string();
        let output = output.display().to_string();
        match self.driver.as_str() {
            "img" => self.img(&context, &output),
            "buildkit" => self.buildkit(&context, &output),
            _ => self.buildah(&context, &output),
        }
    }

    fn path(&self, name: &str) -> String {
        self.state.join(name).display().to_string()
    }

    fn img(&self, context: &str, output: &str) -> io::Result<()> {
        let state = self.path("img");
        let dest = format!("type=oci,dest={output}");
        let args =
            ["build", "--no-console", "--backend", "overlayfs", "--state", &state, "-t", "x", "-o", &dest];
        run(Command::new(tools().join("img")).args(args).args(["--build-arg", EPOCH]).arg(context))
    }

    fn buildkit(&self, context: &str, output: &str) -> io::Result<()> {
        let socket = self.state.join("d.sock");
        let _ = fs::remove_file(&socket);
        let address = format!("unix://{}", socket.display());
        let mut daemon = Command::new(tools().join("buildkitd"));
        daemon.args(["--addr", &address, "--root", &self.path("buildkit"), "--oci-worker-net", "host"]);
        let mut daemon = daemon.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        while UnixStream::connect(&socket).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let local = format!("context={context}");
        let file = format!("dockerfile={context}");
        let dest = format!("type=oci,tar=false,rewrite-timestamp=true,dest={output}");
        let args = ["--addr", &address, "build", "--progress", "plain", "--frontend", "dockerfile.v0"];
        let epoch = format!("build-arg:{EPOCH}");
        let mut client = Command::new(tools().join("buildctl"));
        client.args(args).args(["--local", &local, "--local", &file, "--opt", &epoch, "--output", &dest]);
        let built = run(&mut client);
        daemon.kill()?;
        daemon.wait()?;
        built
    }

    fn buildah(&self, context: &str, output: &str) -> io::Result<()> {
        let root = self.path("storage");
        let run_root = self.path("run");
        let storage = ["--root", &root, "--runroot", &run_root, "--storage-driver", "overlay"];
        let output = format!("oci:{output}:latest");
        let bud = ["bud", "--isolation", "chroot", "--layers", "--timestamp", "0", "--tag", &output];
        let labels = ["--label", "a=1", "--label", "b=2", "--label", "c=3"];
        run(Command::new("buildah").args(storage).args(bud).args(labels).arg(context))
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?} ended with {status}"))) }
}
