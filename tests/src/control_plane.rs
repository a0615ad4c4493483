//! The real kube-apiserver with its etcd, on loopback: what it says of objects. Nothing runs pods here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use reqwest::{Certificate, Client, Method};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use trackyard_crds::generate::definitions;

use crate::cluster::program;
use crate::ports::free_port;
use crate::process::Process;
use crate::tls;
use crate::wait::{seconds, wait_until};

/// Where kinds are defined.
pub const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const TOKEN: &str = "token-of-tests";
/// The merge patch that `kubectl patch --type merge` sends.
const MERGE: &str = "application/merge-patch+json";

/// A running control plane.
pub struct ControlPlane {
    client: Client,
    runtime: Runtime,
    url: String,
    apiserver: Process,
    _etcd: Process,
    dir: TempDir,
}

impl ControlPlane {
    /// Starts it.
    ///
    /// # Panics
    /// When it is not built, or not ready within a minute.
    #[must_use]
    pub fn start() -> Self {
        let dir = TempDir::new().expect("a directory for the control plane");
        tls::make(dir.path());
        fs::write(dir.path().join("tokens.csv"), format!("{TOKEN},admin,admin,system:masters\n"))
            .expect("write the tokens");
        let (store, port) = (free_port(), free_port());
        let etcd = spawn(&dir, "etcd", &etcd(dir.path(), store));
        let mut apiserver = spawn(&dir, "kube-apiserver", &apiserver(dir.path(), store, port));
        let authority = fs::read(dir.path().join(tls::AUTHORITY)).expect("the authority");
        let authority = Certificate::from_pem(&authority).expect("the authority's certificate");
        let client = Client::builder().tls_certs_only([authority]).no_proxy().build().expect("a client");
        let runtime = Runtime::new().expect("a runtime");
        let url = format!("https://127.0.0.1:{port}");
        wait_until(seconds(60), "the API server is ready", || {
            assert!(apiserver.is_running(), "the API server has ended");
            let ready = client.get(format!("{url}/readyz")).bearer_auth(TOKEN).send();
            runtime.block_on(ready).is_ok_and(|answer| answer.status().is_success())
        });
        Self { client, runtime, url, apiserver, _etcd: etcd, dir }
    }

    /// A file with which its administrator's clients find it.
    ///
    /// # Panics
    /// When there is no room for it.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        let authority = self.dir.path().join(tls::AUTHORITY);
        let file = self.dir.path().join("kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": self.url, "certificate-authority": authority}}],
            "users": [{"name": "u", "user": {"token": TOKEN}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        });
        fs::write(&file, config.to_string()).expect("write a kubeconfig");
        file
    }

    /// Stops the API server as it stands: its connections stay, and nothing comes any more.
    pub fn freeze(&self) {
        self.apiserver.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.apiserver.signal(Signal::CONT);
    }

    /// Installs the kinds of Trackyard.
    pub fn install_crds(&self) {
        definitions().iter().for_each(|kind| self.install(&json!(kind)));
    }

    /// Installs a kind, and waits until it is served.
    ///
    /// # Panics
    /// When it is refused, or its schema is not structural.
    pub fn install(&self, definition: &Value) {
        let (code, answer) = self.send(&Method::POST, CRDS, definition);
        assert_eq!(code, 201, "{answer:#}");
        let name = definition.pointer("/metadata/name").and_then(Value::as_str).expect("a name");
        let path = format!("{CRDS}/{name}");
        wait_until(seconds(20), "the kind is served", || {
            let (_, crd) = self.send(&Method::GET, &path, &Value::Null);
            let conditions = crd.pointer("/status/conditions").and_then(Value::as_array).cloned();
            let is_true = |kind: &str| {
                let has =
                    |condition: &Value, field: &str, value: &str| condition.get(field) == Some(&json!(value));
                conditions.iter().flatten().any(|c| has(c, "type", kind) && has(c, "status", "True"))
            };
            assert!(!is_true("NonStructuralSchema"), "{conditions:?}");
            is_true("Established")
        });
    }

    /// Runs kubectl as its administrator.
    ///
    /// # Panics
    /// When it is not built.
    #[must_use]
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program("kube"));
        command.arg("kubectl").arg("--cache-dir").arg(self.dir.path().join("kubectl")).args(arguments);
        command.env("KUBECONFIG", self.kubeconfig()).output().expect("run kubectl")
    }

    /// Sends a request; gives the answer's code and body.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn send(&self, method: &Method, path: &str, body: &Value) -> (u16, Value) {
        let kind = if *method == Method::PATCH { MERGE } else { "application/json" };
        let request = self.client.request(method.clone(), format!("{}{path}", self.url));
        let request = request.bearer_auth(TOKEN).header("content-type", kind).body(body.to_string());
        self.runtime.block_on(async {
            let answer = request.send().await.expect("an answer of the API server");
            let code = answer.status().as_u16();
            (code, answer.json().await.expect("JSON of the API server"))
        })
    }
}

fn spawn(dir: &TempDir, name: &str, arguments: &[String]) -> Process {
    let mut command = Command::new(program("kube"));
    command.arg(name).args(arguments);
    Process::spawn(name, &mut command, &dir.path().join(format!("{name}.log")))
}

fn etcd(dir: &Path, port: u16) -> Vec<String> {
    let (own, peers) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", free_port()));
    let data = dir.join("etcd").display().to_string();
    words(&["--data-dir", &data, "--unsafe-no-fsync", "--log-level", "warn"])
        .chain(words(&["--listen-client-urls", &own, "--advertise-client-urls", &own]))
        .chain(words(&["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]))
        .chain([format!("--initial-cluster=default={peers}")])
        .collect()
}

fn apiserver(dir: &Path, store: u16, port: u16) -> Vec<String> {
    let file = |name: &str| dir.join(name).display().to_string();
    let (certificate, key, port) = (file(tls::CERTIFICATE), file(tls::KEY), port.to_string());
    words(&["--etcd-servers", &format!("http://127.0.0.1:{store}"), "--secure-port", &port])
        .chain(words(&["--bind-address", "127.0.0.1", "--endpoint-reconciler-type", "none"]))
        .chain(words(&["--tls-cert-file", &certificate, "--tls-private-key-file", &key]))
        .chain(words(&[
            "--token-auth-file",
            &file("tokens.csv"),
            "--authorization-mode",
            "RBAC",
            "--allow-privileged",
        ]))
        .chain(words(&[
            "--service-account-issuer",
            "https://tests",
            "--service-account-key-file",
            &certificate,
        ]))
        .chain(words(&["--service-account-signing-key-file", &key, "--cert-dir", &file("certificates")]))
        .chain(words(&["--disable-admission-plugins", "ServiceAccount", "--profiling=false"]))
        .collect()
}

fn words<'a>(words: &'a [&str]) -> impl Iterator<Item = String> + use<'a> {
    words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>().into_iter()
}
