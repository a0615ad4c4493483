//! img: one process for each build, its state in a folder that only one build at a time may use.

use std::fs;
use std::path::PathBuf;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::tail::Tail;
use super::{Driver, DriverKind, Error, Order, Tools, Unusable, dockerfile, unpack};
use crate::confine::{Bounds, Cage, Line, Program, run};

/// The name that img wants; nobody sees it.
const NAME: &str = "trackyard.invalid/build:latest";

#[derive(Debug)]
pub(super) struct Img {
    pub(super) tools: Tools,
    pub(super) state: PathBuf,
}

#[async_trait]
impl Driver for Img {
    fn kind(&self) -> DriverKind {
        DriverKind::Img
    }

    async fn probe(&self) -> Result<String, Unusable> {
        self.tools.version("runc", &["--version"]).await?;
        self.tools.version("img", &["version"]).await
    }

    async fn build(
        &self,
        order: &Order,
        cage: &dyn Cage,
        line: &Line<'_>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        dockerfile::check(&order.context, DriverKind::Img)?;
        let archive = order.output.with_extension("tar");
        let _ = fs::remove_file(&archive);
        let tail = Tail::default();
        let told = |text: &str| {
            tail.push(text);
            line(text);
        };
        let program = self.program(order, &archive)?;
        let bounds = Bounds { idle: order.idle, disk: order.disk, folder: self.state.clone() };
        let code = run(&program, cage, &bounds, &told, stop).await;
        let _ = cage.kill();
        if code? != Some(0) {
            return Err(Error::Failed { said: tail.text() });
        }
        let (from, into) = (archive.clone(), order.output.clone());
        let unpacked = tokio::task::spawn_blocking(move || unpack::unpack(&from, &into)).await;
        let _ = fs::remove_file(&archive);
        unpacked.unwrap_or_else(|error| Err(error.into())).map_err(Error::io("read what img wrote"))
    }
}

impl Img {
    fn program(&self, order: &Order, archive: &std::path::Path) -> Result<Program, Error> {
        let mut arguments: Vec<String> =
            ["build", "--no-console", "--backend", "overlayfs", "--state"].map(ToOwned::to_owned).into();
        arguments.push(self.state.join("img").display().to_string());
        arguments.extend(["-f".to_owned(), order.context.join(dockerfile::NAME).display().to_string()]);
        arguments.extend(["-t".to_owned(), NAME.to_owned()]);
        for (name, value) in &order.labels {
            arguments.extend(["--label".to_owned(), format!("{name}={value}")]);
        }
        arguments.extend(["--build-arg".to_owned(), format!("SOURCE_DATE_EPOCH={}", order.created)]);
        arguments.extend(["-o".to_owned(), format!("type=oci,dest={}", archive.display())]);
        arguments.push(order.context.display().to_string());
        let home = self.state.join("home");
        Ok(Program {
            path: self.tools.find("img")?,
            arguments,
            environment: self.tools.docker_environment(),
            home,
            has_namespaces: true,
        })
    }
}
