//! img: one process for each build, its state in a directory that only one build at a time may use.

use std::fs;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{Attempt, Driver, DriverKind, Error, Order, Tools, Unusable, dockerfile, unpack};
use crate::confine::Program;

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

    async fn make(&self, attempt: &Attempt<'_>) -> Result<(), Error> {
        let order = attempt.order;
        let archive = order.output.with_extension("tar");
        let _ = fs::remove_file(&archive);
        attempt.step(&self.program(order, &archive)?).await?;
        let (from, into) = (archive.clone(), order.output.clone());
        let unpacked = tokio::task::spawn_blocking(move || unpack::unpack(&from, &into)).await;
        let _ = fs::remove_file(&archive);
        unpacked.unwrap_or_else(|error| Err(error.into())).map_err(Error::io("read what img wrote"))
    }
}

impl Img {
    fn program(&self, order: &Order, archive: &Path) -> Result<Program, Error> {
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
