//! The resources on a real API server, which must report the same faults as the offline check.
#![cfg(test)]

use std::collections::BTreeSet;

use e2e::control_plane::ControlPlane;
use e2e::resource_rules::{RuleCase, all, messages};
use reqwest::Method;
use serde_json::{Value, json};
use trackyard_crds::verdict::{Fault, Verdict, of_object};

const GROUP: &str = "/apis/trackyard.dev/v1alpha1";

#[test]
fn each_rule_refuses_its_object_offline() {
    for case in all() {
        match of_object(&case.object(), case.old().as_ref()) {
            Verdict::Bad(_, faults) => assert_eq!(faults, [case.fault()]),
            verdict => panic!("{:?}: {verdict:?}", case.fault()),
        }
        let old = case.old().map(|old| of_object(&old, None));
        assert!(old.is_none_or(|old| matches!(old, Verdict::Good(_))), "{:?}", case.fault());
    }
}

#[test]
fn every_rule_has_a_case() {
    for kind in ["WorkerPool", "ContainerVersion"] {
        let cases = all().into_iter().filter(|case| case.kind == kind);
        let tried: BTreeSet<String> = cases.map(|case| case.fault().message).collect();
        assert_eq!(tried, messages(kind), "{kind}");
    }
}

/// Returns the faults that the API server reports.
fn refused(plane: &ControlPlane, case: &RuleCase, namespace: &str) -> Vec<Fault> {
    let plural = format!("{}s", case.kind.to_lowercase());
    let all = format!("{GROUP}/namespaces/{namespace}/{plural}");
    let object = case.object();
    let one = format!("{all}/{}", object["metadata"]["name"].as_str().unwrap());
    let (code, answer) = match case.old() {
        None => plane.send(&Method::POST, &all, &object),
        Some(old) => {
            assert_eq!(plane.send(&Method::POST, &all, &old).0, 201);
            let status = format!("{one}/status");
            if case.is_of_status() {
                let stored = json!({"status": old["status"]});
                assert_eq!(plane.send(&Method::PATCH, &status, &stored).0, 200);
            }
            let parts = json!({"spec": object["spec"], "status": object["status"]});
            plane.send(&Method::PATCH, if case.is_of_status() { &status } else { &one }, &parts)
        }
    };
    assert_eq!(code, 422, "{:?}: {answer:#}", case.fault());
    answer["details"]["causes"].as_array().unwrap().iter().map(fault).collect()
}

/// Parses a cause `Invalid value: <value as JSON>: <message>`.
fn fault(cause: &Value) -> Fault {
    let cause_message = cause["message"].as_str().unwrap();
    let text = cause_message.strip_prefix("Invalid value: ").unwrap_or(cause_message);
    let mut value = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let is_value = value.next().is_some_and(|value| value.is_ok());
    let message = text[value.byte_offset()..].strip_prefix(": ").filter(|_| is_value).unwrap_or(text);
    let field = cause["field"].as_str().unwrap().replace("<nil>", "");
    Fault { field, message: message.to_owned() }
}

#[test]
fn api_server_and_offline_check_agree() {
    let plane = ControlPlane::start();
    plane.install_crds();
    for (number, case) in all().iter().enumerate() {
        let namespace = format!("case-{number}");
        let body = json!({"metadata": {"name": namespace}});
        assert_eq!(plane.send(&Method::POST, "/api/v1/namespaces", &body).0, 201);
        assert_eq!(refused(&plane, case, &namespace), [case.fault()]);
    }
}
