//! The annotation with which a user pauses the reconciliation of an object.

use kube::ResourceExt;

const RECONCILE_ANNOTATION: &str = "trackyard.dev/reconcile";

/// Returns whether the operator must leave the object and its children as they are.
#[must_use]
pub fn is_paused(object: &impl ResourceExt) -> bool {
    object.annotations().get(RECONCILE_ANNOTATION).is_some_and(|value| value == "disabled")
}

#[cfg(test)]
mod tests {
    use super::is_paused;
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    #[test]
    fn annotation_pauses_reconciliation() {
        for (value, expected) in [(json!("disabled"), true), (json!("enabled"), false)] {
            let object = json!({"metadata": {"annotations": {"trackyard.dev/reconcile": value}}});
            let object: ConfigMap = serde_json::from_value(object).unwrap();
            assert_eq!(is_paused(&object), expected);
        }
    }
}
