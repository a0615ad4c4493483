//! The report of two pools and a version that one of two workers cannot prepare.

use std::time::Duration;

use serde_json::json;
use trackyard_protocol::token::Epoch;
use trackyard_protocol::worker::FromWorker;

use super::*;
use crate::config;
use crate::dispatch::{DeployedVersions, Dispatch, Event, Peer, Settings};

const TAG: &str = "git-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@sha256:\
                   bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn hello(name: &str, pool: Option<&str>, topic: &str, ready: bool) -> FromWorker {
    let versions = if ready { json!([{"track": "ruby", "version": TAG}]) } else { json!([]) };
    let hello = json!({
        "protocol": 1, "name": name, "incarnation": "0000000000000001", "pool": pool, "channel": "test_runners",
        "topics": [topic], "slots": 4, "versions": versions, "jobs": [], "draining": false, "release": "",
    });
    FromWorker::Hello(Box::new(serde_json::from_value(hello).unwrap()))
}

#[test]
fn report_has_pools_versions_and_failures() {
    let config =
        config::read(&format!("container_versions: {{test_runners: {{ruby: [\"{TAG}\"]}}}}")).unwrap().config;
    let settings = Settings::new(config.images.clone(), config.inputs.clone());
    let mut dispatch = Dispatch::new(Epoch(1), settings, Duration::ZERO);
    let deployment = config.container_versions.iter().map(|(track, all)| (track.to_tooling(), all.to_vec()));
    let deployment = DeployedVersions(deployment.collect());
    let mut on = |event| dispatch.on(event, Duration::ZERO, &mut Vec::new());
    on(Event::Deployed(deployment));
    on(Event::Worker { peer: Peer(1), message: hello("ruby-1", Some("ruby"), "ruby", true) });
    on(Event::Worker { peer: Peer(2), message: hello("any-1", Some("any"), "*", false) });
    on(Event::Worker { peer: Peer(3), message: hello("elsewhere", None, "python", false) });
    let failed = json!({"track": "ruby", "version": TAG, "reason": "no_entry", "status_code": 511,
                        "message": "no script", "retrying": false});
    on(Event::Worker { peer: Peer(2), message: FromWorker::Failed(serde_json::from_value(failed).unwrap()) });
    let first = report(&dispatch.snapshot(), &config.container_versions);
    let pools: Vec<_> = first.workers.iter().map(|worker| (worker.pool.to_string(), worker.slots)).collect();
    assert_eq!(pools, [("any".to_owned(), 4), ("ruby".to_owned(), 4)]);
    let [version] = first.versions.as_slice() else { panic!("{first:?}") };
    assert_eq!((version.workers, version.ready), (2, 1));
    let failure =
        VersionFailure { reason: "no_entry".to_owned(), message: "no script".to_owned(), workers: 1 };
    assert_eq!(version.failures, [failure]);
    assert_eq!(
        report(&dispatch.snapshot(), &config.container_versions),
        first,
        "equal reports have equal revisions"
    );
}
