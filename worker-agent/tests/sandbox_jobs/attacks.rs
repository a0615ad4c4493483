//! Attacks by a hostile job.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use trackyard_protocol::channel::Channel;
use trackyard_protocol::quantity::{Bytes, HumanDuration};

use crate::Scenario;
use crate::machine::{Job, Machine, scaled, write_program};
use crate::program::program;

pub(crate) const ALL: &[Scenario] = &[
    ("fork_bomb", fork_bomb),
    ("limits_hold_in_the_kernel", limits_hold_in_the_kernel),
    ("only_loopback", only_loopback),
    ("root_is_read_only_and_without_rights", root_is_read_only_and_without_rights),
    ("system_calls", system_calls),
    ("job_dir_is_bounded", job_dir_is_bounded),
    ("no_file_is_left_for_the_next_job", no_file_is_left_for_the_next_job),
    ("images_own_dirs_and_links_are_hidden", images_own_dirs_and_links_are_hidden),
    ("image_owners_hold_inside", image_owners_hold_inside),
    ("environment", environment),
    ("entry_is_found_once", entry_is_found_once),
    ("many_layers", many_layers),
    ("concurrent_jobs_are_isolated", concurrent_jobs_are_isolated),
    ("usage_of_a_known_load", usage_of_a_known_load),
];

fn stdout(machine: &Machine, job: &Job) -> String {
    let outcome = machine.run(job);
    String::from_utf8_lossy(&outcome.stdout.bytes).into_owned()
}

fn fork_bomb(machine: &Machine) {
    let job = Job::new("b() { b | b & }; b; sleep 10").limits(|limits| {
        limits.wall = HumanDuration(scaled(1000));
        limits.pids = 64;
    });
    let outcome = machine.run(&job);
    assert!(matches!(outcome.reason.code(), 401 | 513), "{outcome:?}");
    assert!(outcome.usage.pids_peak.is_none_or(|peak| peak <= 64), "{:?}", outcome.usage);
}

fn limits_hold_in_the_kernel(machine: &Machine) {
    let job = Job::new(&format!("sleep {}", scaled(1000).as_secs())).limits(|limits| {
        limits.pids = 77;
        limits.memory = Bytes(100 << 20);
        limits.cpus = "500m".parse().unwrap();
    });
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    machine.run_while(&job, || async {
        Machine::processes().await;
        for group in Machine::groups() {
            for entry in fs::read_dir(&group).unwrap().flatten() {
                let text = fs::read_to_string(entry.path()).unwrap_or_default().trim().to_owned();
                files.entry(entry.file_name().into_string().unwrap()).or_insert(text);
            }
        }
    });
    let is = |file: &str, value: &str| files.get(file).is_some_and(|text| text == value);
    assert!(is("pids.max", "77"));
    if files.contains_key("memory.max") {
        assert!(
            is("memory.max", "104857600") && is("cpu.max", "50000 100000") && is("memory.oom.group", "1")
        );
    } else {
        assert!(is("memory.limit_in_bytes", "104857600") && is("memory.memsw.limit_in_bytes", "104857600"));
        assert!(is("cpu.cfs_quota_us", "50000") && is("cpu.cfs_period_us", "100000"));
    }
}

fn only_loopback(machine: &Machine) {
    let text =
        stdout(machine, &Job::new("tail -n +3 /proc/net/dev | cut -d: -f1; ip link show lo | grep -c UP"));
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["lo", "1"]);
    let script = "ping -c 1 -W 1 169.254.169.254 > /dev/null || wget -T 1 -q -O - http://169.254.169.254/ || echo unreachable";
    assert_eq!(stdout(machine, &Job::new(script)), "unreachable\n");
}

