//! Whether this process holds too much memory: one read of small requests may ask for large stored answers a hundred
//! times, before it shows that nobody reads them.

use std::fs;
use std::time::Duration;

use rustix::param::page_size;
use rustix::system::sysinfo;
use trackyard_protocol::reason::Reason;

use super::waiters::Way;
use super::{Service, answer};
use crate::actions::Reply;
use crate::dispatch::Time;

/// Bytes answered from one look at the memory to the next.
const STEP: usize = 8 << 20;
/// While there is too much, a look is taken so often.
const PAUSE: Duration = Duration::from_millis(20);
/// Answers with up to so many bytes of a worker's are always sent: what replaces a larger one is not much smaller.
const SMALL: usize = 1 << 10;
/// Bytes of an answer that are the router's own.
const OWN: usize = 512;
const WITHHELD: &str =
    "the router's memory is full of answers that clients have not read; send the same again for this one";
/// Where a process finds the limit of its control group: in a container, that of the container. Version 2, and 1.
const GROUP_LIMITS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// Watches the memory by what is answered.
#[derive(Debug)]
pub(super) struct Crowding {
    ceiling: u64,
    answered: usize,
    /// When to look again, while there is too much.
    crowded_until: Option<Time>,
}

impl Crowding {
    /// Answers are withheld while the process has more than three quarters of `memory` bytes.
    pub(super) const fn new(memory: u64) -> Self {
        Self { ceiling: memory / 4 * 3, answered: 0, crowded_until: None }
    }

    /// True if an answer with so many bytes of a worker's is to be withheld. `resident` is what the process has.
    pub(super) fn withholds(&mut self, bytes: usize, now: Time, resident: impl FnOnce() -> u64) -> bool {
        self.answered += bytes + OWN;
        if self.crowded_until.map_or(self.answered >= STEP, |until| now >= until) {
            self.answered = 0;
            self.crowded_until = (resident() > self.ceiling).then(|| now + PAUSE);
        }
        bytes > SMALL && self.crowded_until.is_some()
    }
}

impl Service {
    /// True if an answer with so many bytes of a worker's is to be withheld.
    pub(super) fn withholds(&mut self, bytes: usize) -> bool {
        let now = self.clock.time();
        self.crowding.withholds(bytes, now, resident)
    }

    /// Says that there is no room for this answer.
    pub(super) fn withhold(&mut self, way: Way) {
        self.parts.metrics.withheld();
        let reply = Reply::error(Reason::QueueFull, WITHHELD);
        let now = self.clock.now();
        self.deliver(way, |way, out| answer::of_reply(&reply, way, now, out));
    }
}

/// The bytes of memory that this process has, by proc_pid_statm(5); none where that cannot be read.
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    pages.saturating_mul(page_size() as u64)
}

/// The bytes of memory that this process may have: its control group's limit, or all that the machine has.
#[must_use]
pub fn available() -> u64 {
    let machine = sysinfo();
    let machine = (machine.totalram as u64).saturating_mul(machine.mem_unit.into());
    let limits = GROUP_LIMITS.iter().filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    limits.fold(machine, u64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Duration::from_secs(1);

    #[test]
    fn beyond_three_quarters_large_answers_are_withheld_until_there_is_room() {
        let mut crowding = Crowding::new(1000);
        assert!(!crowding.withholds(STEP - OWN - 1, NOW, || unreachable!("not looked at yet")));
        assert!(!crowding.withholds(1, NOW, || 750));
        assert!(crowding.withholds(STEP, NOW, || 751));
        assert!(crowding.withholds(SMALL + 1, NOW, || unreachable!("looked at just now")));
        assert!(!crowding.withholds(SMALL, NOW, || unreachable!("looked at just now")));
        assert!(crowding.withholds(STEP, NOW + PAUSE, || 751));
        assert!(!crowding.withholds(STEP, NOW + PAUSE * 2, || 750));
    }

    #[test]
    fn this_process_has_some_memory_and_may_have_more() {
        let (has, may_have) = (resident(), available());
        assert!((1 << 20..may_have).contains(&has), "{has} of {may_have}");
    }
}
