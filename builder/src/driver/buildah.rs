//! buildah: one process for each build, which writes the image out at its end.

use std::path::PathBuf;

use async_trait::async_trait;

use super::{Attempt, Driver, DriverKind, Error, Order, Tools, Unusable, dockerfile};
use crate::confine::Program;

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

    async fn make(&self, attempt: &Attempt<'_>) -> Result<(), Error> {
        attempt.step(&self.program(attempt.order)?).await
    }
}

impl Buildah {
    fn bud(&self, order: &Order) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["bud", "--isolation", "chroot", "--layers", "--format", "oci"].map(ToOwned::to_owned).into();
        let mut flag = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        flag("--timestamp", order.created.to_string());
        flag("--build-arg", format!("SOURCE_DATE_EPOCH={}", order.created));
        flag("--tag", format!("oci:{}:latest", order.output.display()));
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

    fn program(&self, order: &Order) -> Result<Program, Error> {
        let storage = self.state.join("storage").display().to_string();
        let running = self.state.join("run").display().to_string();
        let before = ["--root", &storage, "--runroot", &running, "--storage-driver", "overlay"];
        let before = before.into_iter().map(ToOwned::to_owned);
        Ok(Program {
            path: self.tools.find("buildah")?,
            arguments: before.chain(self.bud(order)).collect(),
            environment: self.tools.docker_environment(),
            home: self.state.join("home"),
            has_namespaces: true,
        })
    }
}
