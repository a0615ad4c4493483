//! What a container can see, use and reach, read from the kernel while it runs.
#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;

use e2e::cgroups::{self, read_first};
use e2e::leftovers::find_process;
use e2e::request::{expect, with};
use e2e::rig::{Rig, small_limits};
use e2e::serial::exclusive;
use e2e::wait::{seconds, slowness, wait_for, wait_until};
use rstest::rstest;
use serde_json::{Value, json};
use trackyard_protocol::quantity::HumanDuration;

/// Runs `script`. Returns what it prints.
fn printed(rig: &Rig, script: &str) -> String {
    let answer = rig.run(&format!("{script}\necho '{{}}' > /mnt/exercism-iteration/results.json"));
    expect(&answer, 200, "ok");
    answer.context["invocation"]["stdout"].as_str().unwrap().to_owned()
}

#[test]
fn limits_are_set_in_the_kernel() {
    let rig = Rig::start(
        json!({"wall": HumanDuration(seconds(10)), "wall_max": HumanDuration(seconds(60)), "memory": "96Mi", "pids": 40, "cpus": "500m"}),
    );
    let client = rig.router.client();
    let sleep = format!("sleep {}.75", seconds(3).as_secs());
    client.send(&rig.request(&format!("exec {sleep}"))).unwrap();
    let pid = wait_for(seconds(10), "the container runs", || find_process(&format!("{sleep} ")));

    let memory = cgroups::of_process(pid, "memory");
    assert_eq!(read_first(&memory, &["memory.limit_in_bytes", "memory.max"]), (96_u64 << 20).to_string());
    let swap = read_first(&memory, &["memory.memsw.limit_in_bytes", "memory.swap.max"]);
    assert!(swap == (96_u64 << 20).to_string() || swap == "0", "swap {swap}");
    assert_eq!(read_first(&cgroups::of_process(pid, "pids"), &["pids.max"]), "40");
    let cpu = cgroups::of_process(pid, "cpu");
    let (quota, period) = match fs::read_to_string(cpu.join("cpu.max")) {
        Ok(text) => {
            let (quota, period) = text.trim().split_once(' ').unwrap();
            (quota.to_owned(), period.to_owned())
        }
        Err(_) => (read_first(&cpu, &["cpu.cfs_quota_us"]), read_first(&cpu, &["cpu.cfs_period_us"])),
    };
    let share = quota.parse::<f64>().unwrap() / period.parse::<f64>().unwrap();
    assert!((0.49..0.51).contains(&share), "{quota} of {period}");

    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let fields: BTreeMap<&str, &str> = status.lines().filter_map(|line| line.split_once(":\t")).collect();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(fields[set], "0000000000000000", "{set}");
    }
    assert_eq!((fields["NoNewPrivs"], fields["Seccomp"]), ("1", "2"));
    assert_ne!(fields["Uid"].split('\t').next(), Some("0"), "root outside");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let file_size = limits.lines().find(|line| line.starts_with("Max file size")).unwrap();
    assert!(file_size.contains(&(256_u64 << 20).to_string()), "{file_size}");
    for namespace in ["user", "pid", "ipc", "uts", "mnt", "cgroup", "net"] {
        let own = fs::read_link(format!("/proc/self/ns/{namespace}")).unwrap();
        assert_ne!(fs::read_link(format!("/proc/{pid}/ns/{namespace}")).unwrap(), own, "{namespace}");
    }
    let _ = client.receive(seconds(20)).unwrap();
    wait_until(seconds(5), "the job's group is gone", || !memory.exists());
}

#[test]
fn reported_usage_is_within_10_percent() {
    let _guard = exclusive();
    let time = HumanDuration(seconds(20));
    let rig = Rig::start(json!({"wall": time, "wall_max": time, "cpus": "1", "memory": "256Mi"}));
    // Burns CPU until the kernel has charged a given time, and prints the time charged to it and its children.
    let script = r"
        charged() {
          read -r _ _ _ _ _ _ _ _ _ _ _ _ _ user system child_user child_system _ < /proc/1/stat
          ticks=$((user + system + child_user + child_system))
        }
        charged
        while [ $ticks -lt LEAST ]; do
          i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done
          charged
        done
        dd if=/dev/zero of=/tmp/held bs=1M count=64 2>/dev/null
        charged; echo $ticks
        echo '{}' > /mnt/exercism-iteration/results.json";
    let answer = rig.run(&script.replace("LEAST", &(seconds(2).as_millis() / 10).to_string()));
    expect(&answer, 200, "ok");
    let ticks: f64 = answer.context["invocation"]["stdout"].as_str().unwrap().trim().parse().unwrap();
    let usage = &answer.context["usage"];
    let number = |field: &str| usage[field].as_f64().unwrap();
    let used = number("cpu_user_ms") + number("cpu_sys_ms");
    let known = ticks * 10.0;
    // The start of the container, before its first process, uses CPU too.
    let start = 150.0 * f64::from(slowness());
    assert!(used >= known * 0.9 && used <= known * 1.1 + start, "{used} ms; known {known} ms");
    let peak = number("memory_peak_bytes");
    let held = 67_108_864.0;
    assert!(peak >= held * 0.9 && peak <= held * 1.1 + 12e6, "{peak} bytes; known {held}");
}

