//! `local up` with fakes of the router and the workers: what it starts, and that all of it ends.

#[cfg(test)]
mod fakes;

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::{Duration, Instant};

use fakes::Fakes;
use rustix::process::{Pid, Signal, kill_process};

/// Returns the lines up to the one that says that everything is running.
#[cfg(test)]
fn until_up(child: &mut Child) -> Vec<String> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut seen = Vec::new();
    for line in lines {
        seen.push(line);
        if seen.last().unwrap().starts_with("Everything is running") {
            return seen;
        }
    }
    panic!("`local up` ended before everything was running: {seen:?}");
}

#[cfg(test)]
fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), signal).unwrap();
}

#[test]
fn sigterm_stops_all_processes() {
    let fakes = Fakes::ready();
    let mut up = fakes.up().spawn().unwrap();
    let lines = until_up(&mut up);
    for expected in ["router    tcp://127.0.0.1:", "s3        http://127.0.0.1:", "logs      /"] {
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected} is not in {lines:?}");
    }
    for name in ["router", "test-runners", "static-analyzers", "representers", "test-runners-ruby"] {
        let line = lines.iter().filter(|line| line.ends_with(&format!("status.json  {name}")));
        assert_eq!(line.count(), 1, "{name} is not in {lines:?}");
    }
    assert_eq!(fakes.running(), 6);
    send(&up, Signal::TERM);
    assert_eq!(up.wait().unwrap().code(), Some(0));
    assert_eq!((fakes.running(), fakes.temporary()), (0, vec![]));
}

#[test]
fn a_dead_process_is_reported_with_its_log() {
    let fakes = Fakes::with_broken_workers();
    let output = fakes.up().output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(
        stderr.contains("ended by itself (exit status: 3)") && stderr.contains("no cgroups here"),
        "{stderr}"
    );
    assert_eq!((fakes.running(), fakes.temporary()), (0, vec![]));
}

#[test]
fn sigkill_ends_all_processes() {
    let fakes = Fakes::ready();
    let mut up = fakes.up().spawn().unwrap();
    until_up(&mut up);
    up.kill().unwrap();
    up.wait().unwrap();
    let start = Instant::now();
    while fakes.running() > 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "processes go on without `local up`");
        std::thread::sleep(Duration::from_millis(20));
    }
}
