//! Serves the examples to a cluster of `make cluster-up` until Ctrl-C: images from a registry, submissions from S3.
//! Writes the files for `helm install` and `kubectl apply`.
#![expect(clippy::print_stdout, reason = "a command line tool prints what to do next")]

use std::fs;
use std::path::Path;

use e2e::cluster::Cluster;
use e2e::platform::{Platform, RELEASE, Release, WORKER_NAMESPACE};
use serde_json::Value;

type MainResult = Result<(), Box<dyn std::error::Error>>;

fn main() -> MainResult {
    let mut args = std::env::args().skip(1);
    let (Some(name), Some(dir)) = (args.next(), args.next()) else {
        return Err("usage: trackyard-cluster-examples CLUSTER DIR".into());
    };
    let dir = Path::new(&dir);
    fs::create_dir_all(dir)?;
    let cluster = Cluster::running(&name);
    import_images(&cluster)?;
    let platform = Platform::serve(cluster);
    for namespace in [RELEASE, WORKER_NAMESPACE] {
        if platform.cluster.try_kubectl(&["create", "namespace", namespace]).is_some() {
            platform.create_secrets(namespace);
        }
    }
    store_submissions(&platform)?;
    fs::write(dir.join("values.yaml"), values(&platform).to_string())?;
    fs::write(dir.join("versions.yaml"), versions(&platform))?;
    println!("cluster {name}: serving the examples until Ctrl-C; see {}", dir.display());
    Ok(tokio::runtime::Runtime::new()?.block_on(tokio::signal::ctrl_c())?)
}

/// Imports the project's own images into the node.
fn import_images(cluster: &Cluster) -> MainResult {
    for image in Release::this().images() {
        let _ = cluster.run_on_node(&[
            "ctr",
            "--namespace",
            "k8s.io",
            "images",
            "import",
            &image.display().to_string(),
        ]);
    }
    Ok(())
}

fn store_submissions(platform: &Platform) -> MainResult {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/expected.json");
    let list: Vec<Value> = serde_json::from_slice(&fs::read(list)?)?;
    for dir in list.iter().filter_map(|case| case.get("dir")?.as_str()) {
        let _ = platform.example_submission(dir);
    }
    Ok(())
}

/// Returns the values that a user would write: those of the tests without `test`.
fn values(platform: &Platform) -> Value {
    let mut values = platform.values(&Release::this());
    if let Some(values) = values.as_object_mut() {
        let _ = values.remove("test");
    }
    values
}

fn versions(platform: &Platform) -> String {
    let version = |track: &str| {
        let tag = platform.example_tag(&format!("{track}-test-runner"));
        format!(
            "apiVersion: trackyard.dev/v1alpha1\nkind: ContainerVersion\nmetadata: {{name: {track}}}\n\
             spec: {{channel: test_runners, track: {track}, version: {tag}}}\n---\n"
        )
    };
    ["ruby", "python"].map(version).concat()
}
