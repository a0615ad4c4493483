//! The cgroups of a job in a cluster, which are below the group that the kubelet created for the agent's
//! container.
#![cfg(test)]

use std::path::Path;

use e2e::cgroups;
use e2e::leftovers::find_process;
use e2e::platform::{Platform, PoolSpec, SHELL};
use e2e::request::{expect, test_solution, version};
use e2e::tooling::PASSED;
use e2e::wait::{seconds, wait_for};

/// A duration that no other process on the machine sleeps for.
const SLEEP: &str = "6.125";

/// Returns a field of the only pod in the worker namespace.
fn pod_field(platform: &Platform, path: &str) -> String {
    let output = format!("-o=jsonpath={{.items[0].{path}}}");
    platform.kubectl(&["get", "pods", &output]).unwrap()
}

#[test]
fn job_runs_below_its_pods_cgroup() {
    let platform = Platform::on_local_cluster("reads the groups of processes on the node");
    platform.apply_pool(&PoolSpec::new("shell", SHELL, "replicas: 1").slots(1).cpu("250m"));
    platform.deploy_shell();
    platform.wait_for("Ready", "workerpool/shell");
    platform.wait_for("Ready", &format!("containerversion/shell-{}", version('a')));

    let script = format!("sleep {SLEEP}\necho '{PASSED}' > /mnt/exercism-iteration/results.json\n");
    let uri = platform.submission("sleeper", &[("do.sh", script.as_bytes())]);
    let pending = platform.send(&[test_solution("sleeper", SHELL, &uri, &version('a'))]);
    let job = wait_for(seconds(60), "the job runs", || find_process(&format!("sleep {SLEEP} ")));

    let pod = pod_field(&platform, "metadata.uid");
    let container = pod_field(&platform, "status.containerStatuses[0].containerID");
    let container = container.strip_prefix("containerd://").unwrap();
    for controller in ["memory", "pids", "cpu"] {
        let group = cgroups::of_process(job, controller);
        let above =
            |name: &str| group.ancestors().skip(1).find(|path| path.ends_with(name)).map(Path::to_owned);
        let kubepods = above("kubepods");
        let pod_group = above(&format!("pod{pod}"));
        let agent = above(container);
        let [kubepods, pod_group, agent] = [kubepods, pod_group, agent].map(|path| {
            path.unwrap_or_else(|| {
                panic!("{} is not below pod {pod}, container {container}", group.display())
            })
        });
        assert!(pod_group.starts_with(&kubepods) && agent.starts_with(&pod_group), "{}", group.display());
        // On version 2 the agent has moved from the container's group into a leaf, with its jobs' groups beside it.
        if agent.join("cgroup.controllers").exists() {
            assert_ne!(
                cgroups::read_first(&agent.join("agent"), &["cgroup.procs"]),
                "",
                "{}",
                agent.display()
            );
            assert!(group.starts_with(agent.join("jobs")), "{}", group.display());
        }
    }
    expect(&pending.answers()["sleeper"], 200, "ok");
    drop(platform);
}
