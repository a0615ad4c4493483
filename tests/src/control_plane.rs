//! The real kube-apiserver with its etcd, on loopback. Nothing runs pods here.

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

/// Path of the CRDs.
pub const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const TOKEN: &str = "token-of-tests";
/// Content type of the patch that `kubectl patch --type merge` sends.
const MERGE_PATCH: &str = "application/merge-patch+json";

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
    /// Starts a control plane.
    ///
    /// # Panics
    /// When its programs are not built, or it is not ready within a minute.
    #[must_use]
    pub fn start() -> Self {
        let dir = TempDir::new().expect("a directory for the control plane");
        tls::make(dir.path());
        fs::write(dir.path().join("tokens.csv"), format!("{TOKEN},admin,admin,system:masters\n"))
            .expect("write the tokens");
        let etcd_port = free_port();
        let port = free_port();
        let etcd = spawn(&dir, "etcd", &etcd_args(dir.path(), etcd_port));
        let mut apiserver = spawn(&dir, "kube-apiserver", &apiserver_args(dir.path(), etcd_port, port));
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

    /// Writes a kubeconfig of its administrator. Returns the file's path.
    ///
    /// # Panics
    /// When the file cannot be written.
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

    /// Freezes the API server: its connections stay open, and it sends nothing any more.
    pub fn freeze(&self) {
        self.apiserver.signal(Signal::STOP);
    }

    /// Lets the API server go on.
    pub fn thaw(&self) {
        self.apiserver.signal(Signal::CONT);
    }

    /// Installs Trackyard's CRDs.
    pub fn install_crds(&self) {
        definitions().iter().for_each(|crd| self.install(&json!(crd)));
    }

    /// Installs a CRD, and waits until its kind is served.
    ///
    /// # Panics
    /// When the CRD is refused, or its schema is not structural.
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

    /// Runs kubectl as the administrator.
    ///
    /// # Panics
    /// When kubectl is not built.
    #[must_use]
    pub fn kubectl(&self, args: &[&str]) -> Output {
        let mut command = Command::new(program("kube"));
        command.arg("kubectl").arg("--cache-dir").arg(self.dir.path().join("kubectl")).args(args);
        command.env("KUBECONFIG", self.kubeconfig()).output().expect("run kubectl")
    }

    /// Sends a request. Returns the answer's status code and body.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn send(&self, method: &Method, path: &str, body: &Value) -> (u16, Value) {
        let kind = if *method == Method::PATCH { MERGE_PATCH } else { "application/json" };
        let request = self.client.request(method.clone(), format!("{}{path}", self.url));
        let request = request.bearer_auth(TOKEN).header("content-type", kind).body(body.to_string());
        self.runtime.block_on(async {
            let answer = request.send().await.expect("an answer of the API server");
            let code = answer.status().as_u16();
            (code, answer.json().await.expect("JSON of the API server"))
        })
    }
}

fn spawn(dir: &TempDir, name: &str, args: &[String]) -> Process {
    let mut command = Command::new(program("kube"));
    command.arg(name).args(args);
    Process::spawn(name, &mut command, &dir.path().join(format!("{name}.log")))
}

fn etcd_args(dir: &Path, port: u16) -> Vec<String> {
    let clients = format!("http://127.0.0.1:{port}");
    let peers = format!("http://127.0.0.1:{}", free_port());
    let data = dir.join("etcd").display().to_string();
    args(&["--data-dir", &data, "--unsafe-no-fsync", "--log-level", "warn"])
        .chain(args(&["--listen-client-urls", &clients, "--advertise-client-urls", &clients]))
        .chain(args(&["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]))
        .chain([format!("--initial-cluster=default={peers}")])
        .collect()
}

fn apiserver_args(dir: &Path, etcd_port: u16, port: u16) -> Vec<String> {
    let file = |name: &str| dir.join(name).display().to_string();
    let certificate = file(tls::CERTIFICATE);
    let key = file(tls::KEY);
    let etcd = format!("http://127.0.0.1:{etcd_port}");
    args(&["--etcd-servers", &etcd, "--secure-port", &port.to_string()])
        .chain(args(&["--bind-address", "127.0.0.1", "--endpoint-reconciler-type", "none"]))
        .chain(args(&["--tls-cert-file", &certificate, "--tls-private-key-file", &key]))
        .chain(args(&[
            "--token-auth-file",
            &file("tokens.csv"),
            "--authorization-mode",
            "RBAC",
            "--allow-privileged",
        ]))
        .chain(args(&[
            "--service-account-issuer",
            "https://tests",
            "--service-account-key-file",
            &certificate,
        ]))
        .chain(args(&["--service-account-signing-key-file", &key, "--cert-dir", &file("certificates")]))
        .chain(args(&["--disable-admission-plugins", "ServiceAccount", "--profiling=false"]))
        .collect()
}

fn args<'a>(args: &'a [&str]) -> impl Iterator<Item = String> + use<'a> {
    args.iter().map(|&arg| arg.to_owned())
}
