//! How a user takes an object from the operator.

use kube::ResourceExt;

const HANDS_OFF: &str = "trackyard.dev/reconcile";

/// True if the object's user wants nothing of it touched.
#[must_use]
pub fn is_hands_off(object: &impl ResourceExt) -> bool {
    object.annotations().get(HANDS_OFF).is_some_and(|value| value == "disabled")
}

#[cfg(test)]
mod tests {
    use super::is_hands_off;
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    #[test]
    fn an_annotation_takes_an_object_from_the_operator() {
        for (value, expected) in [(json!("disabled"), true), (json!("enabled"), false)] {
            let object = json!({"metadata": {"annotations": {"trackyard.dev/reconcile": value}}});
            let object: ConfigMap = serde_json::from_value(object).unwrap();
            assert_eq!(is_hands_off(&object), expected);
        }
    }
}
