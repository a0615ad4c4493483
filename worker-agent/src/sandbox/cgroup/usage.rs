//! What a job used, from the kernel's files. Pure: a reader of files in, numbers out.

use std::time::Duration;

use super::layout::Version;

/// The kernel's counters of one job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) cpu_user: Duration,
    pub(crate) cpu_system: Duration,
    pub(crate) memory_peak: Option<u64>,
    pub(crate) pids_peak: Option<u64>,
    /// Processes killed because the memory limit was met.
    pub(crate) oom_kills: u64,
    /// Processes that were not made because of the limit.
    pub(crate) pids_denied: u64,
}

/// Reads all counters. A file that this kernel lacks counts as nothing; `read` takes a controller and a file.
pub(crate) fn counters(version: Version, read: impl Fn(&str, &str) -> Option<String>) -> Counters {
    let number = |controller: &str, file: &str| read(controller, file)?.trim().parse::<u64>().ok();
    let field = |controller: &str, file: &str, key: &str| field(&read(controller, file)?, key);
    let pids_peak = number("pids", "pids.peak");
    let pids_denied = field("pids", "pids.events", "max").unwrap_or(0);
    match version {
        Version::V1 => Counters {
            cpu_user: nanos(number("cpuacct", "cpuacct.usage_user")),
            cpu_system: nanos(number("cpuacct", "cpuacct.usage_sys")),
            memory_peak: number("memory", "memory.max_usage_in_bytes"),
            pids_peak,
            oom_kills: field("memory", "memory.oom_control", "oom_kill").unwrap_or(0),
            pids_denied,
        },
        Version::V2 => Counters {
            cpu_user: micros(field("cpu", "cpu.stat", "user_usec")),
            cpu_system: micros(field("cpu", "cpu.stat", "system_usec")),
            memory_peak: number("memory", "memory.peak"),
            pids_peak,
            oom_kills: field("memory", "memory.events", "oom_kill").unwrap_or(0),
            pids_denied,
        },
    }
}

/// The processor time used so far, and how many were killed for memory: what is watched while the job runs.
pub(crate) fn watched(version: Version, read: impl Fn(&str, &str) -> Option<String>) -> (Duration, u64) {
    match version {
        Version::V1 => (
            nanos(read("cpuacct", "cpuacct.usage").and_then(|text| text.trim().parse().ok())),
            read("memory", "memory.oom_control").and_then(|text| field(&text, "oom_kill")).unwrap_or(0),
        ),
        Version::V2 => (
            micros(read("cpu", "cpu.stat").and_then(|text| field(&text, "usage_usec"))),
            read("memory", "memory.events").and_then(|text| field(&text, "oom_kill")).unwrap_or(0),
        ),
    }
}

fn nanos(value: Option<u64>) -> Duration {
    Duration::from_nanos(value.unwrap_or(0))
}

fn micros(value: Option<u64>) -> Duration {
    Duration::from_micros(value.unwrap_or(0))
}

/// The value of `key` in lines of `key value`.
fn field(text: &str, key: &str) -> Option<u64> {
    let value = |line: &str| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(value)
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
        let counters = counters(Version::V1, files);
        assert_eq!((counters.cpu_user.as_millis(), counters.cpu_system.as_millis()), (1500, 20));
        assert_eq!((counters.memory_peak, counters.pids_peak), (Some(4096), Some(9)));
        assert_eq!((counters.oom_kills, counters.pids_denied), (2, 7));
        assert_eq!(watched(Version::V1, files), (Duration::from_millis(1520), 2));
    }

    #[test]
    fn version_2_on_a_kernel_without_peaks() {
        let files = |controller: &str, file: &str| {
            let text = match (controller, file) {
                ("cpu", "cpu.stat") => "usage_usec 30\nuser_usec 20\nsystem_usec 10\n",
                ("memory", "memory.events") => "low 0\noom 1\noom_kill 1\noom_group_kill 1\n",
                _ => return None,
            };
            Some(text.to_owned())
        };
        let counters = counters(Version::V2, files);
        assert_eq!((counters.cpu_user.as_micros(), counters.cpu_system.as_micros()), (20, 10));
        assert_eq!((counters.memory_peak, counters.oom_kills), (None, 1));
        assert_eq!(watched(Version::V2, files), (Duration::from_micros(30), 1));
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        assert_eq!(field("oom 1\noom_kill 2", "oom"), Some(1));
        assert_eq!(field("max garbage", "max"), None);
    }
}
