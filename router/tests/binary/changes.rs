//! Changes of the deployed versions, with a real image directory.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{OTHER, Router, VERSION, until};
use crate::peers::{ask, at_once, dealer, receive, verdict};

/// Writes a layout directory with one small image that has `tags`. The router reads only its manifest.
fn layout(dir: &Path, repository: &str, tags: &[&str]) -> String {
    let blobs = dir.join(repository).join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let config = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": format!("sha256:{}", "0".repeat(64)), "size": 2});
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": []}).to_string();
    let hash: [u8; 32] = Sha256::digest(&manifest).into();
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(blobs.join(&hex), &manifest).unwrap();
    let entry = |tag: &&str| {
        json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": format!("sha256:{hex}"),
            "size": manifest.len(), "annotations": {"org.opencontainers.image.ref.name": tag}})
    };
    let index = json!({"schemaVersion": 2, "manifests": tags.iter().map(entry).collect::<Vec<_>>()});
    fs::write(dir.join(repository).join("oci-layout"), "{\"imageLayoutVersion\": \"1.0.0\"}").unwrap();
    fs::write(dir.join(repository).join("index.json"), index.to_string()).unwrap();
    format!("sha256:{hex}")
}

fn change(action: &str, track: &str, field: &str, value: &Value) -> Value {
    json!({"action": action, "channel": "test_runners", "track_slug": track, field: value})
}

#[test]
fn local_clients_can_be_limited_to_submit() {
    let router = Router::start_in(tempfile::tempdir().unwrap(), "{}", &["--local-peers-may", "submit"]);
    let change = change("unload_container_version", "ruby", "version", &json!(OTHER));
    assert_eq!(verdict(&ask(&router, &change)), (506, "forbidden"));
    assert_eq!(verdict(&ask(&router, &json!({"action": "current_config"}))), (200, "ok"));
}

#[test]
fn versions_are_deployed_updated_and_unloaded() {
    let images = tempfile::tempdir().unwrap();
    let digest = layout(images.path(), "zig-test-runner", &[VERSION, OTHER]);
    let router =
        Router::start_with(&format!("images: {{kind: layout, location: '{}'}}", images.path().display()));
    let zig = |action, field, value: Value| ask(&router, &change(action, "zig", field, &value));
    let of_zig = |answer: &Value| answer["response"]["container_versions"]["test_runners"]["zig"].clone();

    let answer = zig("deploy_container_version", "new_version", json!(VERSION));
    assert_eq!((verdict(&answer), of_zig(&answer)), ((200, "ok"), json!([VERSION])));
    assert!(fs::read_to_string(router.config()).unwrap().contains(&format!("{VERSION}@{digest}")));

    let answer = zig("list_available_containers", "x", json!(0));
    assert_eq!(answer["response"]["list_images"][&digest], json!([VERSION, OTHER]));

    let answer = zig("update_container_versions", "versions", json!([OTHER]));
    assert_eq!(of_zig(&answer), json!([OTHER]));
    assert_eq!(of_zig(&ask(&router, &json!({"action": "current_config"}))), json!([OTHER]));

    assert_eq!(verdict(&zig("unload_container_version", "version", json!(VERSION))), (505, "not_deployed"));
    let answer = zig("unload_container_version", "version", json!(OTHER));
    assert_eq!((verdict(&answer), of_zig(&answer)), ((200, "ok"), json!([])));
}

#[test]
fn many_listings_delay_no_change() {
    // A registry that never answers.
    let registry = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let location = registry.local_addr().unwrap();
    let router = Router::start_with(&format!("images: {{kind: registry, location: '{location}'}}"));
    let asks = dealer(&router);
    let list = change("list_available_containers", "zig", "x", &json!(0)).to_string();
    for _ in 0..400 {
        asks.send_multipart([b"", list.as_bytes()], 0).unwrap();
    }
    assert_eq!(verdict(&receive(&asks).1), (503, "store_unavailable"), "the queue of listings is full");
    let unload = change("unload_container_version", "zig", "version", &json!(VERSION));
    assert_eq!(verdict(&at_once(|| ask(&router, &unload))), (502, "unknown_track"));
}

#[test]
fn missing_image_is_refused() {
    let images = tempfile::tempdir().unwrap();
    layout(images.path(), "ruby-test-runner", &[VERSION]);
    let config = format!("images: {{kind: layout, location: '{}'}}", images.path().display());
    let router = Router::start_with(&config);
    let deploy = |track, version: &str| {
        ask(&router, &change("deploy_container_version", track, "new_version", &json!(version)))
    };
    let answer = deploy("ruby", OTHER);
    assert_eq!(verdict(&answer), (400, "bad_version"));
    assert!(answer["status"]["message"].as_str().unwrap().contains(OTHER));
    assert!(!deploy("zig", VERSION)["status"]["ok"].as_bool().unwrap());
    assert_eq!(fs::read_to_string(router.config()).unwrap(), config);
}

#[test]
fn version_in_the_file_is_pinned() {
    let images = tempfile::tempdir().unwrap();
    let digest = layout(images.path(), "ruby-test-runner", &[VERSION, OTHER]);
    let config = |versions: &str| {
        format!(
            "images: {{kind: layout, location: '{}'}}\ncontainer_versions: {{test_runners: {{ruby: [{versions}]}}}}",
            images.path().display()
        )
    };
    let router = Router::start_with(&config(VERSION));
    let pinned = |version: &str| {
        let text = fs::read_to_string(router.config()).unwrap();
        text.contains(&format!("{version}@{digest}"))
    };
    until("the version of the start has its digest", || pinned(VERSION));
    fs::write(router.config(), config(&format!("{VERSION}, {OTHER}"))).unwrap();
    until("the added version has its digest", || pinned(OTHER));
}

#[test]
fn invalid_file_refuses_changes() {
    let router = Router::start();
    let broken = "queue: {}\ncontainer_versions: [oops\n";
    fs::write(router.config(), broken).unwrap();
    let request = change("update_container_versions", "ruby", "versions", &json!([]));
    let answer = ask(&router, &request);
    assert_eq!(verdict(&answer), (503, "store_unavailable"));
    let message = answer["status"]["message"].as_str().unwrap();
    assert!(message.contains("line ") && !message.contains('/'), "{message}");
    until("the status page shows the line", || router.page("/status.json").1.contains("line "));
    assert_eq!(router.metric("trackyard_router_config_edits_total{outcome=\"refused\"}"), 1.0);
    assert_eq!(fs::read_to_string(router.config()).unwrap(), broken);
    let versions = ask(&router, &json!({"action": "current_config"}));
    assert_eq!(versions["response"]["container_versions"]["test_runners"]["ruby"], json!([VERSION]));
}
