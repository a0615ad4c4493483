//! BuildKit: one daemon per build, in the build's cgroup. It is ready within a tenth of a second, and its cache is
//! in its state directory, so nothing needs to keep running between builds.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::build_run::OutputTail;
use super::{BuildRun, BuildSpec, Driver, DriverError, DriverKind, DriverUnavailable, Tools};
use crate::confine::{Program, spawn_daemon};

/// Timeout of the start of the daemon.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Interval between two attempts to connect to the daemon.
const CONNECT_INTERVAL: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Buildkit {
    pub(super) tools: Tools,
    pub(super) state: PathBuf,
}

#[async_trait]
impl Driver for Buildkit {
    fn kind(&self) -> DriverKind {
        DriverKind::Buildkit
    }

    async fn probe(&self) -> Result<String, DriverUnavailable> {
        self.tools.version("runc", &["--version"]).await?;
        self.tools.version("buildctl", &["--version"]).await?;
        self.tools.version("buildkitd", &["--version"]).await
    }

    async fn build_image(&self, run: &BuildRun<'_>) -> Result<(), DriverError> {
        fs::create_dir_all(&self.state).map_err(DriverError::io("create the state directory"))?;
        let _ = fs::remove_file(self.socket());
        let mut lines = spawn_daemon(&self.daemon()?, run.cgroup)?;
        tokio::select! {
            () = run.stop.cancelled() => return Err(DriverError::Cancelled),
            ready = self.wait_until_ready(&mut lines) => ready?,
        }
        let client = self.client(run.spec)?;
        let build = run.run_program(&client);
        tokio::pin!(build);
        // The daemon blocks unless its output is read.
        let daemon_output = OutputTail::default();
        let mut is_running = true;
        loop {
            tokio::select! {
                built = &mut build => return match built {
                    Err(DriverError::Failed { .. }) if !is_running => Err(broken(&daemon_output)),
                    built => built,
                },
                line = lines.recv(), if is_running => match line {
                    Some(line) => daemon_output.push(&line),
                    None => is_running = false,
                }
            }
        }
    }
}

impl Buildkit {
    /// Waits until the daemon accepts connections.
    async fn wait_until_ready(&self, lines: &mut mpsc::Receiver<String>) -> Result<(), DriverError> {
        let tail = OutputTail::default();
        let deadline = tokio::time::Instant::now() + START_TIMEOUT;
        while UnixStream::connect(self.socket()).await.is_err() {
            tokio::select! {
                line = lines.recv() => match line {
                    Some(line) => tail.push(&line),
                    None => return Err(broken(&tail)),
                },
                () = tokio::time::sleep(CONNECT_INTERVAL) => {}
                () = tokio::time::sleep_until(deadline) => return Err(broken(&tail)),
            }
        }
        Ok(())
    }

    fn daemon(&self) -> Result<Program, DriverError> {
        let config = self.state.join("buildkitd.toml");
        fs::write(&config, self.config()).map_err(DriverError::io("write buildkitd's configuration"))?;
        let root = self.state.join("buildkit").display().to_string();
        let args = ["--addr", &self.address(), "--root", &root, "--config", &config.display().to_string()];
        Ok(Program {
            path: self.tools.find("buildkitd")?,
            args: args.map(ToOwned::to_owned).into(),
            env: Vec::new(),
            home: self.state.join("home"),
            has_namespaces: true,
        })
    }

    /// Returns the configuration. It names a trace socket, because daemons that start together cannot share the default.
    fn config(&self) -> String {
        let traces = self.state.join("t.sock").display().to_string();
        let mut text = format!(
            "[worker.oci]\nenabled = true\nnetworkMode = \"host\"\n[worker.containerd]\nenabled = false\n\
             [otel]\nsocketPath = {traces:?}\n"
        );
        for registry in &self.tools.plain_registries {
            let _ = writeln!(text, "[registry.{registry:?}]\nhttp = true");
        }
        text
    }

    fn client(&self, spec: &BuildSpec) -> Result<Program, DriverError> {
        let context = spec.context.display();
        let mut args = vec!["--addr".to_owned(), self.address(), "build".to_owned()];
        let mut flag = |name: &str, value: String| args.extend([name.to_owned(), value]);
        flag("--progress", "plain".to_owned());
        flag("--frontend", "dockerfile.v0".to_owned());
        flag("--local", format!("context={context}"));
        flag("--local", format!("dockerfile={context}"));
        flag("--opt", format!("build-arg:SOURCE_DATE_EPOCH={}", spec.source_date_epoch));
        for (name, value) in &spec.labels {
            flag("--opt", format!("label:{name}={value}"));
        }
        let output = format!("type=oci,tar=false,rewrite-timestamp=true,dest={}", spec.output.display());
        flag("--output", output);
        Ok(Program {
            path: self.tools.find("buildctl")?,
            args,
            env: self.tools.docker_env(),
            home: self.state.join("home"),
            has_namespaces: false,
        })
    }

    fn socket(&self) -> PathBuf {
        self.state.join("d.sock")
    }

    fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }
}

/// The error of a daemon that ended or did not start.
fn broken(tail: &OutputTail) -> DriverError {
    DriverError::Broken { driver: DriverKind::Buildkit, output: tail.text() }
}