fn root_is_read_only_and_without_rights(machine: &Machine) {
    let script = "
        denied() { \"$@\" 2> /dev/null && echo \"allowed: $*\"; }
        denied touch /new
        denied touch /opt/test-runner/new
        denied mount -t tmpfs none /tmp
        denied mount -o remount,rw /
        denied unshare -U true
        denied unshare -m true
        denied nsenter -t 1 -m true
        denied mknod /tmp/disk b 8 0
        denied chroot / true
        denied hostname other
        denied sh -c 'echo 1 > /proc/sys/kernel/panic'
        denied sh -c 'echo b > /proc/sysrq-trigger'
        denied dmesg
        denied nice -n -20 true
        kill -9 1
        cat /proc/kcore /proc/keys /proc/timer_list
        grep -E '^(Cap|Seccomp:|NoNewPrivs:)' /proc/self/status
        grep -c . /proc/self/mountinfo > /dev/null
        cat /proc/self/cgroup | grep -c trackyard
        ls /proc/self/fd | wc -l";
    let text = stdout(machine, &Job::new(script));
    assert!(!text.contains("allowed:"), "{text}");
    let capabilities = text.lines().filter(|line| line.starts_with("Cap"));
    assert!(
        capabilities.clone().count() == 5
            && capabilities.clone().all(|line| line.ends_with("\t0000000000000000"))
    );
    assert!(text.contains("Seccomp:\t2\n") && text.contains("NoNewPrivs:\t1\n"), "{text}");
    // The job sees no group of the machine. `ls` has 0, 1, 2 and the directory that it lists open.
    assert_eq!(text.lines().rev().take(2).collect::<Vec<_>>(), ["4", "0"], "{text}");
}

/// Makes system calls that no tool of busybox makes.
fn system_calls(machine: &Machine) {
    let layer = program(machine, "probe", include_str!("probe.c"));
    let text = stdout(machine, &Job { layers: vec![layer], ..Job::new("probe") });
    let (allowed, denied): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.ends_with(": allowed"));
    assert_eq!(allowed.len(), 5, "{text}");
    let got = |error: &str| denied.iter().filter(|line| line.ends_with(error)).count();
    assert_eq!(
        (got(": EAFNOSUPPORT"), got(": ENOSYS"), got(": EPERM"), denied.len()),
        (3, 2, 14, 19),
        "{text}"
    );
}

fn job_dir_is_bounded(machine: &Machine) {
    let job = Job::new(
        "head -c 3000000 /dev/zero > $2/x; echo $?; for i in 1 2 3 4 5 6; do touch $2/f$i; done; ls $2",
    );
    let job = job.limits(|limits| {
        limits.job_folder = Bytes(1 << 20);
        limits.job_inodes = 5;
    });
    // Five inodes: the script, x and three more.
    assert_eq!(stdout(machine, &job), "1\nf1\nf2\nf3\njob.sh\nx\n");
}

fn no_file_is_left_for_the_next_job(machine: &Machine) {
    machine.run(&Job::new("echo secret > $2/a; echo secret > /tmp/b; echo secret > /dev/shm/c"));
    assert_eq!(stdout(machine, &Job::new("ls -A $2 /tmp /dev/shm | grep -E '^(a|b|c)$'; true")), "");
}

fn images_own_dirs_and_links_are_hidden(machine: &Machine) {
    let layer = machine.layer("links");
    symlink("/proc", layer.join("tmp")).unwrap();
    symlink("/etc", layer.join("mnt")).unwrap();
    fs::write(layer.join("dev"), "a file").unwrap();
    let job = Job {
        layers: vec![layer],
        ..Job::new("echo x > /tmp/x && ls -d /mnt/* && echo '{}' > $2/results.json")
    };
    let outcome = machine.run(&job);
    assert_eq!(outcome.reason.as_str(), "ok", "{outcome:?}");
    assert_eq!(outcome.stdout.bytes, b"/mnt/exercism-iteration\n");
}

