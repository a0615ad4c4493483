//! All the ways in which a request can end: status code, stable name, one line of text, and whether to retry.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal $label:literal $text:literal),* $(,)?) => {
        /// How a request ended. The name is stable: clients, metrics and logs use it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumCount, strum::EnumIter)]
        pub enum Reason {
            $(#[doc = concat!(stringify!($code), " `", $label, "`: ", $text, ".")] $name),*
        }

        impl Reason {
            /// Returns the status code.
            #[must_use]
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code),* }
            }

            /// Returns the stable name, which is unique within its status code.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $label),* }
            }

            /// Returns one line that explains the reason.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// Returns the reason with this code and name.
            #[must_use]
            pub fn find(code: u16, name: &str) -> Option<Self> {
                match (code, name) { $(($code, $label) => Some(Self::$name),)* _ => None }
            }
        }
    };
}

reasons! {
    Ok = 200 "ok" "the container did its work",
    BadSlug = 400 "bad_slug" "a track or exercise slug is not valid",
    BadId = 400 "bad_id" "the job's id is not valid",
    BadVersion = 400 "bad_version" "the container version is not valid",
    BadReference = 400 "bad_reference" "the git reference is not valid, or the repository does not have it",
    BadTimeout = 400 "bad_timeout" "the time-out is not valid",
    BadUri = 400 "bad_uri" "the submission's URI is not valid or not allowed",
    UnsafeKey = 400 "unsafe_key" "the submission has a file name that is not safe",
    InputSize = 400 "input_size" "the submission is too large",
    InputCount = 400 "input_count" "the submission has too many files",
    WallTime = 401 "wall_time" "the container ran too long",
    IdleTime = 401 "idle_time" "the build printed nothing for too long",
    CpuTime = 401 "cpu_time" "the container used too much processor time",
    StdoutLimit = 402 "stdout_limit" "the container wrote too much to its standard output",
    StderrLimit = 402 "stderr_limit" "the container wrote too much to its standard error",
    FileSize = 402 "file_size" "the container wrote too large a file",
    ResultSize = 402 "result_size" "the result file is too large",
    DiskLimit = 402 "disk_limit" "the build took too much disk",
    OomKilled = 403 "oom_killed" "the container used too much memory",
    Killed = 403 "killed" "the container was killed from outside",
    SyscallBlocked = 403 "syscall_blocked" "the container was killed for a system call that is not allowed",
    RouterInternal = 500 "internal" "the router failed",
    UnknownAction = 501 "unknown_action" "there is no such action",
    NotJson = 502 "not_json" "the message is not one JSON object",
    MissingFields = 502 "missing_fields" "a required field is missing",
    BadField = 502 "bad_field" "a field has the wrong type",
    UnknownTrack = 502 "unknown_track" "the channel has no such track",
    TooLarge = 502 "too_large" "the message is too large",
    NoWorker = 503 "no_worker" "no worker can serve this",
    QueueFull = 503 "queue_full" "too many jobs are waiting",
    RouterDraining = 503 "draining" "the router is shutting down",
    StoreUnavailable = 503 "store_unavailable" "the deployed versions or the registry cannot be read now",
    QueueDeadline = 504 "queue_deadline" "no worker was free in time",
    WorkerLost = 504 "worker_lost" "the worker was lost, and there is no time or attempt left",
    Deadline = 504 "deadline" "there was no answer in time",
    NotDeployed = 505 "not_deployed" "the container version is not deployed",
    Forbidden = 506 "forbidden" "this peer may not do that",
    WorkerInternal = 510 "internal" "the worker failed",
    WorkerDraining = 510 "draining" "the worker is leaving",
    CanaryFailed = 510 "canary_failed" "the worker cannot run a known good job",
    Poison = 510 "poison" "the job was running on two workers when they were lost",
    NotUnpacked = 511 "not_unpacked" "the container version is not ready on the worker",
    UnpackRejected = 511 "unpack_rejected" "the image was refused",
    PullFailed = 511 "pull_failed" "the image could not be pulled",
    NoEntry = 511 "no_entry" "the image has no entry script",
    Download = 512 "download" "the submission could not be fetched",
    Fetch = 512 "fetch" "the repository could not be fetched",
    Driver = 512 "driver" "the builder's driver failed",
    Release = 512 "release" "the image could not be released",
    Mount = 512 "mount" "the container's file system could not be made",
    Cgroup = 512 "cgroup" "the limits could not be set",
    Launch = 512 "launch" "the container could not be started",
    HostResources = 512 "host_resources" "the machine has not enough left",
    ExitCode = 513 "exit_code" "the container exited with a code other than 0",
    BuildFailed = 513 "build_failed" "the Dockerfile could not be built",
    Unsupported = 513 "unsupported" "the builder's driver cannot build this Dockerfile, but another can",
    SmokeCheck = 513 "smoke_check" "the image was built, but is not fit to be released",
    Signal = 513 "signal" "the container was ended by a signal",
    Missing = 514 "missing" "the container wrote no result",
    NotRegular = 514 "not_regular" "the result is not a regular file",
    BadEncoding = 514 "bad_encoding" "the result is not UTF-8",
    Malformed = 514 "malformed" "the result is not JSON",
    TooDeep = 514 "too_deep" "the result is nested too deeply",
}

impl Reason {
    /// Returns whether the status code is 200.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        matches!(self, Self::Ok)
    }

    /// Returns whether the same request may succeed when it is sent again: at once for 503 and 504, after a wait for 511 and
    /// 512.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self.code(), 503 | 504 | 511 | 512)
    }

    /// Returns whether the answer may be replayed, because the verdict will not change when the job runs again.
    #[must_use]
    pub const fn is_replayable(self) -> bool {
        matches!(self.code(), 200 | 400..=403 | 513 | 514)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use strum::IntoEnumIterator;

    #[test]
    fn code_and_name_are_unique() {
        let all: BTreeSet<_> = Reason::iter().map(|r| (r.code(), r.as_str())).collect();
        assert_eq!(all.len(), Reason::iter().count());
        for reason in Reason::iter() {
            assert_eq!(Reason::find(reason.code(), reason.as_str()), Some(reason));
        }
        assert_eq!(Reason::find(200, "internal"), None);
    }

    #[test]
    fn table_matches_reference() {
        let table: Vec<String> = Reason::iter()
            .map(|r| {
                format!(
                    "{} {} {} | {}",
                    r.code(),
                    r.as_str(),
                    if r.is_retryable() { "retry" } else { "-" },
                    r.text()
                )
            })
            .collect();
        insta::assert_snapshot!(table.join("\n"));
    }
}
