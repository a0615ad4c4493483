//! Sheds large answers while this process uses too much memory. A single read of small requests may ask for large
//! stored answers a hundred times, before it shows that the client does not read them.

use std::fs;
use std::time::Duration;

use rustix::param::page_size;
use rustix::system::sysinfo;
use trackyard_protocol::reason::Reason;

use super::pending::PendingRequest;
use super::{Service, answer};
use crate::actions::Reply;
use crate::dispatch::Time;

/// Bytes of answers between two checks of the memory.
const CHECK_BYTES: usize = 8 << 20;
/// Interval between checks of the memory while answers are shed.
const RECHECK_INTERVAL: Duration = Duration::from_millis(20);
/// Maximum size of a worker's output that is never shed: the error instead of a larger one is not much smaller.
const MAX_SMALL_OUTPUT: usize = 1 << 10;
/// Bytes of an answer besides the worker's output.
const ANSWER_OVERHEAD: usize = 512;
const SHED_MESSAGE: &str =
    "the router's memory is full of answers that clients have not read; send the same again for this one";
/// The files with the memory limit of the process's cgroup: that of the container, if it runs in one. Version 2
/// of cgroups, and 1.
const CGROUP_LIMITS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// Checks the memory after every `CHECK_BYTES` of answers.
#[derive(Debug)]
pub(super) struct MemoryPressure {
    limit: u64,
    unchecked_bytes: usize,
    /// The time of the next check, while answers are shed.
    shedding_until: Option<Time>,
}

impl MemoryPressure {
    /// Sheds answers while the process uses more than three quarters of `memory` bytes.
    pub(super) const fn new(memory: u64) -> Self {
        Self { limit: memory / 4 * 3, unchecked_bytes: 0, shedding_until: None }
    }

    /// Returns true if an answer with `bytes` bytes of a worker's output is to be shed. `resident` returns the bytes of
    /// memory that the process uses.
    pub(super) fn sheds(&mut self, bytes: usize, now: Time, resident: impl FnOnce() -> u64) -> bool {
        self.unchecked_bytes += bytes + ANSWER_OVERHEAD;
        if self.shedding_until.map_or(self.unchecked_bytes >= CHECK_BYTES, |until| now >= until) {
            self.unchecked_bytes = 0;
            self.shedding_until = (resident() > self.limit).then(|| now + RECHECK_INTERVAL);
        }
        bytes > MAX_SMALL_OUTPUT && self.shedding_until.is_some()
    }
}

impl Service {
    /// Returns true if an answer with `bytes` bytes of a worker's output is to be shed.
    pub(super) fn sheds(&mut self, bytes: usize) -> bool {
        let now = self.clock.time();
        self.memory_pressure.sheds(bytes, now, resident)
    }

    /// Answers that there is no memory for the answer.
    pub(super) fn shed(&mut self, request: PendingRequest) {
        self.parts.metrics.shed();
        let reply = Reply::error(Reason::QueueFull, SHED_MESSAGE);
        let now = self.clock.now();
        self.deliver(request, |request, out| answer::write_reply(&reply, request, now, out));
    }
}

/// Returns the bytes of memory that this process uses, by proc_pid_statm(5); 0 if they cannot be read.
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    pages.saturating_mul(page_size() as u64)
}

/// Returns the bytes of memory that this process may use: its cgroup's limit, or else the machine's memory.
#[must_use]
pub fn available_memory() -> u64 {
    let machine = sysinfo();
    let total = (machine.totalram as u64).saturating_mul(machine.mem_unit.into());
    let limits = CGROUP_LIMITS.iter().filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    limits.fold(total, u64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Duration::from_secs(1);

    #[test]
    fn large_answers_are_shed_above_three_quarters() {
        let mut pressure = MemoryPressure::new(1000);
        assert!(!pressure.sheds(CHECK_BYTES - ANSWER_OVERHEAD - 1, NOW, || unreachable!("not checked yet")));
        assert!(!pressure.sheds(1, NOW, || 750));
        assert!(pressure.sheds(CHECK_BYTES, NOW, || 751));
        assert!(pressure.sheds(MAX_SMALL_OUTPUT + 1, NOW, || unreachable!("checked just now")));
        assert!(!pressure.sheds(MAX_SMALL_OUTPUT, NOW, || unreachable!("checked just now")));
        assert!(pressure.sheds(CHECK_BYTES, NOW + RECHECK_INTERVAL, || 751));
        assert!(!pressure.sheds(CHECK_BYTES, NOW + RECHECK_INTERVAL * 2, || 750));
    }

    #[test]
    fn process_uses_less_than_available() {
        let resident = resident();
        let available = available_memory();
        assert!((1 << 20..available).contains(&resident), "{resident} of {available}");
    }
}
