//! The desired contents of the Secrets. Pure, except for the given key generator.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use trackyard_protocol::keys::{self, Curve, KeyPair};

use super::{ROUTER_PUBLIC_KEY, WORKER_KEY};

const ROUTER_KEY: &str = "router.key";
const OPERATOR_KEY: &str = "operator.key";
/// The list of allowed public keys.
const ALLOWED: &str = "allowed";

/// A Secret's data.
pub type SecretData = BTreeMap<String, ByteString>;

/// How the Secrets are filled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPolicy {
    /// Whether somebody else provides the keys: the operator generates none.
    pub given: bool,
    /// Additional lines of the list of allowed keys, after those of workers and operator.
    pub allow: Vec<String>,
}

/// The desired contents of the Secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretContents {
    /// Contents of the Secret for all keys.
    pub keys: SecretData,
    /// Contents of the workers' Secret.
    pub worker: SecretData,
    /// The keys with which the operator connects to the router.
    pub curve: Curve,
}

/// Why the Secrets cannot be filled.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A key that somebody else provides is missing.
    #[error("the Secret has no {0}, which must be given; add it, or let the operator generate the keys")]
    Missing(&'static str),
    /// A malformed key is not replaced, because it may be in use.
    #[error(
        "{0} in the Secret does not hold a public and a secret key on two lines; delete it, and a new one is made"
    )]
    Malformed(&'static str),
    /// A key cannot be generated.
    #[error(transparent)]
    Generate(#[from] keys::Error),
}

/// Returns the desired contents when `found` is in the Secret for all keys. Existing keys are kept.
///
/// # Errors
/// If a key is malformed, or is missing and must be given.
pub fn desired_contents(
    found: &SecretData,
    policy: &KeyPolicy,
    mut generate: impl FnMut() -> Result<KeyPair, keys::Error>,
) -> Result<SecretContents, KeyError> {
    let mut pair = |name| match found.get(name).filter(|text| !text.0.is_empty()) {
        Some(text) => parse(text).ok_or(KeyError::Malformed(name)),
        None if policy.given => Err(KeyError::Missing(name)),
        None => Ok(generate()?),
    };
    let router = pair(ROUTER_KEY)?;
    let worker = pair(WORKER_KEY)?;
    let operator = pair(OPERATOR_KEY)?;
    let router_public = bytes(format!("{}\n", router.public()));
    let allowed = match found.get(ALLOWED) {
        Some(allowed) if policy.given => allowed.clone(),
        None if policy.given => return Err(KeyError::Missing(ALLOWED)),
        _ => bytes(allowed_list(&worker, &operator, &policy.allow)),
    };
    let keys = [
        (ROUTER_KEY, bytes(router.text())),
        (WORKER_KEY, bytes(worker.text())),
        (OPERATOR_KEY, bytes(operator.text())),
        (ROUTER_PUBLIC_KEY, router_public.clone()),
        (ALLOWED, allowed),
    ];
    let workers = [(WORKER_KEY, bytes(worker.text())), (ROUTER_PUBLIC_KEY, router_public)];
    let curve = Curve { router: router.public().clone(), own: operator };
    Ok(SecretContents { keys: data(keys), worker: data(workers), curve })
}

fn allowed_list(worker: &KeyPair, operator: &KeyPair, more: &[String]) -> String {
    let own =
        [format!("work {} workers", worker.public()), format!("administer {} operator", operator.public())];
    own.iter().chain(more).map(|line| format!("{line}\n")).collect()
}

fn parse(text: &ByteString) -> Option<KeyPair> {
    std::str::from_utf8(&text.0).ok()?.parse().ok()
}

fn bytes(text: String) -> ByteString {
    ByteString(text.into_bytes())
}

fn data<const N: usize>(entries: [(&str, ByteString); N]) -> SecretData {
    entries.map(|(name, content)| (name.to_owned(), content)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackyard_protocol::allowed::{Allowed, Right};

    fn contents(found: &SecretData, policy: &KeyPolicy) -> Result<SecretContents, KeyError> {
        desired_contents(found, policy, KeyPair::generate)
    }

    #[test]
    fn existing_keys_are_kept_and_lost_ones_regenerated() {
        let policy = KeyPolicy::default();
        let first = contents(&SecretData::new(), &policy).unwrap();
        assert_eq!(contents(&first.keys, &policy).unwrap(), first);
        let mut damaged = first.keys.clone();
        damaged.remove(WORKER_KEY);
        let second = contents(&damaged, &policy).unwrap();
        assert_eq!(second.keys[ROUTER_KEY], first.keys[ROUTER_KEY]);
        assert_ne!(second.keys[WORKER_KEY], first.keys[WORKER_KEY]);
        assert_ne!(second.keys[ALLOWED], first.keys[ALLOWED]);
        assert_eq!(second.worker[WORKER_KEY], second.keys[WORKER_KEY]);
    }

    #[test]
    fn workers_do_not_get_the_router_key() {
        let contents = contents(&SecretData::new(), &KeyPolicy::default()).unwrap();
        assert_eq!(contents.worker.keys().collect::<Vec<_>>(), [ROUTER_PUBLIC_KEY, WORKER_KEY]);
        let router = parse(&contents.keys[ROUTER_KEY]).unwrap();
        assert_eq!(contents.worker[ROUTER_PUBLIC_KEY].0, format!("{}\n", router.public()).into_bytes());
        assert_eq!(contents.curve.router, *router.public());
    }

    #[test]
    fn list_allows_workers_operator_and_named_keys() {
        let website = KeyPair::generate().unwrap();
        let policy = KeyPolicy { allow: vec![format!("submit {} website", website.public())], given: false };
        let contents = contents(&SecretData::new(), &policy).unwrap();
        let list: Allowed = std::str::from_utf8(&contents.keys[ALLOWED].0).unwrap().parse().unwrap();
        let worker = parse(&contents.keys[WORKER_KEY]).unwrap();
        assert!(list.may(worker.public().as_str(), Right::Work));
        assert!(list.may(contents.curve.own.public().as_str(), Right::Administer));
        assert!(list.may(website.public().as_str(), Right::Submit));
        assert_eq!(list.len(), 3);
    }

    #[test]
    fn given_keys_are_never_changed() {
        let given = KeyPolicy { given: true, allow: vec![] };
        assert!(matches!(contents(&SecretData::new(), &given), Err(KeyError::Missing(ROUTER_KEY))));
        let mut keys = contents(&SecretData::new(), &KeyPolicy::default()).unwrap().keys;
        keys.insert(ALLOWED.to_owned(), bytes("# nobody yet\n".to_owned()));
        assert_eq!(contents(&keys, &given).unwrap().keys, keys);
        keys.remove(ALLOWED);
        assert!(matches!(contents(&keys, &given), Err(KeyError::Missing(ALLOWED))));
    }

    #[test]
    fn malformed_key_is_not_replaced() {
        let found = data([(OPERATOR_KEY, bytes("my notes".to_owned()))]);
        assert!(matches!(contents(&found, &KeyPolicy::default()), Err(KeyError::Malformed(OPERATOR_KEY))));
    }
}