#[test]
fn concurrent_runs_of_one_exercise_are_isolated() {
    let rig = Rig::start(json!({"wall": HumanDuration(seconds(15)), "wall_max": HumanDuration(seconds(60))}));
    // Each run writes a mark, waits until both must exist, and lists what it sees.
    let script = |mark: &str| {
        format!(
            "echo {mark} > /tmp/{mark}; echo {mark} > /mnt/exercism-iteration/{mark}; sleep {};
             ls /tmp /mnt/exercism-iteration; ps; ipcs 2>/dev/null;
             echo '{{\"mark\":\"{mark}\"}}' > /mnt/exercism-iteration/results.json",
            seconds(2).as_secs()
        )
    };
    let client = rig.router.client();
    let requests = [rig.request(&script("left")), rig.request(&script("right"))];
    for request in &requests {
        client.send(request).unwrap();
    }
    let mut answers: Vec<_> = requests.iter().map(|_| client.receive(seconds(30)).unwrap()).collect();
    answers.sort_by_key(|answer| answer.context["id"].as_str().unwrap().to_owned());
    for (answer, (own, other)) in answers.iter().zip([("left", "right"), ("right", "left")]) {
        expect(answer, 200, "ok");
        assert_eq!(answer.response["mark"], own);
        let seen = answer.context["invocation"]["stdout"].as_str().unwrap();
        assert!(seen.contains(own) && !seen.contains(other), "{own} saw:\n{seen}");
    }
    let end =
        |answer: &trackyard_protocol::answer::Answer| answer.context["timing"]["end_time"].as_u64().unwrap();
    let start = |answer: &trackyard_protocol::answer::Answer| {
        answer.context["timing"]["start_time"].as_u64().unwrap()
    };
    let together = end(&answers[0]).max(end(&answers[1])) - start(&answers[0]).min(start(&answers[1]));
    assert!(u128::from(together) < seconds(4).as_millis(), "the runs were not concurrent: {together} ms");
}

#[test]
fn only_loopback_is_up() {
    let rig = Rig::shared();
    let links = printed(&rig, "ls /sys/class/net 2>/dev/null; cat /proc/net/dev; ip link show lo");
    let names: Vec<&str> =
        links.lines().filter_map(|line| line.split_once(':').map(|(name, _)| name.trim())).collect();
    assert!(names.contains(&"lo") && !names.iter().any(|name| name.starts_with("eth")), "{links}");
    assert!(links.contains("UP"), "{links}");
    let reached = printed(
        &rig,
        "nc -w 1 169.254.169.254 80 </dev/null && echo got-out; nslookup example.org && echo got-out; true",
    );
    assert!(!reached.contains("got-out"), "{reached}");
    let pause = seconds(1).as_secs_f64() / 2.0;
    let wait = seconds(2).as_secs();
    let script =
        format!("(echo hi | nc -l -p 5000) & sleep {pause}; nc -w {wait} 127.0.0.1 5000 </dev/null; wait");
    let local = printed(&rig, &script);
    assert!(local.contains("hi"), "{local}");
}

#[rstest]
#[case::remount("mount -o remount,rw /")]
#[case::mount("mount -t tmpfs none /tmp")]
#[case::proc("echo 1 > /proc/sys/kernel/core_pattern")]
#[case::sysrq("echo h > /proc/sysrq-trigger")]
#[case::clock("date -s 2001-01-01 && date +%Y | grep 2001")]
#[case::device("mknod /tmp/d b 7 0 && dd if=/tmp/d count=1")]
#[case::hostname("hostname owned")]
#[case::cgroup("mkdir /sys/fs/cgroup/x")]
#[case::unshare("unshare -m -r sh -c 'mount -t tmpfs none /mnt'")]
#[case::kernel_log("dmesg | grep .")]
#[case::memory("cat /proc/kcore | head -c 1 | grep .")]
#[case::lower_layer("echo x > /bin/busybox")]
fn attack_fails(#[case] attack: &str) {
    let rig = Rig::shared();
    let output = printed(&rig, &format!("if {attack} 2>/dev/null; then echo done-it; fi"));
    assert!(!output.contains("done-it"), "{attack} worked");
}

#[test]
fn container_sees_only_its_own_system() {
    let rig = Rig::shared();
    let seen = printed(
        &rig,
        "id -u; pwd; echo $HOME; ps | wc -l; cat /proc/self/cgroup; env; ls -a / /opt/test-runner; echo args $0",
    );
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(&lines[1..3], ["/opt/test-runner", "/tmp"], "{seen}");
    for text in ["AWS_", "TRACKYARD_", "CARGO", &rig.stage.dir().display().to_string()] {
        assert!(!seen.contains(text), "{text} in:\n{seen}");
    }
    let arguments = printed(&rig, "tr '\\0' ' ' < /proc/1/cmdline");
    assert!(arguments.contains("do.sh"), "{arguments}");
}

#[test]
fn request_may_set_time_up_to_the_maximum() {
    let rig = Rig::start(with(with(small_limits(), "wall", json!("8s")), "wall_max", json!("10s")));
    let request = |limit: u32| with(rig.request("exit 0"), "execution_timeout", json!(limit));
    let wall = |value: &Value| value["limits"]["wall"].clone();
    let lowered = rig.router.ask(&request(2));
    assert_eq!(wall(&lowered.context), "2s");
    let raised = rig.router.ask(&request(10));
    assert_eq!(wall(&raised.context), "10s");
    expect(&rig.router.ask(&request(11)), 400, "bad_timeout");
}
