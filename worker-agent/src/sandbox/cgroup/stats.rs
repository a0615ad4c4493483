//! Reads what a job used from the kernel's files. Pure: the caller gives a function that reads a file.

use std::time::Duration;

use super::layout::Version;

/// The kernel's counters for one job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CgroupStats {
    pub(crate) cpu_user: Duration,
    pub(crate) cpu_system: Duration,
    pub(crate) memory_peak: Option<u64>,
    pub(crate) pids_peak: Option<u64>,
    /// Processes that were killed because the memory limit was reached.
    pub(crate) oom_kills: u64,
    /// Processes that were not created because of the limit.
    pub(crate) pids_denied: u64,
}

/// What is watched while a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LiveStats {
    /// Processor time used so far.
    pub(crate) cpu: Duration,
    /// Processes that were killed because the memory limit was reached.
    pub(crate) oom_kills: u64,
}

/// Reads all counters. `read` takes a controller and a file. A file that this kernel does not have counts as zero.
pub(crate) fn stats(version: Version, read: impl Fn(&str, &str) -> Option<String>) -> CgroupStats {
    let number = |controller: &str, file: &str| read(controller, file)?.trim().parse::<u64>().ok();
    let field = |controller: &str, file: &str, key: &str| field(&read(controller, file)?, key);
    let pids_peak = number("pids", "pids.peak");
    let pids_denied = field("pids", "pids.events", "max").unwrap_or(0);
    match version {
        Version::V1 => CgroupStats {
            cpu_user: nanos(number("cpuacct", "cpuacct.usage_user")),
            cpu_system: nanos(number("cpuacct", "cpuacct.usage_sys")),
            memory_peak: number("memory", "memory.max_usage_in_bytes"),
            pids_peak,
            oom_kills: field("memory", "memory.oom_control", "oom_kill").unwrap_or(0),
            pids_denied,
        },
        Version::V2 => CgroupStats {
            cpu_user: micros(field("cpu", "cpu.stat", "user_usec")),
            cpu_system: micros(field("cpu", "cpu.stat", "system_usec")),
            memory_peak: number("memory", "memory.peak"),
            pids_peak,
            oom_kills: field("memory", "memory.events", "oom_kill").unwrap_or(0),
            pids_denied,
        },
    }
}

/// Reads what is watched while the job runs. `read` is the same as for [`stats`].
pub(crate) fn live_stats(version: Version, read: impl Fn(&str, &str) -> Option<String>) -> LiveStats {
    let field = |controller: &str, file: &str, key: &str| field(&read(controller, file)?, key);
    match version {
        Version::V1 => LiveStats {
            cpu: nanos(read("cpuacct", "cpuacct.usage").and_then(|text| text.trim().parse().ok())),
            oom_kills: field("memory", "memory.oom_control", "oom_kill").unwrap_or(0),
        },
        Version::V2 => LiveStats {
            cpu: micros(field("cpu", "cpu.stat", "usage_usec")),
            oom_kills: field("memory", "memory.events", "oom_kill").unwrap_or(0),
        },
    }
}

fn nanos(value: Option<u64>) -> Duration {
    Duration::from_nanos(value.unwrap_or(0))
}

fn micros(value: Option<u64>) -> Duration {
    Duration::from_micros(value.unwrap_or(0))
}

/// Returns the value of `key` in lines of `key value`.
fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1() {
        let files = |controller: &str, file: &str| {
            let text = match (controller, file) {
                ("cpuacct", "cpuacct.usage_user") => "1500000000\n",
                ("cpuacct", "cpuacct.usage_sys") => "20000000\n",
                ("cpuacct", "cpuacct.usage") => "1520000000\n",
                ("memory", "memory.max_usage_in_bytes") => "4096\n",
                ("memory", "memory.oom_control") => "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
                ("pids", "pids.events") => "max 7\n",
                ("pids", "pids.peak") => "9\n",
                _ => return None,
            };
            Some(text.to_owned())
        };
        let stats = stats(Version::V1, files);
        assert_eq!((stats.cpu_user.as_millis(), stats.cpu_system.as_millis()), (1500, 20));
        assert_eq!((stats.memory_peak, stats.pids_peak), (Some(4096), Some(9)));
        assert_eq!((stats.oom_kills, stats.pids_denied), (2, 7));
        assert_eq!(
            live_stats(Version::V1, files),
            LiveStats { cpu: Duration::from_millis(1520), oom_kills: 2 }
        );
    }

    #[test]
    fn version_2_without_peaks() {
        let files = |controller: &str, file: &str| {
            let text = match (controller, file) {
                ("cpu", "cpu.stat") => "usage_usec 30\nuser_usec 20\nsystem_usec 10\n",
                ("memory", "memory.events") => "low 0\noom 1\noom_kill 1\noom_group_kill 1\n",
                _ => return None,
            };
            Some(text.to_owned())
        };
        let stats = stats(Version::V2, files);
        assert_eq!((stats.cpu_user.as_micros(), stats.cpu_system.as_micros()), (20, 10));
        assert_eq!((stats.memory_peak, stats.oom_kills), (None, 1));
        assert_eq!(
            live_stats(Version::V2, files),
            LiveStats { cpu: Duration::from_micros(30), oom_kills: 1 }
        );
    }

    #[test]
    fn a_field_is_matched_by_its_whole_name() {
        assert_eq!(field("oom 1\noom_kill 2", "oom"), Some(1));
        assert_eq!(field("max garbage", "max"), None);
    }
}
