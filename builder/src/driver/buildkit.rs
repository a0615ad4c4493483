//! BuildKit: a daemon for each build, in the build's own cage. It is ready within a tenth of a second, and its cache is
//! in its state directory, so nothing has to stay between builds.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::tail::Tail;
use super::{Attempt, Driver, DriverKind, Error, Order, Tools, Unusable};
use crate::confine::{Program, start};

/// How long the daemon may take to be ready.
const START: Duration = Duration::from_secs(20);
/// Between two tries to reach it.
const POLL: Duration = Duration::from_millis(10);

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

    async fn probe(&self) -> Result<String, Unusable> {
        self.tools.version("runc", &["--version"]).await?;
        self.tools.version("buildctl", &["--version"]).await?;
        self.tools.version("buildkitd", &["--version"]).await
    }

    async fn make(&self, attempt: &Attempt<'_>) -> Result<(), Error> {
        fs::create_dir_all(&self.state).map_err(Error::io("make the state directory"))?;
        let _ = fs::remove_file(self.socket());
        let mut said = start(&self.daemon()?, attempt.cage)?;
        tokio::select! {
            () = attempt.stop.cancelled() => return Err(Error::Cancelled),
            ready = self.ready(&mut said) => ready?,
        }
        let client = self.client(attempt.order)?;
        let building = attempt.step(&client);
        tokio::pin!(building);
        // What the daemon prints must be taken, or it stands still.
        let daemon = Tail::default();
        let mut serving = true;
        loop {
            tokio::select! {
                built = &mut building => return match built {
                    Err(Error::Failed { .. }) if !serving => Err(broken(&daemon)),
                    built => built,
                },
                printed = said.recv(), if serving => match printed {
                    Some(printed) => daemon.push(&printed),
                    None => serving = false,
                }
            }
        }
    }
}

impl Buildkit {
    /// Waits until the daemon takes connections.
    async fn ready(&self, said: &mut mpsc::Receiver<String>) -> Result<(), Error> {
        let tail = Tail::default();
        let deadline = tokio::time::Instant::now() + START;
        while UnixStream::connect(self.socket()).await.is_err() {
            tokio::select! {
                line = said.recv() => match line {
                    Some(line) => tail.push(&line),
                    None => return Err(broken(&tail)),
                },
                () = tokio::time::sleep(POLL) => {}
                () = tokio::time::sleep_until(deadline) => return Err(broken(&tail)),
            }
        }
        Ok(())
    }

    fn daemon(&self) -> Result<Program, Error> {
        let config = self.state.join("buildkitd.toml");
        fs::write(&config, self.config()).map_err(Error::io("write buildkitd's configuration"))?;
        let root = self.state.join("buildkit").display().to_string();
        let arguments =
            ["--addr", &self.address(), "--root", &root, "--config", &config.display().to_string()];
        Ok(Program {
            path: self.tools.find("buildkitd")?,
            arguments: arguments.map(ToOwned::to_owned).into(),
            environment: Vec::new(),
            home: self.state.join("home"),
            has_namespaces: true,
        })
    }

    /// The trace socket too is its own: where several daemons start at once, only one gets the usual one.
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

    fn client(&self, order: &Order) -> Result<Program, Error> {
        let context = order.context.display();
        let mut arguments = vec!["--addr".to_owned(), self.address(), "build".to_owned()];
        let mut flag = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        flag("--progress", "plain".to_owned());
        flag("--frontend", "dockerfile.v0".to_owned());
        flag("--local", format!("context={context}"));
        flag("--local", format!("dockerfile={context}"));
        flag("--opt", format!("build-arg:SOURCE_DATE_EPOCH={}", order.created));
        for (name, value) in &order.labels {
            flag("--opt", format!("label:{name}={value}"));
        }
        let output = format!("type=oci,tar=false,rewrite-timestamp=true,dest={}", order.output.display());
        flag("--output", output);
        Ok(Program {
            path: self.tools.find("buildctl")?,
            arguments,
            environment: self.tools.docker_environment(),
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

/// The daemon ended by itself.
fn broken(tail: &Tail) -> Error {
    Error::Broken { driver: DriverKind::Buildkit, said: tail.text() }
}
