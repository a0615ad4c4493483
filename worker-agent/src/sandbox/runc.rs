//! Starting a container with `runc`, and waiting for its first process.

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

use super::error::Error;
use super::verdict::{End, ExecFault};
use crate::sys;

/// `runc` takes milliseconds; this long only on a machine in trouble.
const LAUNCH_DEADLINE: Duration = Duration::from_secs(10);
/// How long one that was killed may take to end.
const END_DEADLINE: Duration = Duration::from_secs(2);
const LOG_MAX: u64 = 64 << 10;

/// A slot's directories for `runc`.
///
/// Dropped, once the container's processes and control group are gone, it removes what `runc` keeps of it.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) runc: PathBuf,
    /// Its state of all containers.
    pub(crate) state: PathBuf,
    /// Configuration, log and pid file of this slot's container.
    pub(crate) bundle: PathBuf,
    /// The container's name.
    pub(crate) id: String,
}

/// Why there is no container.
#[derive(Debug)]
pub(crate) enum NotStarted {
    /// The image is at fault.
    Entry(ExecFault),
    /// The memory limit is too small for it.
    Memory,
    /// The machine is.
    Fault(Error),
}

impl From<Error> for NotStarted {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

impl Runtime {
    /// Starts the container; its first process runs, or has ended already, when this returns.
    pub(crate) async fn start(
        &self,
        spec: &Spec,
        stdout: OwnedFd,
        stderr: OwnedFd,
    ) -> Result<Container, NotStarted> {
        self.forget();
        self.write_bundle(spec).map_err(Error::launch("write the container's configuration"))?;
        let mut runc = self.command(stdout, stderr).spawn().map_err(Error::launch("run runc"))?;
        let status = match tokio::time::timeout(LAUNCH_DEADLINE, runc.wait()).await {
            Ok(status) => status.map_err(Error::launch("wait for runc"))?,
            Err(_) => {
                let _ = runc.start_kill();
                // One that the kernel holds is left to the runtime, which reaps it whenever it ends.
                let _ = tokio::time::timeout(END_DEADLINE, runc.wait()).await;
                let text = format!("no answer in {LAUNCH_DEADLINE:?}");
                return Err(Error::launch("run runc")(io::Error::other(text)).into());
            }
        };
        if !status.success() {
            return Err(classify(&self.log()));
        }
        Ok(self.container().map_err(Error::launch("find the container's first process"))?)
    }

    fn write_bundle(&self, spec: &Spec) -> io::Result<()> {
        fs::create_dir_all(&self.bundle)?;
        for old in ["log", "pid"] {
            let _ = fs::remove_file(self.bundle.join(old));
        }
        fs::write(self.bundle.join("config.json"), serde_json::to_vec(spec)?)
    }

    fn command(&self, stdout: OwnedFd, stderr: OwnedFd) -> Command {
        let mut command = Command::new(&self.runc);
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
            // Nothing of the worker's environment, where credentials may be, reaches runc or what it starts.
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
        // The worker is the reaper of what runc leaves, so the id stays this process's until it is waited for.
        Ok(Container { pidfd: sys::watch(pidfd_open(pid, PidfdFlags::empty())?)? })
    }

