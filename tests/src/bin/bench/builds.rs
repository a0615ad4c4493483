//! A build through Trackyard against the bare driver: the same commit's files, the same driver, its cache warm, one file
//! changed. The bare driver neither fetches, nor checks, nor releases.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e::router::Router;
use e2e::stage::Stage;
use e2e::tooling::{SHELL, Tooling, build, builder, config, tools};

use crate::ratio::Ratio;

const ROUNDS: usize = 7;
const TRACK: &str = "shell";
/// What makes the same commit the same layers, for the bare driver too.
const EPOCH: &str = "SOURCE_DATE_EPOCH=1700000000";
const PATIENCE: Duration = Duration::from_secs(60);

/// One driver's figures.
pub(crate) struct Line {
    pub(crate) driver: &'static str,
    /// Trackyard's time by the bare driver's.
    pub(crate) ratio: Ratio,
    /// What it takes more, in milliseconds.
    pub(crate) more: Ratio,
    /// The bare driver's time by BuildKit's.
    pub(crate) against_buildkit: Ratio,
}

/// Measures all drivers.
pub(crate) fn measure() -> io::Result<Vec<Line>> {
    let mut measured = Vec::new();
    for driver in ["buildkit", "img", "buildah"] {
        measured.push((driver, rounds(driver)?));
    }
    let buildkit: Vec<f64> = measured[0].1.iter().map(|(bare, _)| *bare).collect();
    let line = |(driver, rounds): (&'static str, Vec<(f64, f64)>)| Line {
        driver,
        ratio: Ratio::of(rounds.iter().map(|(bare, whole)| whole / bare)),
        more: Ratio::of(rounds.iter().map(|(bare, whole)| (whole - bare) * 1000.0)),
        against_buildkit: Ratio::of(rounds.iter().zip(&buildkit).map(|((bare, _), other)| bare / other)),
    };
    Ok(measured.into_iter().map(line).collect())
}

/// The bare driver's and Trackyard's seconds, in turn.
fn rounds(driver: &str) -> io::Result<Vec<(f64, f64)>> {
    let stage = Stage::new();
    let tooling = Tooling::new(&stage, TRACK);
    let router = Router::start(&config(&stage));
    let _builder = builder("bench", driver).start(&router);
    let bare = Bare { driver: driver.to_owned(), state: stage.path("bare") };
    fs::create_dir_all(&bare.state)?;
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        // A step that takes some time, as real ones do.
        tooling.write("Dockerfile", &format!("{SHELL}RUN echo {round} && sleep 0.5\n"));
        let sha = tooling.commit_all();
        let start = Instant::now();
        bare.build(tooling.dir())?;
        let alone = start.elapsed();
        let start = Instant::now();
        let answer = router.client().request(&build(TRACK, &sha), PATIENCE).map_err(io::Error::other)?;
        let whole = start.elapsed();
        if answer.response["status"] != "built" {
            return Err(io::Error::other(format!("not built: {:?}", answer.status)));
        }
        // The first one fills the caches.
        if round > 0 {
            rounds.push((alone.as_secs_f64(), whole.as_secs_f64()));
        }
    }
    Ok(rounds)
}

/// A driver by itself.
struct Bare {
    driver: String,
    state: PathBuf,
}

impl Bare {
    fn build(&self, context: &Path) -> io::Result<()> {
        let output = self.state.join("out");
        let _ = fs::remove_dir_all(&output);
        let _ = fs::remove_file(&output);
        let (context, output) = (context.display().to_string(), output.display().to_string());
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
        let (state, dest) = (self.path("img"), format!("type=oci,dest={output}"));
        let words =
            ["build", "--no-console", "--backend", "overlayfs", "--state", &state, "-t", "x", "-o", &dest];
        run(Command::new(tools().join("img")).args(words).args(["--build-arg", EPOCH]).arg(context))
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
        let (local, file) = (format!("context={context}"), format!("dockerfile={context}"));
        let dest = format!("type=oci,tar=false,rewrite-timestamp=true,dest={output}");
        let words = ["--addr", &address, "build", "--progress", "plain", "--frontend", "dockerfile.v0"];
        let epoch = format!("build-arg:{EPOCH}");
        let mut client = Command::new(tools().join("buildctl"));
        client.args(words).args(["--local", &local, "--local", &file, "--opt", &epoch, "--output", &dest]);
        let built = run(&mut client);
        daemon.kill()?;
        daemon.wait()?;
        built
    }

    fn buildah(&self, context: &str, output: &str) -> io::Result<()> {
        let (root, running) = (self.path("storage"), self.path("run"));
        let own = ["--root", &root, "--runroot", &running, "--storage-driver", "overlay"];
        let output = format!("oci:{output}:latest");
        let bud = ["bud", "--isolation", "chroot", "--layers", "--timestamp", "0", "--tag", &output];
        let labels = ["--label", "a=1", "--label", "b=2", "--label", "c=3"];
        run(Command::new("buildah").args(own).args(bud).args(labels).arg(context))
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?} ends with {status}"))) }
}
