//! buildah: a process to build, and one to write the image out.

use std::path::PathBuf;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::tail::Tail;
use super::{Driver, DriverKind, Error, Order, Tools, Unusable, dockerfile};
use crate::confine::{Bounds, Cage, Line, Program, run};

/// The image's name in buildah's own storage.
const NAME: &str = "localhost/trackyard-build:latest";

#[derive(Debug)]
pub(super) struct Buildah {
    pub(super) tools: Tools,
    pub(super) state: PathBuf,
}

#[async_trait]
impl Driver for Buildah {
    fn kind(&self) -> DriverKind {
        DriverKind::Buildah
    }

    async fn probe(&self) -> Result<String, Unusable> {
        self.tools.version("buildah", &["--version"]).await
    }

    async fn build(
        &self,
        order: &Order,
        cage: &dyn Cage,
        line: &Line<'_>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        dockerfile::check(&order.context, DriverKind::Buildah)?;
        let built = async {
            self.step(order, self.bud(order), cage, line, stop).await?;
            let output = format!("oci:{}:latest", order.output.display());
            self.step(order, vec!["push".to_owned(), NAME.to_owned(), output], cage, line, stop).await
        };
        let built = built.await;
        let killed = cage.kill();
        built?;
        killed.map_err(Error::io("end the build"))
    }
}

impl Buildah {
    async fn step(
        &self,
        order: &Order,
        arguments: Vec<String>,
        cage: &dyn Cage,
        line: &Line<'_>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let tail = Tail::default();
        let told = |text: &str| {
            tail.push(text);
            line(text);
        };
        let bounds = Bounds { idle: order.idle, disk: order.disk, folder: self.state.clone() };
        match run(&self.program(arguments)?, cage, &bounds, &told, stop).await? {
            Some(0) => Ok(()),
            _ => Err(Error::Failed { said: tail.text() }),
        }
    }

    fn bud(&self, order: &Order) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["bud", "--isolation", "chroot", "--layers", "--format", "oci"].map(ToOwned::to_owned).into();
        let mut flag = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        flag("--timestamp", order.created.to_string());
        flag("--build-arg", format!("SOURCE_DATE_EPOCH={}", order.created));
        flag("--tag", NAME.to_owned());
        flag("--file", order.context.join(dockerfile::NAME).display().to_string());
        for (name, value) in &order.labels {
            flag("--label", format!("{name}={value}"));
        }
        if !self.tools.plain_registries.is_empty() {
            flag("--tls-verify", "false".to_owned());
        }
        arguments.push(order.context.display().to_string());
        arguments
    }

    fn program(&self, arguments: Vec<String>) -> Result<Program, Error> {
        let storage = self.state.join("storage").display().to_string();
        let running = self.state.join("run").display().to_string();
        let before = ["--root", &storage, "--runroot", &running, "--storage-driver", "overlay"];
        let before = before.into_iter().map(ToOwned::to_owned);
        Ok(Program {
            path: self.tools.find("buildah")?,
            arguments: before.chain(arguments).collect(),
            environment: self.tools.docker_environment(),
            home: self.state.join("home"),
            has_namespaces: true,
        })
    }
}
