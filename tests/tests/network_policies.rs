//! The charts' network policies on a real cluster: for each rule, connections that it allows and connections that it
//! blocks, tried from the pods that it names and from others.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;

use e2e::cluster::{Cluster, NODE};
use e2e::connectivity::Peer;
use e2e::platform::{Platform, PoolSpec, RELEASE, SHELL, WORKER_NAMESPACE};
use e2e::wait::{seconds, wait_for};

/// Source, target, port, and whether the connection is allowed.
type Row = (&'static str, &'static str, &'static str, bool);

/// The policies as installed, without access to metrics.
const AS_INSTALLED: &[Row] = &[
    // The router's clients: its own namespace, and those with the label.
    ("neighbour", "router", "tcp/5555", true),
    ("neighbour", "router", "tcp/5557", true),
    ("partner", "router", "tcp/5555", true),
    ("partner", "router", "tcp/5557", true),
    ("stranger", "router", "tcp/5555", false),
    ("stranger", "router", "tcp/5557", false),
    ("bystander", "router", "tcp/5555", false),
    // Its workers: pods with the labels, in the worker namespace.
    ("agent", "router", "tcp/5555", true),
    ("agent", "router", "tcp/5556", true),
    ("agent", "router", "tcp/5557", false),
    ("neighbour", "router", "tcp/5556", false),
    ("partner", "router", "tcp/5556", false),
    ("bystander", "router", "tcp/5556", false),
    ("imposter", "router", "tcp/5556", false),
    // The admin port, from which the operator reads the load report.
    ("operator", "router", "tcp/9180", true),
    ("neighbour", "router", "tcp/9180", false),
    ("agent", "router", "tcp/9180", false),
    ("monitoring", "router", "tcp/9180", false),
    // The operator: only the kubelet, which is on the node.
    ("node", "operator", "tcp/9182", true),
    ("neighbour", "operator", "tcp/9182", false),
    ("agent", "operator", "tcp/9182", false),
    ("monitoring", "operator", "tcp/9182", false),
    // Into an agent: the same.
    ("node", "agent", "tcp/9181", true),
    ("node", "agent", "tcp/9999", true),
    ("router", "agent", "tcp/9181", false),
    ("router", "agent", "tcp/9999", false),
    ("monitoring", "agent", "tcp/9181", false),
    ("stranger", "agent", "tcp/9181", false),
    // Out of an agent: names.
    ("agent", "names", "udp/53", true),
    ("agent", "names", "tcp/53", true),
    ("agent", "cache of names", "udp/53", true),
    ("agent", "cache of names", "tcp/53", true),
    ("agent", "names", "tcp/54", false),
    ("agent", "other names", "udp/53", false),
    ("agent", "other names", "tcp/53", false),
    // 443 outside the cluster, and nothing else there.
    ("agent", "outside", "tcp/443", true),
    ("agent", "outside", "tcp/80", false),
    ("agent", "API server", "tcp/443", false),
    ("agent", "node", "tcp/6443", false),
    ("agent", "node", "tcp/443", false),
    ("agent", "neighbour", "tcp/443", false),
    // The pod's identity; not the node's.
    ("agent", "identity", "tcp/80", true),
    ("agent", "identity", "tcp/443", false),
    ("agent", "metadata", "tcp/80", false),
    ("agent", "metadata", "tcp/443", false),
    // Blocked targets are reachable for others.
    ("stranger", "names", "tcp/54", true),
    ("stranger", "other names", "udp/53", true),
    ("stranger", "other names", "tcp/53", true),
    ("stranger", "outside", "tcp/80", true),
    ("stranger", "API server", "tcp/443", true),
    ("stranger", "node", "tcp/6443", true),
    ("stranger", "node", "tcp/443", true),
    ("stranger", "neighbour", "tcp/443", true),
    ("stranger", "identity", "tcp/443", true),
    ("stranger", "metadata", "tcp/80", true),
    ("stranger", "metadata", "tcp/443", true),
];

/// The policies with a namespace that may read metrics.
const MONITORED: &[Row] = &[
    ("monitoring", "router", "tcp/9180", true),
    ("monitoring", "operator", "tcp/9182", true),
    ("monitoring", "agent", "tcp/9181", true),
    ("monitoring", "router", "tcp/5555", false),
    ("monitoring", "router", "tcp/5556", false),
    ("monitoring", "agent", "tcp/9999", false),
    ("neighbour", "agent", "tcp/9181", false),
    ("neighbour", "operator", "tcp/9182", false),
    ("neighbour", "router", "tcp/9180", false),
];

const OUTSIDE: &str = "203.0.113.7";
const IDENTITY: &str = "169.254.170.23";
const METADATA: &str = "169.254.169.254";
const CACHE: &str = "169.254.20.10";

struct Network {
    peers: BTreeMap<&'static str, Peer>,
    addresses: BTreeMap<&'static str, String>,
    _listeners: Vec<TcpListener>,
}

impl Network {
    fn new(platform: &Platform) -> Self {
        let cluster = &platform.cluster;
        for (name, label) in
            [("partners", "trackyard.dev/clients=true"), ("strangers", "a=b"), ("monitoring", "a=b")]
        {
            cluster.namespace(name);
            let _ = cluster.kubectl(&["label", "namespace", name, label]);
        }
        let worker = "app.kubernetes.io/part-of: trackyard, app.kubernetes.io/component: worker";
        let peers = BTreeMap::from([
            ("agent", Peer::in_pod(cluster, WORKER_NAMESPACE, "trackyard.dev/pool=shell")),
            ("router", Peer::in_pod(cluster, RELEASE, "app.kubernetes.io/component=router")),
            ("operator", Peer::in_pod(cluster, RELEASE, "app.kubernetes.io/component=operator")),
            ("neighbour", Peer::start(cluster, RELEASE, "neighbour", "")),
            ("bystander", Peer::start(cluster, WORKER_NAMESPACE, "bystander", "")),
            ("partner", Peer::start(cluster, "partners", "partner", "")),
            ("stranger", Peer::start(cluster, "strangers", "stranger", "")),
            ("imposter", Peer::start(cluster, "strangers", "imposter", worker)),
            ("monitoring", Peer::start(cluster, "monitoring", "reader", "")),
            ("names", Peer::start_dns(cluster, "kube-system", "names", "k8s-app: kube-dns", &[53, 54])),
            ("other names", Peer::start_dns(cluster, "kube-system", "others", "", &[53])),
            ("node", Peer::node()),
        ]);
        let pods = ["agent", "operator", "neighbour", "names", "other names"];
        let mut addresses: BTreeMap<_, _> =
            pods.iter().map(|&name| (name, peers[name].address(cluster))).collect();
        for (name, address) in [
            ("node", NODE),
            ("outside", OUTSIDE),
            ("identity", IDENTITY),
            ("metadata", METADATA),
            ("cache of names", CACHE),
        ] {
            addresses.insert(name, address.to_owned());
        }
        addresses.insert("router", service(cluster, RELEASE, &format!("{RELEASE}-router")));
        addresses.insert("API server", service(cluster, "default", "kubernetes"));
        let listening = [
            (NODE, 443),
            (OUTSIDE, 443),
            (OUTSIDE, 80),
            (IDENTITY, 80),
            (IDENTITY, 443),
            (METADATA, 80),
            (METADATA, 443),
        ];
        let listeners = listening.map(|(address, port)| cluster.listener_at(address, port));
        Self { peers, addresses, _listeners: listeners.into() }
    }

    /// Tries all rows, repeatedly, because a policy takes effect a moment after it is written.
    fn assert_rows(&self, cluster: &Cluster, rows: &[Row]) {
        let from: BTreeSet<&str> = rows.iter().map(|row| row.0).collect();
        for from in from {
            let rows: Vec<&Row> = rows.iter().filter(|row| row.0 == from).collect();
            let to: Vec<_> = rows.iter().map(|row| (self.addresses[row.1].clone(), row.2)).collect();
            let mut wrong = Vec::new();
            let mut tries = 0;
            wait_for(seconds(60), "connections have been tried", || {
                let tried = self.peers[from].try_connections(cluster, &to);
                wrong = rows
                    .iter()
                    .zip(tried)
                    .filter(|(row, open)| row.3 != *open)
                    .map(|(row, _)| *row)
                    .collect();
                tries += 1;
                (wrong.is_empty() || tries == 10).then_some(())
            });
            assert_eq!(wrong, Vec::<&Row>::new(), "these rows are wrong");
        }
    }
}

fn service(cluster: &Cluster, namespace: &str, name: &str) -> String {
    cluster.kubectl(&["get", "service", name, "--namespace", namespace, "-o=jsonpath={.spec.clusterIP}"])
}

#[test]
fn every_blocked_target_is_reachable_for_another() {
    let rows = || AS_INSTALLED.iter().chain(MONITORED);
    for row in rows().filter(|row| !row.3) {
        let open = rows().any(|other| other.3 && (other.1, other.2) == (row.1, row.2));
        assert!(open, "{row:?} may fail only because nothing listens there");
    }
}

#[test]
fn policies_admit_only_the_named_peers() {
    let platform = Platform::on_local_cluster("gives its node addresses that are outside");
    platform.apply_pool(&PoolSpec::new("shell", SHELL, "replicas: 1"));
    platform.deploy_shell();
    platform.wait_for("Ready", "workerpool/shell");
    let network = Network::new(&platform);
    network.assert_rows(&platform.cluster, AS_INSTALLED);
    platform.upgrade(
        r"networkPolicy.metrics[0].namespaceSelector.matchLabels.kubernetes\.io/metadata\.name=monitoring",
    );
    network.assert_rows(&platform.cluster, MONITORED);
}
