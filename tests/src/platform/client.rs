//! Clients of the router, in a pod, as a platform's own program is: Python with its ZeroMQ.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use trackyard_protocol::answer::Answer;

use super::{Platform, RELEASE, in_client};
use crate::binaries::system;
use crate::request::with;
use crate::wait::timeout_option;

/// A client that waits for its answers.
pub struct Asking {
    child: Child,
    asked: usize,
}

impl Platform {
    pub(super) fn client(&self) {
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

    /// Sends requests from the client's pod, all at once.
    ///
    /// # Panics
    /// When the pod is not there.
    #[must_use]
    pub fn begin(&self, requests: &[Value]) -> Asking {
        let address = format!("tcp://{RELEASE}-router:5555");
        send(in_client(&self.cluster, &["python3", "/client.py", &address]), requests, None)
    }

    /// The same from the node itself: no answer comes by way of the API server. A request without an answer is sent
    /// again after so many seconds.
    ///
    /// # Panics
    /// When Python is missing.
    #[must_use]
    pub fn begin_on_node(&self, requests: &[Value], again: Option<u32>) -> Asking {
        self.begin_at(&self.address(), requests, again)
    }

    /// The router's client port, as the node reaches it.
    ///
    /// # Panics
    /// When the API server does not say it.
    #[must_use]
    pub fn address(&self) -> String {
        let service = format!("service/{RELEASE}-router");
        let address = ["get", &service, "--namespace", RELEASE, "-o=jsonpath=tcp://{.spec.clusterIP}:5555"];
        self.cluster.kubectl(&address)
    }

    /// The same as [`Self::begin_on_node`], at an address that is known: nothing is asked of the API server.
    ///
    /// # Panics
    /// When Python is missing.
    #[must_use]
    pub fn begin_at(&self, address: &str, requests: &[Value], again: Option<u32>) -> Asking {
        let mut command = self.cluster.command(&system("python3", "python3-zmq"));
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/image/client.py")).arg(address);
        send(command, requests, again)
    }

    /// Sends requests and waits for their answers, by id.
    #[must_use]
    pub fn ask_all(&self, requests: &[Value]) -> BTreeMap<String, Answer> {
        self.begin(requests).answers()
    }

    /// Sends one request and waits for its answer.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn ask(&self, request: &Value) -> Answer {
        let named = request.get("id").is_some();
        let request =
            if named { request.clone() } else { with(request.clone(), "id", json!("the-only-one")) };
        let mut answers = self.ask_all(&[request]);
        answers.pop_first().map(|(_, answer)| answer).expect("an answer")
    }
}

fn send(mut client: Command, requests: &[Value], again: Option<u32>) -> Asking {
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = client.spawn().expect("start a client");
    let mut input = child.stdin.take().expect("the client's input");
    let again = again.map(|seconds| json!({"_again": seconds}));
    let lines: Vec<String> = again.iter().chain(requests).map(|request| format!("{request}\n")).collect();
    input.write_all(lines.concat().as_bytes()).expect("write requests");
    Asking { child, asked: requests.len() }
}

impl Asking {
    /// Waits for all answers.
    ///
    /// # Panics
    /// When one is missing, or there is one too many.
    #[must_use]
    pub fn answers(self) -> BTreeMap<String, Answer> {
        let output = self.child.wait_with_output().expect("a client's output");
        let said = String::from_utf8_lossy(&output.stderr);
        let lines = String::from_utf8_lossy(&output.stdout);
        let answers: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(answers.len(), self.asked, "answers; the client said: {said}");
        let named = |answer: Value| {
            let id = answer.pointer("/context/id").and_then(Value::as_str).unwrap_or_default().to_owned();
            (id, serde_json::from_value(answer).expect("an answer"))
        };
        let answers: BTreeMap<String, Answer> = answers.into_iter().map(named).collect();
        assert_eq!(answers.len(), self.asked, "different answers");
        answers
    }
}
