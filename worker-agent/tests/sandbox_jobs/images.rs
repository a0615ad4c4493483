//! Hostile images: links at mount points, and a working directory that leads out of the image.

use std::fs;
use std::os::unix::fs::symlink;

use crate::Scenario;
use crate::machine::{Job, Machine, write_program};

pub(crate) const ALL: &[Scenario] = &[
    ("a_working_dir_that_is_a_descriptor", a_working_dir_that_is_a_descriptor),
    ("links_at_mount_points_are_hidden", links_at_mount_points_are_hidden),
    ("images_do_not_move_masks", images_do_not_move_masks),
];

/// The working directory leads to a descriptor of the worker or of runc, and so to the machine's files.
fn a_working_dir_that_is_a_descriptor(machine: &Machine) {
    for number in 3..12 {
        let layer = machine.layer(&format!("cwd-{number}"));
        fs::create_dir_all(layer.join("opt")).unwrap();
        symlink(format!("/proc/self/fd/{number}"), layer.join("opt/test-runner")).unwrap();
        let script = "ls -d ../../../../run/trackyard; echo '{}' > $2/results.json";
        let outcome = machine.run(&Job { layers: vec![layer], ..Job::new(script) });
        assert!(matches!(outcome.reason.code(), 512 | 513), "{number}: {outcome:?}");
        assert!(outcome.stdout.bytes.is_empty(), "{number}: {outcome:?}");
    }
}

fn links_at_mount_points_are_hidden(machine: &Machine) {
    let targets = ["..", "../../../..", "/proc/self/root/..", "/proc/1/root", "/nothing", "a-file", "tmp"];
    for (number, target) in targets.into_iter().enumerate() {
        let layer = machine.layer(&format!("prepared-{number}"));
        for name in ["proc", "sys", "dev", "tmp", "mnt"] {
            if target == "a-file" {
                fs::write(layer.join(name), "").unwrap();
            } else {
                symlink(target, layer.join(name)).unwrap();
            }
        }
        let script = "stat -f -c %T /proc /sys /dev /tmp $2 | sort -u; ls -d /proc/1 > /dev/null \
                      && echo '{}' > $2/results.json";
        let outcome = machine.run(&Job { layers: vec![layer], ..Job::new(script) });
        assert_eq!(outcome.reason.as_str(), "ok", "{target}: {outcome:?}");
        let kinds = String::from_utf8_lossy(&outcome.stdout.bytes).into_owned();
        assert_eq!(kinds, "proc\nsysfs\ntmpfs\n", "{target}");
    }
}

/// The image has directories and links below the mount points, and an init program of its own.
fn images_do_not_move_masks(machine: &Machine) {
    let layer = machine.layer("below");
    for dir in ["dev/shm", "dev/pts", "proc/sys/kernel", "sys/fs/cgroup", "mnt/exercism-iteration/x"] {
        fs::create_dir_all(layer.join(dir)).unwrap();
    }
    symlink("/etc/passwd", layer.join("proc/kcore")).unwrap();
    symlink("/tmp/kept", layer.join("proc/sysrq-trigger")).unwrap();
    fs::write(layer.join("mnt/exercism-iteration/results.json"), "{}").unwrap();
    write_program(&layer.join("bin/init"), "#!/bin/sh\n");
    let script = "head -c 1 /proc/kcore | wc -c; echo b 2> /dev/null > /proc/sysrq-trigger || echo read-only
        ls -A $2";
    let outcome = machine.run(&Job { layers: vec![layer], ..Job::new(script) });
    assert_eq!(outcome.reason.as_str(), "missing", "{outcome:?}");
    assert_eq!(String::from_utf8_lossy(&outcome.stdout.bytes), "0\nread-only\njob.sh\n");
}
