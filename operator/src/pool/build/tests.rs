use insta::assert_snapshot;
use serde_json::{Value, json};

use super::*;

fn pool(spec: &Value) -> WorkerPool {
    let metadata = json!({"name": "ruby", "namespace": "workers", "uid": "0a1b"});
    let kind = json!({"apiVersion": "trackyard.dev/v1alpha1", "kind": "WorkerPool"});
    let mut whole = json!({"metadata": metadata, "spec": spec});
    whole.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
    serde_json::from_value(whole).unwrap()
}

fn settings() -> AgentSettings {
    AgentSettings {
        image: "registry.example.org/trackyard-worker:1.0".to_owned(),
        router: "tcp://trackyard-router.trackyard.svc:5555".to_owned(),
        environment: BTreeMap::new(),
        environment_secret: None,
        files_secret: None,
        key_secret: Some("trackyard-worker-key".to_owned()),
        share: AgentShare::default(),
    }
}

fn to_yaml(children: &Children) -> String {
    let text = |value: Value| serde_saphyr::to_string(&value).unwrap();
    let account = children.account.as_ref().map(|account| text(serde_json::to_value(account).unwrap()));
    [
        text(serde_json::to_value(&children.deployment).unwrap()),
        account.unwrap_or_else(|| "no account of its own\n".to_owned()),
        text(serde_json::to_value(&children.budget).unwrap()),
    ]
    .join("---\n")
}

#[test]
fn children_of_minimal_pool() {
    let pool = pool(&json!({"channel": "test_runners", "topics": ["ruby"]}));
    assert_snapshot!(to_yaml(&children(&pool, 1, &settings()).unwrap()));
}

#[test]
fn children_of_builder_pool_with_all_fields() {
    let pool = pool(&json!({
        "channel": "builders", "topics": ["*"], "slots": 2, "drainTimeout": "30m", "image": "other:2",
        "slot": {"cpu": "500m", "memory": "4Gi", "storage": "10Gi"},
        "cache": {"nodeLocal": {"size": "50Gi"}}, "rollout": {"maxSurge": 1, "maxUnavailable": "50%"},
        "template": {
            "nodeSelector": {"pool": "builders"}, "tolerations": [{"key": "untrusted", "operator": "Exists"}],
            "priorityClassName": "low", "serviceAccountName": "releaser", "imagePullSecrets": [{"name": "pull"}],
            "labels": {"team": "tracks"}, "annotations": {"note": "x"},
            "env": [{"name": "TRACKYARD_DRIVER", "value": "buildkit"}]
        }
    }));
    assert_snapshot!(to_yaml(&children(&pool, 3, &settings()).unwrap()));
}

#[test]
fn pool_variables_override_common_ones() {
    let pool = pool(&json!({
        "channel": "test_runners", "topics": ["*"],
        "template": {"env": [{"name": "TRACKYARD_ALLOW_BUCKET", "value": "mine"}]}
    }));
    let common = [("TRACKYARD_ALLOW_BUCKET", "all"), ("TRACKYARD_CA_FILE", "/etc/trackyard-agent/ca.crt")];
    let settings = AgentSettings {
        environment: common.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        environment_secret: Some("keys".to_owned()),
        files_secret: Some("files".to_owned()),
        ..settings()
    };
    let deployment = children(&pool, 1, &settings).unwrap().deployment;
    let pod = serde_json::to_value(deployment.spec.unwrap().template.spec.unwrap()).unwrap();
    let agent = &pod["containers"][0];
    assert_eq!(agent["env"][1], json!({"name": "TRACKYARD_CA_FILE", "value": "/etc/trackyard-agent/ca.crt"}));
    assert_eq!(agent["env"][2], json!({"name": "TRACKYARD_ALLOW_BUCKET", "value": "mine"}));
    assert_eq!(agent["envFrom"], json!([{"secretRef": {"name": "keys"}}]));
    assert_eq!(pod["volumes"][2]["secret"]["secretName"], "files");
    assert_eq!(agent["volumeMounts"][2]["mountPath"], "/etc/trackyard-agent");
}

#[test]
fn oversized_slots_are_an_error() {
    let spec =
        json!({"channel": "test_runners", "topics": ["*"], "slots": 256, "slot": {"memory": "9999999Ti"}});
    assert_eq!(children(&pool(&spec), 1, &settings()), Err(ChildrenError::TooLarge));
}

#[test]
fn pool_without_uid_is_an_error() {
    let mut pool = pool(&json!({"channel": "test_runners", "topics": ["*"]}));
    pool.metadata.uid = None;
    assert_eq!(children(&pool, 1, &settings()), Err(ChildrenError::MissingUid));
}
