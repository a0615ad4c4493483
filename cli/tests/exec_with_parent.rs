//! `local exec-with-parent`: a process ends with the one that started it, however that ends.

use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

#[test]
fn a_killed_parent_ends_its_child() {
    let script =
        r#""$0" local exec-with-parent --parent $$ -- sh -c 'echo started $$; exec sleep 1000' & wait"#;
    let mut parent = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_trackyard")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let child = line.trim().strip_prefix("started ").unwrap().parse().unwrap();
    let child = pidfd_open(Pid::from_raw(child).unwrap(), PidfdFlags::empty()).unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::from_borrowed_fd(child.as_fd(), PollFlags::IN)], Some(&limit)).unwrap();
    assert_eq!(ended, 1, "the child goes on without its parent");
}

#[test]
fn a_child_without_its_parent_does_not_start() {
    let output = Command::new(env!("CARGO_BIN_EXE_trackyard"))
        .args(["local", "exec-with-parent", "--parent", "1", "--", "echo", "started"])
        .output()
        .unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(5), b"".as_slice()));
}
