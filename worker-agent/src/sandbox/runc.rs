//! Starts a container with `runc` and waits for its first process.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use oci_spec::runtime::Spec;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};
use tokio::io::unix::AsyncFd;
use tokio::process::Command;

use super::error::SandboxError;
use super::verdict::{ExecError, ExitStatus};
use crate::sys;

/// How long `runc` may take to start a container. It takes milliseconds on a healthy machine.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a killed `runc` may take to exit.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum bytes that are read of `runc`'s log.
const MAX_LOG_BYTES: u64 = 64 << 10;

/// `runc`, with a slot's directories for it.
///
/// Dropping it removes the state that `runc` keeps of the container. Drop it when the container's processes and control
/// group are gone.
#[derive(Debug)]
pub(crate) struct Runc {
    pub(crate) program: PathBuf,
    /// The directory with its state of all containers.
    pub(crate) state: PathBuf,
    /// The directory with configuration, log and pid file of this slot's container.
    pub(crate) bundle: PathBuf,
    /// The container's name.
    pub(crate) id: String,
}

/// Why a container was not started.
#[derive(Debug)]
pub(crate) enum StartError {
    /// The image's entry script cannot be executed.
    EntryScript(ExecError),
    /// The memory limit is too small to start a container.
    OutOfMemory,
    /// The machine is at fault.
    Sandbox(SandboxError),
}

impl From<SandboxError> for StartError {
    fn from(error: SandboxError) -> Self {
        Self::Sandbox(error)
    }
}

impl Runc {
    /// Starts the container. When this returns, its first process runs or has exited already.
    pub(crate) async fn start(
        &self,
        spec: &Spec,
        stdout: OwnedFd,
        stderr: OwnedFd,
    ) -> Result<Container, StartError> {
        self.remove_state();
        self.write_bundle(spec).map_err(SandboxError::launch("write the container's configuration"))?;
        let mut runc = self.command(stdout, stderr).spawn().map_err(SandboxError::launch("run runc"))?;
        let status = match tokio::time::timeout(LAUNCH_TIMEOUT, runc.wait()).await {
            Ok(status) => status.map_err(SandboxError::launch("wait for runc"))?,
            Err(_) => {
                let _ = runc.start_kill();
                // A process that the kernel holds is reaped by the tokio runtime whenever it exits.
                let _ = tokio::time::timeout(KILL_TIMEOUT, runc.wait()).await;
                let text = format!("no answer in {LAUNCH_TIMEOUT:?}");
                return Err(SandboxError::launch("run runc")(io::Error::other(text)).into());
            }
        };
        if !status.success() {
            return Err(classify(&self.log()));
        }
        Ok(self.container().map_err(SandboxError::launch("find the container's first process"))?)
    }

    fn write_bundle(&self, spec: &Spec) -> io::Result<()> {
        fs::create_dir_all(&self.bundle)?;
        for old in ["log", "pid"] {
            let _ = fs::remove_file(self.bundle.join(old));
        }
        fs::write(self.bundle.join("config.json"), serde_json::to_vec(spec)?)
    }

    fn command(&self, stdout: OwnedFd, stderr: OwnedFd) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--log-format", "json", "--log"])
            .arg(self.bundle.join("log"))
            .arg("--root")
            .arg(&self.state)
            .args(["run", "--detach", "--pid-file"])
            .arg(self.bundle.join("pid"))
            .arg("--bundle")
            .arg(&self.bundle)
            .arg(&self.id)
            // The worker's environment may hold credentials: it must not reach runc or what runc starts.
            .env_clear()
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .kill_on_drop(true);
        command
    }

    fn container(&self) -> io::Result<Container> {
        let pid = fs::read_to_string(self.bundle.join("pid"))?;
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        // The worker reaps what runc leaves, so the id belongs to this process until it is waited for.
        Ok(Container { pidfd: sys::async_pidfd(pidfd_open(pid, PidfdFlags::empty())?)? })
    }

    fn log(&self) -> String {
        let mut text = Vec::new();
        if let Ok(file) = fs::File::open(self.bundle.join("log")) {
            let _ = file.take(MAX_LOG_BYTES).read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    fn remove_state(&self) {
        let state = self.state.join(&self.id);
        if let Err(error) = fs::remove_dir_all(&state)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(state = %state.display(), %error, "the state of a container is left behind");
        }
    }
}

impl Drop for Runc {
    fn drop(&mut self) {
        self.remove_state();
    }
}

/// Tells from the last error in `runc`'s log whether the image or the machine is at fault.
fn classify(log: &str) -> StartError {
    #[derive(serde::Deserialize)]
    struct Line {
        level: String,
        msg: String,
    }
    let mut lines = log.lines().rev().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let message = lines.find(|line| line.level == "error").map_or_else(String::new, |line| line.msg);
    if message.contains("exec: \"bin/") || message.contains("chdir to cwd") {
        let is_denied = message.contains("permission denied");
        return StartError::EntryScript(if is_denied {
            ExecError::NotExecutable
        } else {
            ExecError::NotFound
        });
    }
    if message.contains("OOM-killed") {
        return StartError::OutOfMemory;
    }
    let message = if message.is_empty() { "it logged no error".to_owned() } else { message };
    StartError::Sandbox(SandboxError::launch("start the container")(io::Error::other(message)))
}

