//! img: one process per build, with its state in a directory that only one build at a time may use.

use std::fs;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{
    BuildRun, BuildSpec, Driver, DriverError, DriverKind, DriverUnavailable, Tools, dockerfile, unpack,
};
use crate::confine::Program;

/// img requires an image name, which is not used otherwise.
const IMAGE_NAME: &str = "trackyard.invalid/build:latest";

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

    async fn probe(&self) -> Result<String, DriverUnavailable> {
        self.tools.version("runc", &["--version"]).await?;
        self.tools.version("img", &["version"]).await
    }

    async fn build_image(&self, run: &BuildRun<'_>) -> Result<(), DriverError> {
        let spec = run.spec;
        let archive = spec.output.with_extension("tar");
        let _ = fs::remove_file(&archive);
        run.run_program(&self.program(spec, &archive)?).await?;
        let from = archive.clone();
        let into = spec.output.clone();
        let unpacked = tokio::task::spawn_blocking(move || unpack::unpack(&from, &into)).await;
        let _ = fs::remove_file(&archive);
        unpacked
            .unwrap_or_else(|error| Err(error.into()))
            .map_err(DriverError::io("unpack the archive that img wrote"))
    }
}

impl Img {
    fn program(&self, spec: &BuildSpec, archive: &Path) -> Result<Program, DriverError> {
        let mut args: Vec<String> =
            ["build", "--no-console", "--backend", "overlayfs", "--state"].map(ToOwned::to_owned).into();
        args.push(self.state.join("img").display().to_string());
        args.extend(["-f".to_owned(), spec.context.join(dockerfile::FILE_NAME).display().to_string()]);
        args.extend(["-t".to_owned(), IMAGE_NAME.to_owned()]);
        for (name, value) in &spec.labels {
            args.extend(["--label".to_owned(), format!("{name}={value}")]);
        }
        args.extend(["--build-arg".to_owned(), format!("SOURCE_DATE_EPOCH={}", spec.source_date_epoch)]);
        args.extend(["-o".to_owned(), format!("type=oci,dest={}", archive.display())]);
        args.push(spec.context.display().to_string());
        let home = self.state.join("home");
        Ok(Program {
            path: self.tools.find("img")?,
            args,
            env: self.tools.docker_env(),
            home,
            has_namespaces: true,
        })
    }
}
