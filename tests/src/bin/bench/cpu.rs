//! Reads CPU time and memory of a process from the kernel's accounting.

use std::io;
use std::time::Duration;

/// Returns the user and system time of `pid` so far.
pub(crate) fn used(pid: u32) -> io::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|f| f.parse::<u64>().ok()).unwrap_or_default();
    // utime and stime are fields 14 and 15 of proc(5); two stand before the last parenthesis.
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_millis((ticks(11) + ticks(12)) * 1000 / per_second))
}

/// Returns the peak resident memory of `pid` in bytes.
pub(crate) fn peak_memory(pid: u32) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse::<u64>().ok());
    kibibytes.map(|k| k * 1024).ok_or_else(|| io::Error::other("no VmHWM"))
}
