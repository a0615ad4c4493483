//! Clients of the router: Python with ZeroMQ, in a pod or on the node.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use trackyard_protocol::answer::Answer;

use super::{Platform, RELEASE};
use crate::binaries::system;
use crate::cluster::{self, Cluster};
use crate::request::with;
use crate::wait::timeout_option;

/// A running client and the number of answers that it awaits.
pub struct PendingAnswers {
    child: Child,
    expected: usize,
}

impl Platform {
    pub(super) fn start_client(&self) {
        let image = self.cluster.image("client");
        self.cluster.apply(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: client, namespace: {RELEASE}}}\n\
             spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: client, image: '{image}', \
             command: [/usr/bin/sleep, infinity]}}]}}\n"
        ));
        let timeout = timeout_option(60);
        let wait = ["wait", "--for=condition=Ready", "pod/client", &timeout, "--namespace", RELEASE];
        let _ = self.cluster.kubectl(&wait);
    }

    /// Sends requests from the client's pod, all at once, without waiting for the answers.
    ///
    /// # Panics
    /// When the pod does not run.
    #[must_use]
    pub fn send(&self, requests: &[Value]) -> PendingAnswers {
        let address = format!("tcp://{RELEASE}-router:5555");
        write_requests(in_client(&self.cluster, &["python3", "/client.py", &address]), requests, None)
    }

    /// Sends requests from the node, so that answers do not pass the API server. A request without an answer is sent
    /// again after `resend_after` seconds.
    ///
    /// # Panics
    /// When Python is missing.
    #[must_use]
    pub fn send_from_node(&self, requests: &[Value], resend_after: Option<u32>) -> PendingAnswers {
        self.send_to(&self.address(), requests, resend_after)
    }

    /// Returns the router's client address, as the node reaches it.
    ///
    /// # Panics
    /// When the Service cannot be read.
    #[must_use]
    pub fn address(&self) -> String {
        let service = format!("service/{RELEASE}-router");
        let address = ["get", &service, "--namespace", RELEASE, "-o=jsonpath=tcp://{.spec.clusterIP}:5555"];
        self.cluster.kubectl(&address)
    }

    /// Sends requests like [`Self::send_from_node`] to a known address, without a request to the API server.
    ///
    /// # Panics
    /// When Python is missing.
    #[must_use]
    pub fn send_to(&self, address: &str, requests: &[Value], resend_after: Option<u32>) -> PendingAnswers {
        let mut command = self.cluster.command(&system("python3", "python3-zmq"));
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/image/client.py")).arg(address);
        write_requests(command, requests, resend_after)
    }

    /// Sends requests and waits for their answers. Returns them by id.
    #[must_use]
    pub fn ask_all(&self, requests: &[Value]) -> BTreeMap<String, Answer> {
        self.send(requests).answers()
    }

    /// Sends one request and waits for its answer.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn ask(&self, request: &Value) -> Answer {
        let has_id = request.get("id").is_some();
        let request =
            if has_id { request.clone() } else { with(request.clone(), "id", json!("the-only-one")) };
        let mut answers = self.ask_all(&[request]);
        answers.pop_first().map(|(_, answer)| answer).expect("an answer")
    }
}

fn write_requests(mut client: Command, requests: &[Value], resend_after: Option<u32>) -> PendingAnswers {
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = client.spawn().expect("start a client");
    let mut input = child.stdin.take().expect("the client's input");
    let resend_after = resend_after.map(|seconds| json!({"_again": seconds}));
    let lines: Vec<String> =
        resend_after.iter().chain(requests).map(|request| format!("{request}\n")).collect();
    input.write_all(lines.concat().as_bytes()).expect("write requests");
    PendingAnswers { child, expected: requests.len() }
}

impl PendingAnswers {
    /// Waits for all answers.
    ///
    /// # Panics
    /// When one is missing, or there is one too many.
    #[must_use]
    pub fn answers(self) -> BTreeMap<String, Answer> {
        let output = self.child.wait_with_output().expect("a client's output");
        let log = String::from_utf8_lossy(&output.stderr);
        let lines = String::from_utf8_lossy(&output.stdout);
        let answers: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(answers.len(), self.expected, "answers; the client's log: {log}");
        let answers = answers.into_iter().map(|answer| {
            let id = answer.pointer("/context/id").and_then(Value::as_str).unwrap_or_default().to_owned();
            (id, serde_json::from_value(answer).expect("an answer"))
        });
        let answers: BTreeMap<String, Answer> = answers.collect();
        assert_eq!(answers.len(), self.expected, "different answers");
        answers
    }
}

/// Returns the command of a program in the client's pod.
fn in_client(cluster: &Cluster, args: &[&str]) -> Command {
    let mut command = cluster.command(&cluster::program("kube"));
    command.args(["kubectl", "exec", "--namespace", RELEASE, "--stdin", "client", "--"]).args(args);
    command
}