    fn log(&self) -> String {
        let mut text = Vec::new();
        if let Ok(file) = fs::File::open(self.bundle.join("log")) {
            let _ = file.take(LOG_MAX).read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    fn forget(&self) {
        let state = self.state.join(&self.id);
        if let Err(error) = fs::remove_dir_all(&state)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(state = %state.display(), %error, "the state of a container is left behind");
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Tells an image that cannot be run from a machine that cannot run it, by the last line of `runc`'s log.
fn classify(log: &str) -> NotStarted {
    #[derive(serde::Deserialize)]
    struct Line {
        level: String,
        msg: String,
    }
    let mut lines = log.lines().rev().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let message = lines.find(|line| line.level == "error").map_or_else(String::new, |line| line.msg);
    if message.contains("exec: \"bin/") || message.contains("chdir to cwd") {
        let is_denied = message.contains("permission denied");
        return NotStarted::Entry(if is_denied { ExecFault::NotExecutable } else { ExecFault::NotFound });
    }
    if message.contains("OOM-killed") {
        return NotStarted::Memory;
    }
    let message = if message.is_empty() { "it said nothing".to_owned() } else { message };
    NotStarted::Fault(Error::launch("start the container")(io::Error::other(message)))
}

/// What `runc` itself writes to the container's standard error when the kernel refuses the entry script.
pub(crate) fn exec_fault(script: &str, end: End, stderr: &[u8]) -> Option<ExecFault> {
    let text = std::str::from_utf8(stderr).ok().filter(|_| end == End::Exit(1))?;
    match text.strip_prefix("exec ")?.strip_prefix(script)?.strip_prefix(": ")?.trim_end() {
        "no such file or directory" => Some(ExecFault::NotFound),
        "exec format error" | "permission denied" => Some(ExecFault::NotExecutable),
        _ => None,
    }
}

/// A container's first process.
pub(crate) struct Container {
    pidfd: AsyncFd<OwnedFd>,
}

impl Container {
    /// Waits until it has ended.
    pub(crate) async fn ended(&self) -> io::Result<()> {
        self.pidfd.readable().await.map(drop)
    }

    /// Kills it, and with it all in its pid namespace.
    pub(crate) fn kill(&self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// How it ended. To be called once it has.
    pub(crate) fn end(&self) -> io::Result<End> {
        let status =
            waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)?;
        let status = status.ok_or(io::ErrorKind::WouldBlock)?;
        let signal = || status.terminating_signal().map(End::Signal);
        Ok(status.exit_status().map(End::Exit).or_else(signal).ok_or(io::ErrorKind::InvalidData)?)
    }
}

/// A container that nobody waits for any more is killed, and does not stay as a zombie.
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

/// The version of this `runc`, as it tells it.
pub(crate) fn version(runc: &Path) -> Result<String, Error> {
    let output = std::process::Command::new(runc).arg("--version").env_clear().output().map_err(|error| {
        Error::host(
            format!("{} cannot be run ({error})", runc.display()),
            "install runc (apt-get install runc)",
        )
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.lines().next().and_then(|line| line.strip_prefix("runc version "));
    let remedy = "give the path of runc 1.1 or newer";
    match version {
        Some(version) if is_supported(version) => Ok(version.to_owned()),
        Some(version) => Err(Error::host(format!("runc {version} is too old"), remedy)),
        None => Err(Error::host(format!("{} is not runc", runc.display()), remedy)),
    }
}

/// From 1.1 on: it sends mount sources into user namespaces, and joins control groups of both versions.
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
    #[case("exec: \\\"bin/run.sh\\\": permission denied", Some(ExecFault::NotExecutable))]
    #[case("exec: \\\"bin/run.sh\\\": stat bin/run.sh: no such file or directory", Some(ExecFault::NotFound))]
    #[case("error mounting proc", None)]
    fn runcs_log_tells_whose_fault_it_is(#[case] message: &str, #[case] expected: Option<ExecFault>) {
        let log = format!(
            "{{\"level\":\"warning\",\"msg\":\"x\"}}\n{{\"level\":\"error\",\"msg\":\"unable to start: {message}\"}}\ngarbage"
        );
        let fault = match classify(&log) {
            NotStarted::Entry(fault) => Some(fault),
            NotStarted::Fault(_) | NotStarted::Memory => None,
        };
        assert_eq!(fault, expected);
    }

    #[test]
    fn without_runc_the_remedy_is_told() {
        let text = |path: &str| version(Path::new(path)).unwrap_err().to_string();
        assert!(text("/nowhere/runc").contains("install runc"));
        assert!(text("/bin/true").contains("/bin/true is not runc"));
    }

    #[test]
    fn a_missing_interpreter_is_told_by_the_whole_line() {
        let fault = |end, text: &str| exec_fault("bin/run.sh", end, text.as_bytes());
        let line = "exec bin/run.sh: no such file or directory\n";
        assert_eq!(fault(End::Exit(1), line), Some(ExecFault::NotFound));
        assert_eq!(fault(End::Exit(2), line), None);
        assert_eq!(fault(End::Exit(1), &format!("x\n{line}")), None);
    }
}
