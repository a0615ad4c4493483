//! buildah: one process per build, which writes the image at its end.

use std::path::PathBuf;

use async_trait::async_trait;

use super::{BuildRun, BuildSpec, Driver, DriverError, DriverKind, DriverUnavailable, Tools, dockerfile};
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

    async fn probe(&self) -> Result<String, DriverUnavailable> {
        self.tools.version("buildah", &["--version"]).await
    }

    async fn build_image(&self, run: &BuildRun<'_>) -> Result<(), DriverError> {
        run.run_program(&self.program(run.spec)?).await
    }
}

impl Buildah {
    fn build_args(&self, spec: &BuildSpec) -> Vec<String> {
        let mut args: Vec<String> =
            ["bud", "--isolation", "chroot", "--layers", "--format", "oci"].map(ToOwned::to_owned).into();
        let mut flag = |name: &str, value: String| args.extend([name.to_owned(), value]);
        flag("--timestamp", spec.source_date_epoch.to_string());
        flag("--build-arg", format!("SOURCE_DATE_EPOCH={}", spec.source_date_epoch));
        flag("--tag", format!("oci:{}:latest", spec.output.display()));
        flag("--file", spec.context.join(dockerfile::FILE_NAME).display().to_string());
        for (name, value) in &spec.labels {
            flag("--label", format!("{name}={value}"));
        }
        if !self.tools.plain_registries.is_empty() {
            flag("--tls-verify", "false".to_owned());
        }
        args.push(spec.context.display().to_string());
        args
    }

    fn program(&self, spec: &BuildSpec) -> Result<Program, DriverError> {
        let storage = self.state.join("storage").display().to_string();
        let run_root = self.state.join("run").display().to_string();
        let global_args = ["--root", &storage, "--runroot", &run_root, "--storage-driver", "overlay"];
        let global_args = global_args.into_iter().map(ToOwned::to_owned);
        Ok(Program {
            path: self.tools.find("buildah")?,
            args: global_args.chain(self.build_args(spec)).collect(),
            env: self.tools.docker_env(),
            home: self.state.join("home"),
            has_namespaces: true,
        })
    }
}