/// Returns why the kernel refused the entry script, by the line that `runc` then writes to the container's standard
/// error.
pub(crate) fn exec_error(script: &str, exit: ExitStatus, stderr: &[u8]) -> Option<ExecError> {
    let text = std::str::from_utf8(stderr).ok().filter(|_| exit == ExitStatus::Code(1))?;
    match text.strip_prefix("exec ")?.strip_prefix(script)?.strip_prefix(": ")?.trim_end() {
        "no such file or directory" => Some(ExecError::NotFound),
        "exec format error" | "permission denied" => Some(ExecError::NotExecutable),
        _ => None,
    }
}

/// A container's first process.
pub(crate) struct Container {
    pidfd: AsyncFd<OwnedFd>,
}

impl Container {
    /// Waits until the process has exited.
    pub(crate) async fn exited(&self) -> io::Result<()> {
        self.pidfd.readable().await.map(drop)
    }

    /// Kills the process, and with it everything in its pid namespace.
    pub(crate) fn kill(&self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Returns how the process exited. Call it after [`Self::exited`].
    pub(crate) fn exit_status(&self) -> io::Result<ExitStatus> {
        let status =
            waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)?;
        let status = status.ok_or(io::ErrorKind::WouldBlock)?;
        let code = status.exit_status().map(ExitStatus::Code);
        let exit = code.or_else(|| status.terminating_signal().map(ExitStatus::Signal));
        Ok(exit.ok_or(io::ErrorKind::InvalidData)?)
    }
}

/// Kills a container that nobody waits for any more, and reaps its first process.
impl Drop for Container {
    fn drop(&mut self) {
        self.kill();
        let Ok(pidfd) = self.pidfd.get_ref().try_clone() else { return };
        let wait = move |options| waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED | options);
        if let Ok(None) = wait(WaitIdOptions::NOHANG) {
            std::thread::spawn(move || wait(WaitIdOptions::empty()));
        }
    }
}

/// Returns the version that this `runc` reports.
pub(crate) fn version(runc: &Path) -> Result<String, SandboxError> {
    let output = std::process::Command::new(runc).arg("--version").env_clear().output().map_err(|error| {
        SandboxError::host(
            format!("{} cannot be run ({error})", runc.display()),
            "install runc (apt-get install runc)",
        )
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.lines().next().and_then(|line| line.strip_prefix("runc version "));
    let remedy = "give the path of runc 1.1 or newer";
    match version {
        Some(version) if is_supported(version) => Ok(version.to_owned()),
        Some(version) => Err(SandboxError::host(format!("runc {version} is too old"), remedy)),
        None => Err(SandboxError::host(format!("{} is not runc", runc.display()), remedy)),
    }
}

/// Returns true from version 1.1 on: it sends mount sources into user namespaces, and joins cgroups of both
/// versions.
fn is_supported(version: &str) -> bool {
    let mut numbers = version.split(['.', '-', '+']).map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (1, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("1.1.5+ds1", true)]
    #[case("1.3.0-rc.1", true)]
    #[case("2.0.0", true)]
    #[case("1.0.0-rc93", false)]
    #[case("unknown", false)]
    fn old_versions_are_refused(#[case] version: &str, #[case] expected: bool) {
        assert_eq!(is_supported(version), expected);
    }

    #[rstest]
    #[case("exec: \\\"bin/run.sh\\\": permission denied", Some(ExecError::NotExecutable))]
    #[case("exec: \\\"bin/run.sh\\\": stat bin/run.sh: no such file or directory", Some(ExecError::NotFound))]
    #[case("error mounting proc", None)]
    fn the_log_tells_whose_fault_it_is(#[case] message: &str, #[case] expected: Option<ExecError>) {
        let log = format!(
            "{{\"level\":\"warning\",\"msg\":\"x\"}}\n{{\"level\":\"error\",\"msg\":\"unable to start: {message}\"}}\ngarbage"
        );
        let error = match classify(&log) {
            StartError::EntryScript(error) => Some(error),
            StartError::Sandbox(_) | StartError::OutOfMemory => None,
        };
        assert_eq!(error, expected);
    }

    #[test]
    fn a_missing_runc_is_named_with_the_remedy() {
        let text = |path: &str| version(Path::new(path)).unwrap_err().to_string();
        assert!(text("/nowhere/runc").contains("install runc"));
        assert!(text("/bin/true").contains("/bin/true is not runc"));
    }

    #[test]
    fn a_missing_interpreter_is_told_by_one_line() {
        let error = |exit, text: &str| exec_error("bin/run.sh", exit, text.as_bytes());
        let line = "exec bin/run.sh: no such file or directory\n";
        assert_eq!(error(ExitStatus::Code(1), line), Some(ExecError::NotFound));
        assert_eq!(error(ExitStatus::Code(2), line), None);
        assert_eq!(error(ExitStatus::Code(1), &format!("x\n{line}")), None);
    }
}
