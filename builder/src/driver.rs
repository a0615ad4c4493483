//! Build drivers: img, BuildKit or buildah, behind one trait. Each writes an OCI image layout to a directory. No driver
//! ever gets a credential of the registry that images are released to.

mod build_run;
mod buildah;
mod buildkit;
pub(crate) mod dockerfile;
mod error;
mod img;
mod unpack;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
pub use build_run::BuildRun;
pub use error::DriverError;

/// Timeout of asking a program for its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(20);

/// A kind of driver.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::Display,
    strum::EnumIter,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[strum(serialize_all = "lowercase")]
pub enum DriverKind {
    /// `img`, which the original platform uses. Its last release was in 2020.
    Img,
    /// `buildkitd`, started for each build. Its cache is kept.
    Buildkit,
    /// `buildah`.
    Buildah,
}

/// The settings of drivers: their programs, and the registries and credentials for base images.
#[derive(Debug, Clone, Default)]
pub struct Tools {
    /// A directory that is searched before `PATH`.
    pub dir: Option<PathBuf>,
    /// A directory with a Docker `config.json` that has credentials for base images.
    pub docker_config: Option<PathBuf>,
    /// Registries for base images that use plain HTTP, as `host:port`. img does not support them.
    pub plain_registries: Vec<String>,
}

/// What to build.
#[derive(Debug, Clone)]
pub struct BuildSpec {
    /// The commit's files.
    pub context: PathBuf,
    /// The directory for the image layout, which must not exist.
    pub output: PathBuf,
    /// The commit's time in seconds since 1970, for reproducible builds.
    pub source_date_epoch: u64,
    /// The image's labels.
    pub labels: BTreeMap<String, String>,
    /// How long a program may print nothing.
    pub idle_timeout: Duration,
    /// The directory that holds all that the build reads and writes.
    pub dir: PathBuf,
    /// Maximum growth of `dir` in bytes.
    pub max_disk_bytes: u64,
}

/// A driver cannot be used on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; {remedy}")]
pub struct DriverUnavailable {
    /// The reason.
    pub reason: String,
    /// How to fix it.
    pub remedy: String,
}

/// Builds an image from a commit's files.
#[async_trait]
pub trait Driver: Debug + Send + Sync {
    /// Returns the kind of the driver.
    fn kind(&self) -> DriverKind;

    /// Returns the program's version.
    ///
    /// # Errors
    /// If the driver cannot be used on this machine.
    async fn probe(&self) -> Result<String, DriverUnavailable>;

    /// Builds the image. No process of the build is running when this returns.
    ///
    /// # Errors
    /// If the Dockerfile cannot be built, or not by this driver, or the build exceeds a limit.
    async fn build(&self, run: &BuildRun<'_>) -> Result<(), DriverError> {
        dockerfile::check(&run.spec.context, self.kind())?;
        let built = self.build_image(run).await;
        let killed = run.cgroup.kill();
        built?;
        killed.map_err(DriverError::io("end the build"))
    }

    /// Builds the image. Processes of the build may still be running when this returns.
    #[doc(hidden)]
    async fn build_image(&self, run: &BuildRun<'_>) -> Result<(), DriverError>;
}

/// Opens a driver with its state in `state`, which only one build at a time may use.
#[must_use]
pub fn open(kind: DriverKind, tools: &Tools, state: &Path) -> Box<dyn Driver> {
    let tools = tools.clone();
    let state = state.to_owned();
    match kind {
        DriverKind::Img => Box::new(img::Img { tools, state }),
        DriverKind::Buildkit => Box::new(buildkit::Buildkit { tools, state }),
        DriverKind::Buildah => Box::new(buildah::Buildah { tools, state }),
    }
}

impl Tools {
    /// Returns the path of a program.
    fn find(&self, name: &str) -> Result<PathBuf, DriverUnavailable> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = self.dir.iter().cloned().chain(std::env::split_paths(&path));
        let mut found = dirs.map(|dir| dir.join(name)).filter(|file| file.is_file());
        found.next().ok_or_else(|| DriverUnavailable {
            reason: format!("{name} is not installed"),
            remedy: format!("install it, or name its directory with --tools; `make setup` installs {name}"),
        })
    }

    /// Returns the first line that a program prints about its version.
    async fn version(&self, name: &str, args: &[&str]) -> Result<String, DriverUnavailable> {
        let program = self.find(name)?;
        let run = tokio::process::Command::new(&program).args(args).output();
        let failed = |reason: String| DriverUnavailable {
            reason,
            remedy: format!("run {} by hand", program.display()),
        };
        match tokio::time::timeout(VERSION_TIMEOUT, run).await {
            Ok(Ok(output)) if output.status.success() => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                Ok(text.lines().next().unwrap_or_default().trim().to_owned())
            }
            Ok(Ok(output)) => Err(failed(format!("{name} ends with {}", output.status))),
            Ok(Err(error)) => Err(failed(format!("{name} does not start: {error}"))),
            Err(_) => Err(failed(format!("{name} does not answer"))),
        }
    }

    fn docker_env(&self) -> Vec<(&'static str, String)> {
        let config = self.docker_config.iter();
        config.map(|dir| ("DOCKER_CONFIG", dir.display().to_string())).collect()
    }
}
