//! A job's limits in the form of the kernel's files. Pure.

use trackyard_protocol::limits::Limits;

use super::layout::Version;

/// Controllers that every job needs.
pub(crate) const REQUIRED_CONTROLLERS: [&str; 4] = ["memory", "pids", "cpu", "cpuacct"];

/// Period over which the kernel enforces the processor quota.
const CPU_PERIOD_MICROS: u64 = 100_000;

/// A file of a controller and the value that it must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) controller: &'static str,
    pub(crate) file: &'static str,
    pub(crate) value: String,
    /// True if the file may be absent. The files for swap are absent if the kernel does not count swap.
    pub(crate) optional: bool,
}

/// Returns the settings of a job, in the order in which to write them. `page` is the size of a memory page in bytes.
pub(crate) fn settings(version: Version, limits: &Limits, page: u64) -> Vec<Setting> {
    let memory = (limits.memory.0 / page * page).to_string();
    let quota = (u64::from(limits.cpus.0) * CPU_PERIOD_MICROS / 1000).to_string();
    let period = CPU_PERIOD_MICROS.to_string();
    let required = |controller, file, value| Setting { controller, file, value, optional: false };
    let optional = |controller, file, value| Setting { controller, file, value, optional: true };
    match version {
        Version::V1 => vec![
            required("memory", "memory.limit_in_bytes", memory.clone()),
            optional("memory", "memory.memsw.limit_in_bytes", memory),
            optional("memory", "memory.swappiness", "0".to_owned()),
            required("pids", "pids.max", limits.pids.to_string()),
            required("cpu", "cpu.cfs_period_us", period),
            required("cpu", "cpu.cfs_quota_us", quota),
        ],
        Version::V2 => vec![
            required("memory", "memory.max", memory),
            optional("memory", "memory.swap.max", "0".to_owned()),
            required("memory", "memory.oom.group", "1".to_owned()),
            required("pids", "pids.max", limits.pids.to_string()),
            required("cpu", "cpu.max", format!("{quota} {period}")),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackyard_protocol::quantity::{Bytes, Cpus};

    fn limits() -> Limits {
        Limits { memory: Bytes((1 << 30) + 1), cpus: Cpus(1500), pids: 64, ..Limits::default() }
    }

    fn lines(version: Version) -> Vec<String> {
        settings(version, &limits(), 4096).iter().map(|s| format!("{}={}", s.file, s.value)).collect()
    }

    #[test]
    fn version_1() {
        assert_eq!(
            lines(Version::V1),
            [
                "memory.limit_in_bytes=1073741824",
                "memory.memsw.limit_in_bytes=1073741824",
                "memory.swappiness=0",
                "pids.max=64",
                "cpu.cfs_period_us=100000",
                "cpu.cfs_quota_us=150000"
            ]
        );
    }

    #[test]
    fn version_2() {
        assert_eq!(
            lines(Version::V2),
            [
                "memory.max=1073741824",
                "memory.swap.max=0",
                "memory.oom.group=1",
                "pids.max=64",
                "cpu.max=150000 100000"
            ]
        );
    }
}
