//! `local up`, with stand-ins for the router and the workers: what is started, and that all of it ends.

#[cfg(test)]
mod parts;

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::{Duration, Instant};

use parts::Parts;
use rustix::process::{Pid, Signal, kill_process};

/// The lines up to the one that says that all is up.
#[cfg(test)]
fn until_up(child: &mut Child) -> Vec<String> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut seen = Vec::new();
    for line in lines {
        seen.push(line);
        if seen.last().unwrap().starts_with("All is up") {
            return seen;
        }
    }
    panic!("it never came up: {seen:?}");
}

#[cfg(test)]
fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), signal).unwrap();
}

#[test]
fn all_parts_come_up_and_a_signal_takes_them_down() {
    let parts = Parts::ready();
    let mut up = parts.up().spawn().unwrap();
    let lines = until_up(&mut up);
    for expected in ["router    tcp://127.0.0.1:", "s3        http://127.0.0.1:", "logs      /"] {
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected} is not in {lines:?}");
    }
    for name in ["router", "test-runners", "static-analyzers", "representers", "test-runners-ruby"] {
        let line = lines.iter().filter(|line| line.ends_with(&format!("status.json  {name}")));
        assert_eq!(line.count(), 1, "{name} is not in {lines:?}");
    }
    assert_eq!(parts.running(), 6);
    send(&up, Signal::TERM);
    assert_eq!(up.wait().unwrap().code(), Some(0));
    assert_eq!((parts.running(), parts.temporary()), (0, vec![]));
}

#[test]
fn a_part_that_ends_by_itself_is_named_with_the_end_of_its_log() {
    let parts = Parts::with_broken_workers();
    let output = parts.up().output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(
        said.contains("ended by itself (exit status: 3)") && said.contains("no control groups here"),
        "{said}"
    );
    assert_eq!((parts.running(), parts.temporary()), (0, vec![]));
}

#[test]
fn after_a_kill_the_parts_end_too() {
    let parts = Parts::ready();
    let mut up = parts.up().spawn().unwrap();
    until_up(&mut up);
    up.kill().unwrap();
    up.wait().unwrap();
    let start = Instant::now();
    while parts.running() > 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "parts go on without `local up`");
        std::thread::sleep(Duration::from_millis(20));
    }
}
