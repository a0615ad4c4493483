//! Applies pools and versions, and waits for their status.

use super::{Platform, RELEASE, SHELL};
use crate::request::version;
use crate::wait::timeout_option;

/// A pool of test runners to apply. By default its workers have 4 slots of 125m CPU.
#[must_use]
pub struct PoolSpec {
    name: String,
    topics: String,
    slots: u32,
    cpu: String,
    fields: String,
}

impl PoolSpec {
    /// Creates a pool; `topics` and `fields` are the content of a YAML flow sequence and mapping.
    pub fn new(name: &str, topics: &str, fields: &str) -> Self {
        let [name, topics, cpu, fields] = [name, topics, "125m", fields].map(ToOwned::to_owned);
        Self { name, topics, slots: 4, cpu, fields }
    }

    /// Sets the number of slots of each worker.
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    /// Sets the CPU of each slot.
    pub fn cpu(mut self, cpu: &str) -> Self {
        cpu.clone_into(&mut self.cpu);
        self
    }

    fn spec(&self) -> String {
        let Self { topics, slots, cpu, fields, .. } = self;
        format!(
            "{{channel: test_runners, topics: [{topics}], slots: {slots}, \
             slot: {{cpu: {cpu}, memory: 128Mi, storage: 64Mi}}, cache: {{emptyDir: {{size: 512Mi}}}}, {fields}}}"
        )
    }
}

impl Platform {
    /// Runs kubectl in the worker namespace. Returns what it prints, if it succeeds.
    #[must_use]
    pub fn kubectl(&self, args: &[&str]) -> Option<String> {
        self.cluster.try_kubectl(&[args, &["--namespace", self.worker_namespace]].concat())
    }

    fn apply(&self, kind: &str, name: &str, spec: &str) {
        let namespace = self.worker_namespace;
        self.cluster.apply(&format!(
            "apiVersion: trackyard.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec: {spec}\n"
        ));
    }

    /// Creates or changes a pool.
    pub fn apply_pool(&self, pool: &PoolSpec) {
        self.apply("WorkerPool", &pool.name, &pool.spec());
    }

    /// Creates a pool with one builder.
    pub fn apply_builders(&self, name: &str) {
        let spec = "{channel: builders, topics: ['*'], slots: 1, slot: {cpu: 500m, memory: 512Mi, storage: 512Mi}, \
                    cache: {emptyDir: {size: 512Mi}}, drainTimeout: 5m}";
        self.apply("WorkerPool", name, spec);
    }

    /// Requests a build with a ContainerVersion that names a git reference. Returns the object as `<kind>/<name>`.
    #[must_use]
    pub fn build(&self, track: &str, reference: &str) -> String {
        let name = format!("{track}-{reference}");
        let spec = format!(
            "{{channel: test_runners, track: {track}, gitReference: {reference}, limits: {{memory: 100Mi}}}}"
        );
        self.apply("ContainerVersion", &name, &spec);
        format!("containerversion/{name}")
    }

    /// Deploys a version with a ContainerVersion.
    pub fn deploy(&self, track: &str, tag: &str) {
        let spec =
            format!("{{channel: test_runners, track: {track}, version: {tag}, limits: {{memory: 100Mi}}}}");
        self.apply("ContainerVersion", &format!("{track}-{tag}"), &spec);
    }

    /// Deploys the version of [`SHELL`].
    pub fn deploy_shell(&self) {
        self.deploy(SHELL, &version('a'));
    }

    /// Waits until an object of the worker namespace has a condition.
    ///
    /// # Panics
    /// When the condition does not hold within two minutes; the message has the status and the pods' logs.
    pub fn wait_for(&self, condition: &str, object: &str) {
        let kind = if condition.contains('=') { "" } else { "condition=" };
        let condition = format!("--for={kind}{condition}");
        if self.kubectl(&["wait", &condition, object, &timeout_option(120)]).is_none() {
            let status = self.kubectl(&["get", object, "-o=jsonpath={.status}"]).unwrap_or_default();
            let agents = self.cluster.pod_diagnostics(self.worker_namespace);
            let others = self.cluster.pod_diagnostics(RELEASE);
            panic!("{object} is not {condition}: {status}\n{agents}\n{others}");
        }
    }
}
