//! A job's limits as the kernel's files take them. Pure.

use trackyard_protocol::limits::Limits;

use super::layout::Version;

/// The controllers without which no job is run.
pub(crate) const NEEDED: [&str; 4] = ["memory", "pids", "cpu", "cpuacct"];

/// The length over which processor time is shared out.
const PERIOD_MICROS: u64 = 100_000;

/// One file of one controller, and what is to be in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) controller: &'static str,
    pub(crate) file: &'static str,
    pub(crate) value: String,
    /// May be absent, as swap's files are where the kernel counts none.
    pub(crate) optional: bool,
}

/// What to write, in this order; each is read back.
pub(crate) fn writes(version: Version, limits: &Limits, page: u64) -> Vec<Write> {
    let memory = (limits.memory.0 / page * page).to_string();
    let quota = (u64::from(limits.cpus.0) * PERIOD_MICROS / 1000).to_string();
    let period = PERIOD_MICROS.to_string();
    let must = |controller, file, value| Write { controller, file, value, optional: false };
    let may = |controller, file, value| Write { controller, file, value, optional: true };
    match version {
        Version::V1 => vec![
            must("memory", "memory.limit_in_bytes", memory.clone()),
            may("memory", "memory.memsw.limit_in_bytes", memory),
            may("memory", "memory.swappiness", "0".to_owned()),
            must("pids", "pids.max", limits.pids.to_string()),
            must("cpu", "cpu.cfs_period_us", period),
            must("cpu", "cpu.cfs_quota_us", quota),
        ],
        Version::V2 => vec![
            must("memory", "memory.max", memory),
            may("memory", "memory.swap.max", "0".to_owned()),
            must("memory", "memory.oom.group", "1".to_owned()),
            must("pids", "pids.max", limits.pids.to_string()),
            must("cpu", "cpu.max", format!("{quota} {period}")),
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
        writes(version, &limits(), 4096).iter().map(|w| format!("{}={}", w.file, w.value)).collect()
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
