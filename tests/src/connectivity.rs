//! Tests which connections a cluster allows, by trying them from pods and from the node.

use std::path::Path;
use std::process::Stdio;

use crate::cluster::Cluster;
use crate::wait::{seconds, wait_until};

/// Port on which the pods created here listen.
pub const PORT: u16 = 443;
/// Port on which the ephemeral container of [`Peer::in_pod`] listens.
pub const EPHEMERAL_PORT: u16 = 9999;

/// A source and target of connections: a pod, or the node.
#[derive(Debug, Clone)]
pub struct Peer {
    namespace: String,
    pod: String,
    container: &'static str,
}

impl Peer {
    /// Creates a pod that listens on [`PORT`]; `labels` are the content of a YAML flow mapping.
    #[must_use]
    pub fn start(cluster: &Cluster, namespace: &str, pod: &str, labels: &str) -> Self {
        let image = cluster.image("busybox");
        let command = format!("[nc, -ll, -p, '{PORT}', -e, 'true']");
        Self::create(cluster, namespace, pod, labels, &image, &command)
    }

    /// Creates a pod with a DNS server that answers every query with NXDOMAIN, and listens on the TCP `ports`.
    #[must_use]
    pub fn start_dns(cluster: &Cluster, namespace: &str, pod: &str, labels: &str, ports: &[u16]) -> Self {
        let program = format!(
            "import socket; kept = [socket.create_server((\"\", port)) for port in {ports:?}]; \
             names = socket.socket(type=socket.SOCK_DGRAM); names.bind((\"\", 53)); answer = \
             lambda question, whose: names.sendto(question[:2] + b\"\\x81\\x83\" + question[4:], whose); \
             [answer(*names.recvfrom(512)) for _ in iter(int, 1)]"
        );
        let command = format!("[python3, -c, '{program}']");
        Self::create(cluster, namespace, pod, labels, &cluster.image("client"), &command)
    }

    fn create(
        cluster: &Cluster,
        namespace: &str,
        pod: &str,
        labels: &str,
        image: &str,
        command: &str,
    ) -> Self {
        cluster.apply(&format!(
            "apiVersion: v1\nkind: Pod\n\
             metadata: {{name: {pod}, namespace: {namespace}, labels: {{{labels}}}}}\n\
             spec: {{terminationGracePeriodSeconds: 0, automountServiceAccountToken: false, \
             containers: [{{name: it, image: '{image}', command: {command}}}]}}\n"
        ));
        let pod = pod.to_owned();
        let peer = Self { namespace: namespace.to_owned(), pod, container: "it" };
        let wait = ["wait", "--for=condition=Ready", "--timeout=60s", "--namespace", namespace, "pod"];
        let _ = cluster.kubectl(&[&wait[..], &[peer.pod.as_str()]].concat());
        peer
    }

    /// Adds an ephemeral container to an existing pod, so that it has the pod's labels and address. It listens on
    /// [`EPHEMERAL_PORT`].
    ///
    /// # Panics
    /// When the container does not start.
    #[must_use]
    pub fn in_pod(cluster: &Cluster, namespace: &str, selector: &str) -> Self {
        let find = [
            "get",
            "pods",
            "--namespace",
            namespace,
            "-l",
            selector,
            "-o=jsonpath={.items[*].metadata.name}",
        ];
        let pod = cluster.kubectl(&find);
        let peer = Self { namespace: namespace.to_owned(), pod, container: "beside" };
        let image = format!("--image={}", cluster.image("busybox"));
        let port = EPHEMERAL_PORT.to_string();
        let _ = cluster.kubectl(
            &[
                &[
                    "debug",
                    "--namespace",
                    namespace,
                    &peer.pod,
                    &image,
                    "--container=beside",
                    "--profile=general",
                ][..],
                &["--image-pull-policy=IfNotPresent", "--quiet", "--"],
                &["nc", "-ll", "-p", &port, "-e", "true"],
            ]
            .concat(),
        );
        wait_until(seconds(60), "the ephemeral container runs", || {
            cluster.try_kubectl(&peer.exec("true")).is_some()
        });
        peer
    }

    /// Returns the node itself, from which the kubelet connects.
    #[must_use]
    pub fn node() -> Self {
        Self { namespace: String::new(), pod: String::new(), container: "" }
    }

    /// Returns the pod's address.
    #[must_use]
    pub fn address(&self, cluster: &Cluster) -> String {
        let path = "-o=jsonpath={.status.podIP}";
        cluster.kubectl(&["get", "pod", &self.pod, "--namespace", &self.namespace, path])
    }

    /// Tries a connection to each address and port, such as `tcp/443`; for `udp/53` it sends a DNS query. Returns true
    /// for each that was answered.
    ///
    /// # Panics
    /// When the connections cannot be tried.
    #[must_use]
    pub fn try_connections(&self, cluster: &Cluster, to: &[(String, &str)]) -> Vec<bool> {
        let attempt = |(number, (address, port)): (usize, &(String, &str))| {
            let check = match port.split_once('/') {
                Some(("udp", _)) => {
                    format!("timeout 4 busybox nslookup example.org {address} 2>&1 | grep -q NXDOMAIN")
                }
                Some((_, port)) => format!("busybox nc -w 2 {address} {port} -e true 2>/dev/null"),
                None => panic!("{port} is not a port such as tcp/443"),
            };
            format!("({check}; echo {number} $?) &")
        };
        let script: Vec<String> = to.iter().enumerate().map(attempt).collect();
        let output = self.run(cluster, &format!("{} wait", script.join(" ")));
        let mut results: Vec<(usize, bool)> = output.lines().filter_map(result).collect();
        results.sort_unstable();
        assert_eq!(results.len(), to.len(), "{self:?} printed {output}");
        results.into_iter().map(|(_, is_open)| is_open).collect()
    }

    fn run(&self, cluster: &Cluster, script: &str) -> String {
        if !self.pod.is_empty() {
            return cluster.kubectl(&self.exec(script));
        }
        let mut command = cluster.command(Path::new("/bin/busybox"));
        let output = command.args(["sh", "-c", script]).stdin(Stdio::null()).output();
        String::from_utf8_lossy(&output.expect("run a shell").stdout).into_owned()
    }

    fn exec<'a>(&'a self, script: &'a str) -> Vec<&'a str> {
        let pod = ["exec", "--namespace", &self.namespace, &self.pod, "--container", self.container];
        [&pod[..], &["--", "sh", "-c", script]].concat()
    }
}

/// Parses a line `<number> <exit code>`.
fn result(line: &str) -> Option<(usize, bool)> {
    let (number, code) = line.split_once(' ')?;
    Some((number.parse().ok()?, code == "0"))
}
