//! The throw-away cluster: it runs pods, serves the CRDs, survives killed parts, and leaves nothing behind.
#![cfg(test)]

use std::fs;
use std::path::Path;
use std::thread;

use e2e::cluster::Cluster;
use e2e::leftovers;
use e2e::wait::{seconds, wait_until};

const POOL: &str = "apiVersion: trackyard.dev/v1alpha1
kind: WorkerPool
metadata: {name: ruby}
spec: {channel: test_runners, topics: [ruby], slots: 2}
";

fn repository(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    path.canonicalize().unwrap().display().to_string()
}

/// Starts a pod of a shell script, and waits until it runs.
fn run(cluster: &Cluster, name: &str, script: &str) {
    let image = ["--image=cluster.local/busybox:1", "--restart=Never", "--image-pull-policy=Never"];
    let _ = cluster.kubectl(&[&["run", name][..], &image, &["--", "sh", "-c", script]].concat());
    let pod = format!("pod/{name}");
    let _ = cluster.kubectl(&["wait", "--for=condition=Ready", &pod, "--timeout=30s"]);
}

#[test]
fn cluster_survives_killed_parts_and_leaves_nothing() {
    let cluster = Cluster::local("stops parts of its cluster", &[]);
    run(&cluster, "one", "nslookup kubernetes.default.svc.cluster.local && echo found; exec sleep 600");
    wait_until(seconds(10), "the pod has found the API server by its name", || {
        cluster.kubectl(&["logs", "one"]).contains("found")
    });
    for part in ["kube-apiserver", "containerd", "kubelet"] {
        cluster.fault("kill", part);
        wait_until_recovered(&cluster, part);
    }
    let name = cluster.name().to_owned();
    cluster.stop();
    let left = |lines: Vec<String>| lines.into_iter().filter(|line| line.contains(&name)).collect::<Vec<_>>();
    assert_eq!(left(leftovers::commands()), Vec::<String>::new());
    assert_eq!(left(leftovers::all_mounts()), Vec::<String>::new());
    assert!(!Path::new("/run/netns").join(format!("trackyard-{name}")).exists());
}

fn wait_until_recovered(cluster: &Cluster, part: &str) {
    let ready = ["get", "nodes", "--no-headers"];
    wait_until(seconds(30), "the cluster answers again", || {
        cluster.try_kubectl(&ready).is_some_and(|nodes| nodes.contains(" Ready "))
    });
    wait_until(seconds(30), "a pod can be made again", || {
        let image = ["--image=cluster.local/busybox:1", "--restart=Never", "--image-pull-policy=Never"];
        let made = [&["run", part][..], &image, &["--", "true"]].concat();
        cluster.try_kubectl(&made).is_some()
    });
    let done = ["wait", "--for=jsonpath={.status.phase}=Succeeded", &format!("pod/{part}"), "--timeout=40s"];
    let _ = cluster.kubectl(&done);
}

#[test]
fn two_clusters_are_independent() {
    let own = || Cluster::local("starts two", &[]);
    let other = thread::spawn(own);
    let cluster = own();
    let other = other.join().unwrap();
    let _ =
        cluster.kubectl(&["apply", "--server-side", "-f", &repository("crds/generated/workerpools.yaml")]);
    let _ = cluster.kubectl(&["wait", "--for=condition=Established", "crd/workerpools.trackyard.dev"]);
    let dir = tempfile::TempDir::new().unwrap();
    let pool = dir.path().join("pool.yaml");
    fs::write(&pool, POOL).unwrap();
    let pool = pool.to_str().unwrap();
    wait_until(seconds(20), "the kind is served", || cluster.try_kubectl(&["apply", "-f", pool]).is_some());
    let listed = cluster.kubectl(&["get", "wp"]);
    assert!(listed.starts_with("NAME   CHANNEL        TOPICS     DESIRED   READY   STATE   AGE"), "{listed}");
    assert!(listed.contains(r#"ruby   test_runners   ["ruby"]   1"#), "{listed}");
    assert!(cluster.kubectl(&["scale", "wp/ruby", "--replicas=3"]).contains("scaled"));
    assert!(other.try_kubectl(&["get", "wp"]).is_none(), "the other cluster has the kind too");
    cluster.stop();
    assert!(other.kubectl(&["get", "nodes"]).contains("Ready"));
}
