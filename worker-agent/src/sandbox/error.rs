//! Why the sandbox could not run a container.

use std::io;

use trackyard_protocol::reason::Reason;

/// A failure of the sandbox itself, never of the job. The text may name paths of this machine, so it is for logs only.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// This machine cannot run jobs as it is.
    #[error("{what}; {remedy}")]
    Host {
        /// What is missing.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// The container's file system could not be made.
    #[error("cannot {what}: {source}")]
    Mount {
        /// What was tried.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A limit could not be set, or was not as set when read back.
    #[error("cannot {what}: {source}")]
    Cgroup {
        /// What was tried.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// `runc` did not start the container.
    #[error("cannot {what}: {source}")]
    Launch {
        /// What was tried.
        what: String,
        /// What the kernel or `runc` said.
        source: io::Error,
    },
}

impl SandboxError {
    pub(crate) fn host(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Host { what: what.into(), remedy: remedy.into() }
    }

    pub(crate) fn missing_controller(controller: &str) -> Self {
        Self::host(
            format!("the cgroup controller {controller} is not there"),
            "enable it (on version 2: Delegate=yes in the worker's unit; cgroup_enable=memory for the kernel)",
        )
    }

    pub(crate) fn mount(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Mount { what: what.into(), source }
    }

    pub(crate) fn cgroup(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Cgroup { what: what.into(), source }
    }

    pub(crate) fn launch(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Launch { what: what.into(), source }
    }

    /// Returns the verdict of a job that failed with this error.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Host { .. } => Reason::HostResources,
            Self::Mount { source, .. } | Self::Cgroup { source, .. } | Self::Launch { source, .. }
                if is_exhaustion(source) =>
            {
                Reason::HostResources
            }
            Self::Mount { .. } => Reason::Mount,
            Self::Cgroup { .. } => Reason::Cgroup,
            Self::Launch { .. } => Reason::Launch,
        }
    }

    /// Returns one line for the client, without any path of this machine.
    #[must_use]
    pub fn client_message(&self) -> String {
        self.reason().text().to_owned()
    }
}

fn is_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::NOSPC, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::DQUOT]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use rustix::io::Errno;

    #[rstest]
    #[case(Errno::INVAL, Reason::Mount)]
    #[case(Errno::NOSPC, Reason::HostResources)]
    #[case(Errno::MFILE, Reason::HostResources)]
    fn exhaustion_has_its_own_reason(#[case] errno: Errno, #[case] reason: Reason) {
        let error = SandboxError::mount("mount /var/secret")(errno.into());
        assert_eq!(error.reason(), reason);
        assert!(!error.client_message().contains("secret"));
    }
}
