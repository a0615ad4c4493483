//! The operator on a real cluster: pools become Deployments, their conditions name causes, and children follow pools.
#![cfg(test)]

use std::path::Path;

use e2e::binaries::binary;
use e2e::cluster::Cluster;
use e2e::platform::{Release, install_crds};
use e2e::process::Process;
use e2e::wait::{seconds, wait_until};
use rustix::process::Signal;
use tempfile::TempDir;

const WORKER_NAMESPACE: &str = "workers";

/// A cluster with the CRDs, a namespace for pools, and the operator.
struct Rig {
    operator: Process,
    cluster: Cluster,
    dir: TempDir,
}

impl Rig {
    fn new() -> Self {
        let cluster = Cluster::start();
        install_crds(&cluster, &Release::this());
        cluster.namespace(WORKER_NAMESPACE);
        let dir = TempDir::new().unwrap();
        let operator = start(&cluster, &dir, "operator", &[]);
        Self { operator, cluster, dir }
    }

    fn get(&self, args: &[&str]) -> Option<String> {
        self.cluster.try_kubectl(&[&["get", "--namespace", WORKER_NAMESPACE][..], args].concat())
    }

    /// Waits until a pool's condition has a status and a reason. Returns its message.
    fn wait_for_condition(&self, pool: &str, condition: &str, status: &str, reason: &str) -> String {
        let of = |field: &str| format!(r#"{{.status.conditions[?(@.type=="{condition}")].{field}}}"#);
        let path = format!("-o=jsonpath={} {} {}", of("status"), of("reason"), of("message"));
        let expected = format!("{status} {reason} ");
        let mut found = String::new();
        wait_until(seconds(60), &format!("{pool} is {condition}={status} {reason}"), || {
            found = self.get(&["wp", pool, &path]).unwrap_or_default();
            found.starts_with(&expected)
        });
        found.split_off(expected.len())
    }

    /// Reads the metrics from within the cluster's network, because the operator listens on loopback.
    fn metrics(&self) -> String {
        let mut command = self.cluster.command(Path::new("/bin/busybox"));
        let output =
            command.args(["wget", "-q", "-O", "-", "http://127.0.0.1:9182/metrics"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn pool(&self, name: &str, spec: &str) {
        self.pool_in(WORKER_NAMESPACE, name, spec);
    }

    fn pool_in(&self, namespace: &str, name: &str, spec: &str) {
        self.cluster.apply(&format!(
            "apiVersion: trackyard.dev/v1alpha1\nkind: WorkerPool\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec: {{channel: test_runners, topics: [ruby], slots: 1, slot: {{cpu: 100m, memory: 64Mi, storage: 1Mi}}, \
             cache: {{emptyDir: {{size: 1Mi}}}}, {spec}}}\n"
        ));
    }
}

fn start(cluster: &Cluster, dir: &TempDir, name: &str, more: &[&str]) -> Process {
    start_for(WORKER_NAMESPACE, cluster, dir, name, more)
}

fn start_for(namespace: &str, cluster: &Cluster, dir: &TempDir, name: &str, more: &[&str]) -> Process {
    let mut command = cluster.command(&binary("trackyard-operator"));
    command.args(["--namespace", namespace, "--router", "tcp://router:5555"]);
    command.args(["--agent-image", "cluster.local/missing:1"]);
    let admin: &[&str] = if more.is_empty() { &["--admin", "127.0.0.1:9182"] } else { more };
    command.args(admin);
    Process::spawn(name, &mut command, &dir.path().join(format!("{name}.log")))
}

/// Starts one of several operators that compete for the lease.
fn contender(rig: &Rig, name: &str, port: u16) -> Process {
    let admin = format!("127.0.0.1:{port}");
    start(
        &rig.cluster,
        &rig.dir,
        name,
        &["--admin", &admin, "--lease-namespace", WORKER_NAMESPACE, "--identity", name],
    )
}

#[test]
fn leader_past_its_lease_writes_nothing() {
    let mut rig = Rig::new();
    // The operator without a lease would ignore the others.
    rig.operator.kill();
    let holder = |rig: &Rig| {
        rig.get(&["lease/trackyard-operator", "-o=jsonpath={.spec.holderIdentity}"]).unwrap_or_default()
    };
    let mut first = contender(&rig, "first", 9191);
    wait_until(seconds(20), "the first has the lease", || holder(&rig) == "first");
    rig.pool("ruby", "replicas: 0");
    let _ = rig.wait_for_condition("ruby", "Ready", "True", "ScaledToZero");
    let mut second = contender(&rig, "second", 9192);
    first.signal(Signal::STOP);
    wait_until(seconds(40), "the second has the lease", || holder(&rig) == "second");
    rig.pool("ruby", "replicas: 0, drainTimeout: 7s");
    let drain =
        ["deployment/ruby-workers", "-o=jsonpath={.spec.template.spec.terminationGracePeriodSeconds}"];
    wait_until(seconds(20), "the second has made the change", || rig.get(&drain).as_deref() == Some("22"));
    let version = ["deployment/ruby-workers", "-o=jsonpath={.metadata.resourceVersion}"];
    let before = rig.get(&version);
    first.signal(Signal::CONT);
    assert!(!first.wait_for_exit(seconds(20)).success());
    assert!(first.log().contains("so that two operators never write"), "{}", first.log());
    assert_eq!((rig.get(&version), holder(&rig)), (before, "second".to_owned()));
    // An operator that ends releases the lease, so that the next one need not wait for its expiry.
    let third = contender(&rig, "third", 9193);
    wait_until(seconds(20), "the third waits", || third.log().contains("another operator holds the lease"));
    second.signal(Signal::TERM);
    assert!(second.wait_for_exit(seconds(10)).success());
    wait_until(seconds(8), "the third has the lease", || holder(&rig) == "third");
}

#[test]
fn children_follow_their_pool() {
    let mut rig = Rig::new();
    rig.pool("ruby", "replicas: 0");
    assert_eq!(rig.wait_for_condition("ruby", "Ready", "True", "ScaledToZero"), "");
    let children = ["deployment,sa,pdb", "-l=trackyard.dev/pool=ruby", "-o=name"];
    let names = "deployment.apps/ruby-workers\nserviceaccount/ruby-workers\npoddisruptionbudget.policy/ruby-workers\n";
    assert_eq!(rig.get(&children).unwrap(), names);
    // A missing image stalls the pool.
    let _ = rig.cluster.kubectl(&["scale", "wp/ruby", "--replicas=1", "--namespace", WORKER_NAMESPACE]);
    let message = rig.wait_for_condition("ruby", "Stalled", "True", "ImageUnavailable");
    assert!(message.contains("cluster.local/missing:1"), "{message}");
    rig.pool("ruby", "replicas: 1, suspend: true");
    assert_eq!(rig.wait_for_condition("ruby", "Ready", "True", "Suspended"), "");
    // A deleted child is created again.
    let _ = rig.cluster.kubectl(&["delete", "pdb/ruby-workers", "--namespace", WORKER_NAMESPACE]);
    wait_until(seconds(20), "the budget is there again", || rig.get(&["pdb/ruby-workers"]).is_some());
    let counts = ["wp", "ruby", "-o=jsonpath={.status.replicas} {.status.drainingReplicas}"];
    wait_until(seconds(60), "its pods are gone", || rig.get(&counts).as_deref() == Some("0 0"));
    // A restart of the operator changes nothing.
    let version = ["wp", "ruby", "-o=jsonpath={.metadata.resourceVersion}"];
    let before = rig.get(&version);
    rig.operator.kill();
    rig.operator = start(&rig.cluster, &rig.dir, "operator", &[]);
    wait_until(seconds(30), "the new operator has its lists", || {
        rig.operator.log().matches("first lists of pools").count() == 2
    });
    assert_eq!(rig.get(&version), before, "a restart has written a status");
    let _ = rig.cluster.kubectl(&["delete", "wp/ruby", "--namespace", WORKER_NAMESPACE]);
    // The garbage collector looks for new kinds twice a minute.
    wait_until(seconds(90), "the children are gone", || {
        rig.get(&children).is_some_and(|names| names.is_empty())
    });
}

#[test]
fn stalled_pool_blocks_no_other() {
    let rig = Rig::new();
    // Another account has the name of a child.
    let _ = rig.cluster.kubectl(&["create", "sa", "taken-workers", "--namespace", WORKER_NAMESPACE]);
    rig.pool("taken", "replicas: 0");
    let message = rig.wait_for_condition("taken", "Stalled", "True", "NameConflict");
    assert!(message.contains("cannot create the ServiceAccount taken-workers"), "{message}");
    assert!(rig.get(&["deployment/taken-workers"]).is_none());
    rig.pool("large", "replicas: 1, template: {nodeSelector: {nowhere: x}}");
    let message = rig.wait_for_condition("large", "Ready", "False", "Unschedulable");
    assert!(message.contains("node"), "{message}");
    rig.cluster.apply(&format!(
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {{name: none, namespace: {WORKER_NAMESPACE}}}\nspec: {{hard: {{pods: 1}}}}\n"
    ));
    wait_until(seconds(20), "the quota counts", || {
        rig.get(&["quota/none", "-o=jsonpath={.status.used.pods}"]).is_some_and(|used| used == "1")
    });
    rig.pool("poor", "replicas: 1");
    let message = rig.wait_for_condition("poor", "Stalled", "True", "QuotaExceeded");
    assert!(message.contains("exceeded quota: none"), "{message}");
    let _ = rig.cluster.kubectl(&["delete", "quota/none", "--namespace", WORKER_NAMESPACE]);
    rig.pool("zero", "replicas: 0");
    assert_eq!(rig.wait_for_condition("zero", "Ready", "True", "ScaledToZero"), "");
    assert!(
        rig.metrics().contains(
            r#"trackyard_operator_reconcile_failures_total{kind="WorkerPool",reason="NameConflict"}"#
        )
    );
}

#[test]
fn refused_privilege_stalls_only_its_pool() {
    let rig = Rig::new();
    // Another worker namespace, with an operator of its own.
    rig.cluster.namespace("other-workers");
    let admin = ["--admin", "127.0.0.1:9183"];
    let _other_operator = start_for("other-workers", &rig.cluster, &rig.dir, "other-workers", &admin);
    rig.pool("earlier", "replicas: 1");
    let _ = rig.wait_for_condition("earlier", "Stalled", "True", "ImageUnavailable");
    let pods = |namespace: &str, pool: &str| {
        let selector = format!("trackyard.dev/pool={pool}");
        let get = [
            "get",
            "pods",
            "--namespace",
            namespace,
            "-l",
            &selector,
            "-o=jsonpath={.items[*].metadata.uid}",
        ];
        rig.cluster.kubectl(&get)
    };
    let before = pods(WORKER_NAMESPACE, "earlier");
    assert!(!before.is_empty());
    for level in ["baseline", "restricted"] {
        let label = format!("pod-security.kubernetes.io/enforce={level}");
        let _ = rig.cluster.kubectl(&["label", "--overwrite", "namespace", WORKER_NAMESPACE, &label]);
        rig.pool(level, "replicas: 1");
        let message = rig.wait_for_condition(level, "Stalled", "True", "PodSecurityForbidden");
        assert!(message.contains(&format!("violates PodSecurity \"{level}:latest\"")), "{message}");
        assert!(message.contains("privileged"), "{message}");
        assert_eq!(pods(WORKER_NAMESPACE, level), "");
        // A pool without pods, a pool whose pod exists already, and a pool in another namespace are not affected.
        let zero = format!("zero-{level}");
        rig.pool(&zero, "replicas: 0");
        assert_eq!(rig.wait_for_condition(&zero, "Ready", "True", "ScaledToZero"), "");
        let _ = rig.wait_for_condition("earlier", "Stalled", "True", "ImageUnavailable");
        assert_eq!(pods(WORKER_NAMESPACE, "earlier"), before);
        rig.pool_in("other-workers", level, "replicas: 1");
        wait_until(seconds(60), "the other namespace's pool has its pod", || {
            !pods("other-workers", level).is_empty()
        });
    }
    // Once privileges are allowed again, the pool gets its pod without a change.
    let _ =
        rig.cluster.kubectl(&["label", "namespace", WORKER_NAMESPACE, "pod-security.kubernetes.io/enforce-"]);
    let _ = rig.wait_for_condition("restricted", "Stalled", "True", "ImageUnavailable");
}
