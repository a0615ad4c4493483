//! A job that tries to get more rights: other ids, capabilities, limits, namespaces, devices, the machine's sockets.

use std::ffi::CString;
use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{SocketAddr, UnixListener};

use rustix::fs::{XattrFlags, setxattr};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Scenario;
use crate::machine::{Job, Machine};
use crate::program::program;

pub(crate) const ALL: &[Scenario] = &[
    ("no_more_rights_than_given", no_more_rights_than_given),
    ("set_id_bits_and_file_capabilities_give_nothing", set_id_bits_and_file_capabilities_give_nothing),
    ("nothing_is_open_but_the_three_streams", nothing_is_open_but_the_three_streams),
];

const SOURCE: &str = include_str!("rights.c");

fn printed(machine: &Machine, job: &Job) -> String {
    let outcome = machine.run(job);
    assert_eq!(outcome.reason.as_str(), "ok", "{outcome:?}");
    String::from_utf8(outcome.stdout.bytes).unwrap()
}

fn no_more_rights_than_given(machine: &Machine) {
    // A job must not inherit the worker's right to a higher priority. If the worker has no such right, this does
    // nothing.
    let own_limits = [Resource::Rtprio, Resource::Nice].map(|resource| (resource, getrlimit(resource)));
    for (resource, _) in own_limits {
        let _ = setrlimit(resource, Rlimit { current: Some(40), maximum: Some(40) });
    }
    let address = SocketAddr::from_abstract_name("trackyard-hostile-test").unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    let job = Job {
        layers: vec![program(machine, "rights", SOURCE)],
        ..Job::new("rights; echo '{}' > $2/results.json")
    };
    let text = printed(machine, &job);
    drop(listener);
    for (resource, limit) in own_limits {
        setrlimit(resource, limit).unwrap();
    }
    assert_eq!(text, "denied: 40\n");
}

/// An image has a program with set-id bits of another owner, and one with every capability. Both run as root without
/// rights.
fn set_id_bits_and_file_capabilities_give_nothing(machine: &Machine) {
    let layer = program(machine, "rights", SOURCE);
    let bin = layer.join("bin");
    fs::copy(bin.join("rights"), bin.join("set-id")).unwrap();
    chown(bin.join("set-id"), Some(1000), Some(100)).unwrap();
    fs::set_permissions(bin.join("set-id"), fs::Permissions::from_mode(0o6755)).unwrap();
    fs::copy(bin.join("rights"), bin.join("capable")).unwrap();
    // Version 2: every capability permitted and effective.
    let mut all = vec![1, 0, 0, 2];
    all.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 1, 0, 0, 0, 0, 0, 0]);
    let name = CString::new("security.capability").unwrap();
    setxattr(bin.join("capable"), name, &all, XattrFlags::empty()).unwrap();
    let script = "set-id who; capable who; echo '{}' > $2/results.json";
    let nobody = "0 0\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n";
    assert_eq!(printed(machine, &Job { layers: vec![layer], ..Job::new(script) }), nobody.repeat(2));
}

/// A job inherits no descriptor of the worker.
fn nothing_is_open_but_the_three_streams(machine: &Machine) {
    let script = "ls /proc/1/fd; readlink /proc/1/cwd; readlink /proc/1/root; echo '{}' > $2/results.json";
    let text = printed(machine, &Job::new(script));
    let (numbers, dirs): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| !line.starts_with('/'));
    // The shell keeps its script open, as 10 or above.
    let streams = numbers.iter().filter(|number| number.parse::<u32>().unwrap() < 10);
    assert_eq!(streams.copied().collect::<Vec<_>>(), ["0", "1", "2"], "{text}");
    assert_eq!(dirs, ["/opt/test-runner", "/"]);
}
