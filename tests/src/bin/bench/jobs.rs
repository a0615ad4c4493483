//! Compares a job whose container does almost nothing, from request to answer, with a bare `runc run` of the same files
//! and command.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e::image::Image;
use e2e::request::{expect, test_solution};
use e2e::router::Router;
use e2e::stage::Stage;
use e2e::worker::WorkerOptions;
use serde_json::json;

use crate::ratio::Ratio;

const ROUNDS: usize = 9;
const JOBS: u32 = 10;
const SCRIPT: &str = r#"echo '{"version":2}' > "$2/results.json""#;

/// Returns the wall time of a job divided by that of `runc run`.
pub(crate) fn measure() -> io::Result<Ratio> {
    let stage = Stage::new();
    let version = stage.test_runner("ruby", '1', SCRIPT);
    let uri = stage.submission("nothing", &[("two_fer.rb", "")]);
    let router = Router::start(&stage.config().deployed("test_runners", "ruby", &[&version]));
    let worker = WorkerOptions::new("bench").start(&router);
    let bundle = stage.path("bundle");
    make_bundle(&bundle)?;
    let client = router.client();
    let mut ratios = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let start = Instant::now();
        for job in 0..JOBS {
            let request = test_solution(&format!("{round}-{job}"), "ruby", &uri, &version);
            let answer = client.request(&request, Duration::from_secs(30)).map_err(io::Error::other)?;
            expect(&answer, 200, "ok");
        }
        let job_time = start.elapsed();
        let start = Instant::now();
        for job in 0..JOBS {
            run_bare(&bundle, &format!("trackyard-bench-{}-{round}-{job}", std::process::id()))?;
        }
        ratios.push(job_time.as_secs_f64() / start.elapsed().as_secs_f64());
    }
    drop(worker);
    Ok(Ratio::of(ratios.into_iter()))
}

fn make_bundle(bundle: &Path) -> io::Result<()> {
    let rootfs = bundle.join("rootfs");
    fs::create_dir_all(rootfs.join("mnt/exercism-iteration"))?;
    for layer in Image::tooling("test_runners", SCRIPT).layers() {
        let archive = bundle.join("layer.tar.gz");
        fs::write(&archive, &layer.blob)?;
        run_ok(Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(&rootfs))?;
    }
    run_ok(Command::new("runc").arg("spec").arg("--bundle").arg(bundle))?;
    let path = bundle.join("config.json");
    let mut spec: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
    let dir = "/mnt/exercism-iteration/";
    spec["process"]["terminal"] = json!(false);
    spec["process"]["cwd"] = json!("/opt/test-runner");
    spec["process"]["args"] = json!(["bin/run.sh", "two-fer", dir, dir]);
    if let Some(mounts) = spec["mounts"].as_array_mut() {
        let options = ["nosuid", "nodev", "size=64m"];
        mounts.push(json!({"destination": dir, "type": "tmpfs", "source": "tmpfs", "options": options}));
    }
    fs::write(path, spec.to_string())
}

fn run_bare(bundle: &Path, id: &str) -> io::Result<()> {
    run_ok(Command::new("runc").args(["run", "--bundle"]).arg(bundle).arg(id))
}

fn run_ok(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {error}"))) }
}