fn image_owners_hold_inside(machine: &Machine) {
    let layer = machine.layer("owners");
    write_program(&layer.join("bin/setuid"), "#!/bin/sh\n");
    fs::set_permissions(layer.join("bin/setuid"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::write(layer.join("theirs"), "x").unwrap();
    std::os::unix::fs::chown(layer.join("theirs"), Some(1000), Some(100)).unwrap();
    let job = Job { layers: vec![layer], ..Job::new("stat -c '%u %g %a' /theirs /bin/setuid $2/job.sh") };
    assert_eq!(stdout(machine, &job), "1000 100 644\n0 0 4755\n0 0 644\n");
}

fn environment(machine: &Machine) {
    let env = ["LANG=C.UTF-8", "no value", "=x"].map(ToOwned::to_owned).to_vec();
    let job = Job { env, ..Job::new("env | grep -v -E '^(PWD|SHLVL|_|OLDPWD)=' | sort") };
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(stdout(machine, &job), format!("HOME=/tmp\nLANG=C.UTF-8\n{path}\n"));
}

fn entry_is_found_once(machine: &Machine) {
    let find = |layer, channel| {
        machine
            .host
            .find_entry(&[layer], channel)
            .unwrap()
            .map(trackyard_worker::sandbox::EntryScript::script)
    };
    let older = machine.layer("older");
    write_program(&older.join("opt/analyzer/bin/analyze.sh"), "#!/bin/sh\n");
    // Links are resolved inside the image, as the container would resolve them.
    write_program(&older.join("usr/lib/tool/run"), "#!/bin/sh\n");
    fs::create_dir_all(older.join("opt/representer/bin")).unwrap();
    symlink("/usr/lib/tool/run", older.join("opt/representer/bin/run.sh")).unwrap();
    fs::create_dir_all(older.join("opt/test-runner/bin")).unwrap();
    symlink("/bin/sh", older.join("opt/test-runner/bin/run.sh")).unwrap();
    assert_eq!(find(older.clone(), Channel::StaticAnalyzers), Some("bin/analyze.sh"));
    assert_eq!(find(older.clone(), Channel::Representers), Some("bin/run.sh"));
    assert_eq!(find(older, Channel::TestRunners), None);
    assert_eq!(find(machine.layer("empty"), Channel::TestRunners), None);
}

fn many_layers(machine: &Machine) {
    let layers: Vec<_> = (0..120).map(|number| machine.layer(&format!("many-{number}"))).collect();
    fs::write(layers[0].join("lowest"), "").unwrap();
    let script = "#!/bin/sh\nls /lowest\necho '{}' > $2/results.json\n";
    write_program(&layers[119].join("opt/test-runner/bin/run.sh"), script);
    assert!(machine.host.find_entry(&layers, Channel::TestRunners).unwrap().is_some());
    assert_eq!(stdout(machine, &Job { layers, ..Job::new("") }), "/lowest\n");
}

fn usage_of_a_known_load(machine: &Machine) {
    // The script stops at a processor time that the kernel has charged to it and its children, and prints that time: so
    // the load is known on any machine. Process 1 is the script itself.
    let script = format!(
        "charged() {{
           read -r _ _ _ _ _ _ _ _ _ _ _ _ _ user system child_user child_system _ < /proc/1/stat
           ticks=$((user + system + child_user + child_system))
         }}
         charged
         while [ $ticks -lt {} ]; do
           i=0; while [ $i -lt 5000 ]; do i=$((i+1)); done
           charged
         done
         dd if=/dev/zero of=/tmp/x bs=1000000 count=100
         charged; echo $ticks; echo '{{}}' > $2/results.json",
        scaled(4000).as_millis() / 10
    );
    let job = Job::new(&script).limits(|limits| limits.wall = HumanDuration(scaled(20_000)));
    let outcome = machine.run(&job);
    assert_eq!(outcome.reason.as_str(), "ok", "{outcome:?}");
    let ticks: u64 = String::from_utf8_lossy(&outcome.stdout.bytes).trim().parse().unwrap();
    let known = Duration::from_millis(ticks * 10);
    let usage = outcome.usage;
    let cpu = Duration::from_millis(usage.cpu_user_ms + usage.cpu_sys_ms);
    assert!((known.mul_f64(0.9)..=known.mul_f64(1.1)).contains(&cpu), "{known:?}: {usage:?}");
    assert!(Duration::from_millis(usage.wall_ms) >= scaled(4000), "{usage:?}");
    assert!(
        usage.memory_peak_bytes.is_none_or(|peak| (90_000_000..=110_000_000).contains(&peak)),
        "{usage:?}"
    );
}

fn concurrent_jobs_are_isolated(machine: &Machine) {
    let script = format!(
        "echo $$ > /dev/shm/x; echo '{{}}' > $2/results.json; sleep 100 & sleep {}; \
         grep -l sleep /proc/[0-9]*/comm | wc -l; ls /dev/shm; kill -9 -1; true",
        scaled(500).as_secs_f64()
    );
    let job = Job::new(&script);
    let before = Instant::now();
    let outcomes = machine.run_two(&job);
    let together = before.elapsed();
    let mut one_by_one = Duration::ZERO;
    for outcome in outcomes {
        assert_eq!(outcome.stdout.bytes, b"1\nx\n", "{outcome:?}");
        assert_eq!(outcome.reason.as_str(), "ok", "{outcome:?}");
        let usage = outcome.usage;
        one_by_one += Duration::from_millis(usage.setup_ms + usage.launch_ms + usage.wall_ms);
    }
    assert!(together < one_by_one, "they ran one after the other: {together:?}");
}
