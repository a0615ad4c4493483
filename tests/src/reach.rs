//! Who reaches whom in a cluster: connections that are really tried, from pods and from the node.

use std::path::Path;
use std::process::Stdio;

use crate::cluster::Cluster;
use crate::wait::{seconds, wait_until};

/// What every pod made here listens on.
pub const PORT: u16 = 443;
/// What a peer in another's pod listens on.
pub const BESIDE: u16 = 9999;

/// Where connections are tried from.
#[derive(Debug, Clone)]
pub struct Peer {
    namespace: String,
    pod: String,
    container: &'static str,
}

impl Peer {
    /// Makes a pod that listens on [`PORT`]; `labels` as YAML writes them in braces.
    #[must_use]
    pub fn start(cluster: &Cluster, namespace: &str, pod: &str, labels: &str) -> Self {
        let image = cluster.image("busybox");
        let command = format!("[nc, -ll, -p, '{PORT}', -e, 'true']");
        Self::made(cluster, namespace, pod, labels, &image, &command)
    }

    /// Makes a pod that answers every question about a name with "there is none", and listens on ports.
    #[must_use]
    pub fn names(cluster: &Cluster, namespace: &str, pod: &str, labels: &str, ports: &[u16]) -> Self {
        let program = format!(
            "import socket; kept = [socket.create_server((\"\", port)) for port in {ports:?}]; \
             names = socket.socket(type=socket.SOCK_DGRAM); names.bind((\"\", 53)); answer = \
             lambda question, whose: names.sendto(question[:2] + b\"\\x81\\x83\" + question[4:], whose); \
             [answer(*names.recvfrom(512)) for _ in iter(int, 1)]"
        );
        let command = format!("[python3, -c, '{program}']");
        Self::made(cluster, namespace, pod, labels, &cluster.image("client"), &command)
    }

    fn made(cluster: &Cluster, namespace: &str, pod: &str, labels: &str, image: &str, command: &str) -> Self {
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

    /// One in a pod that is there already, whose labels and address it has. It listens on [`BESIDE`].
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn inside(cluster: &Cluster, namespace: &str, selector: &str) -> Self {
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
        let port = BESIDE.to_string();
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
        wait_until(seconds(60), "the container beside runs", || {
            cluster.try_kubectl(&peer.exec("true")).is_some()
        });
        peer
    }

    /// The node itself, as its kubelet is.
    #[must_use]
    pub fn node() -> Self {
        Self { namespace: String::new(), pod: String::new(), container: "" }
    }

    /// Its pod's address.
    #[must_use]
    pub fn address(&self, cluster: &Cluster) -> String {
        let path = "-o=jsonpath={.status.podIP}";
        cluster.kubectl(&["get", "pod", &self.pod, "--namespace", &self.namespace, path])
    }

    /// Tries a connection to each address and port, such as `tcp/443`; `udp/53` is a question about a name. True where
    /// there was an answer.
    ///
    /// # Panics
    /// When none can be tried.
    #[must_use]
    pub fn tries(&self, cluster: &Cluster, to: &[(String, &str)]) -> Vec<bool> {
        let one = |(number, (address, port)): (usize, &(String, &str))| {
            let asks = match port.split_once('/') {
                Some(("udp", _)) => {
                    format!("timeout 4 busybox nslookup example.org {address} 2>&1 | grep -q NXDOMAIN")
                }
                Some((_, port)) => format!("busybox nc -w 2 {address} {port} -e true 2>/dev/null"),
                None => unreachable!("{port} is no port such as tcp/443"),
            };
            format!("({asks}; echo {number} $?) &")
        };
        let script: Vec<String> = to.iter().enumerate().map(one).collect();
        let said = self.run(cluster, &format!("{} wait", script.join(" ")));
        let mut tried: Vec<(usize, bool)> = said.lines().filter_map(result).collect();
        tried.sort_unstable();
        assert_eq!(tried.len(), to.len(), "{self:?} said {said}");
        tried.into_iter().map(|(_, open)| open).collect()
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

/// `<number> <exit code>`.
fn result(line: &str) -> Option<(usize, bool)> {
    let (number, code) = line.split_once(' ')?;
    Some((number.parse().ok()?, code == "0"))
}
