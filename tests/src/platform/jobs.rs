//! Submissions and jobs, and the router's view of them.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{BUCKET, Platform, RELEASE, SHELL};
use crate::request::{test_solution, version};
use crate::tooling::PASSED;
use crate::wait::{seconds, wait_until};

impl Platform {
    /// Stores a submission. Returns its URI.
    #[must_use]
    pub fn submission(&self, name: &str, files: &[(&str, &[u8])]) -> String {
        for (file, bytes) in files {
            self.s3.put(BUCKET, &format!("{name}/{file}"), bytes);
        }
        format!("s3://{BUCKET}/{name}")
    }

    /// Stores an example's submission, such as `ruby/submissions/leap/passing`. Returns its URI.
    ///
    /// # Panics
    /// When there is no such example.
    #[must_use]
    pub fn example_submission(&self, dir: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(dir);
        let files = fs::read_dir(path).expect("an example").flatten().filter(|entry| entry.path().is_file());
        for file in files {
            let bytes = fs::read(file.path()).expect("read an example's file");
            self.s3.put(BUCKET, &format!("{dir}/{}", file.file_name().display()), &bytes);
        }
        format!("s3://{BUCKET}/{dir}")
    }

    /// Returns a request for a job of the track [`SHELL`] that takes `seconds`.
    #[must_use]
    pub fn sleeping(&self, id: &str, seconds: u32) -> Value {
        let script = format!("sleep {seconds}\necho '{PASSED}' > /mnt/exercism-iteration/results.json\n");
        let name = format!("sleep-{seconds}");
        test_solution(id, SHELL, &self.submission(&name, &[("do.sh", script.as_bytes())]), &version('a'))
    }

    /// Returns the number of jobs that the workers run.
    #[must_use]
    pub fn running_jobs(&self) -> u64 {
        let workers =
            self.status().and_then(|status| status.pointer("/dispatch/workers")?.as_array().cloned());
        workers.iter().flatten().filter_map(|worker| worker.get("busy")?.as_u64()).sum()
    }

    /// Waits until `holds` returns true for the router's `/status.json`.
    ///
    /// # Panics
    /// When it does not within a minute.
    pub fn wait_for_status(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        wait_until(seconds(60), what, || self.status().is_some_and(|status| holds(&status)));
    }

    /// Reads the router's `/status.json`, if the router answers.
    #[must_use]
    pub fn status(&self) -> Option<Value> {
        let path = format!("/api/v1/namespaces/{RELEASE}/services/{RELEASE}-router:admin/proxy/status.json");
        serde_json::from_str(&self.cluster.try_kubectl(&["get", "--raw", &path])?).ok()
    }
}
