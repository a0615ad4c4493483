//! What builds: img, BuildKit or buildah, behind one trait. Each leaves an OCI image layout in a directory, and is never
//! given a credential of the registry that images are released to.

mod attempt;
mod buildah;
mod buildkit;
pub(crate) mod dockerfile;
mod error;
mod img;
mod tail;
mod unpack;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
pub use attempt::Attempt;
pub use error::Error;

/// What builds.
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
    /// The one that the original platform uses. Its last release is of 2020.
    Img,
    /// `buildkitd`, started for each build, its cache kept.
    Buildkit,
    /// `buildah`.
    Buildah,
}

/// Where the drivers' programs are, and what they may use.
#[derive(Debug, Clone, Default)]
pub struct Tools {
    /// A directory that is looked into before `PATH`.
    pub dir: Option<PathBuf>,
    /// A directory with a `config.json` as Docker has it: credentials for base images.
    pub docker_config: Option<PathBuf>,
    /// Registries for base images that speak plain HTTP, as `host:port`. img can use none of them.
    pub plain_registries: Vec<String>,
}

/// What to build.
#[derive(Debug, Clone)]
pub struct Order {
    /// The commit's files.
    pub context: PathBuf,
    /// The directory that gets the image layout; it is not there yet.
    pub output: PathBuf,
    /// The commit's time, seconds since 1970.
    pub created: u64,
    /// The image's labels.
    pub labels: BTreeMap<String, String>,
    /// How long nothing may be printed.
    pub idle: Duration,
    /// The directory that holds all that the build reads and writes.
    pub dir: PathBuf,
    /// Bytes by which it may grow.
    pub disk: u64,
}

/// Why a driver cannot be used on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}; {remedy}")]
pub struct Unusable {
    /// What is missing.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

/// What turns a commit's files into an image.
#[async_trait]
pub trait Driver: Debug + Send + Sync {
    /// Which one it is.
    fn kind(&self) -> DriverKind;

    /// The program's version.
    ///
    /// # Errors
    /// When it cannot be used here.
    async fn probe(&self) -> Result<String, Unusable>;

    /// Builds. When this returns, nothing of the build runs any more.
    ///
    /// # Errors
    /// When the Dockerfile cannot be built, or not by this driver, or takes more than it may.
    async fn build(&self, attempt: &Attempt<'_>) -> Result<(), Error> {
        dockerfile::check(&attempt.order.context, self.kind())?;
        let made = self.make(attempt).await;
        let killed = attempt.cage.kill();
        made?;
        killed.map_err(Error::io("end the build"))
    }

    /// Builds what can be built. What it started may still run.
    #[doc(hidden)]
    async fn make(&self, attempt: &Attempt<'_>) -> Result<(), Error>;
}

/// The driver of a kind, with its state in `state`: one build at a time uses it.
#[must_use]
pub fn open(kind: DriverKind, tools: &Tools, state: &Path) -> Box<dyn Driver> {
    let (tools, state) = (tools.clone(), state.to_owned());
    match kind {
        DriverKind::Img => Box::new(img::Img { tools, state }),
        DriverKind::Buildkit => Box::new(buildkit::Buildkit { tools, state }),
        DriverKind::Buildah => Box::new(buildah::Buildah { tools, state }),
    }
}

impl Tools {
    /// Where a program is.
    fn find(&self, name: &str) -> Result<PathBuf, Unusable> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = self.dir.iter().cloned().chain(std::env::split_paths(&path));
        let mut found = dirs.map(|dir| dir.join(name)).filter(|file| file.is_file());
        found.next().ok_or_else(|| Unusable {
            why: format!("{name} is not there"),
            remedy: format!("install it, or name its directory with --tools; `make setup` installs {name}"),
        })
    }

    /// The first line that a program prints about itself.
    async fn version(&self, name: &str, arguments: &[&str]) -> Result<String, Unusable> {
        let program = self.find(name)?;
        let run = tokio::process::Command::new(&program).args(arguments).output();
        let failed = |why: String| Unusable { why, remedy: format!("run {} by hand", program.display()) };
        match tokio::time::timeout(Duration::from_secs(20), run).await {
            Ok(Ok(output)) if output.status.success() => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                Ok(text.lines().next().unwrap_or_default().trim().to_owned())
            }
            Ok(Ok(output)) => Err(failed(format!("{name} ends with {}", output.status))),
            Ok(Err(error)) => Err(failed(format!("{name} does not start: {error}"))),
            Err(_) => Err(failed(format!("{name} does not answer"))),
        }
    }

    fn docker_environment(&self) -> Vec<(&'static str, String)> {
        let config = self.docker_config.iter();
        config.map(|dir| ("DOCKER_CONFIG", dir.display().to_string())).collect()
    }
}
