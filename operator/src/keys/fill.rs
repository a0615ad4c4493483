//! What is to be in the Secrets. Pure, but for the making of keys, which is given.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use trackyard_protocol::keys::{self, Curve, KeyPair};

use super::{OWN_KEY, ROUTER_KEY};

const ROUTER: &str = "router.key";
const OPERATOR: &str = "operator.key";
const ALLOWED: &str = "allowed";

/// A Secret's data.
pub type Files = BTreeMap<String, ByteString>;

/// What is in them beside the keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// The keys are somebody else's to make.
    pub given: bool,
    /// Lines for the list of allowed keys, beside those of workers and operator.
    pub allow: Vec<String>,
}

/// What is to be in the Secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// In the one for all keys.
    pub keys: Files,
    /// In the workers'.
    pub worker: Files,
    /// With which the operator talks to the router.
    pub curve: Curve,
}

/// Why nothing can be in them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else has not made it.
    #[error("the Secret has no {0}; it was to be given")]
    Missing(&'static str),
    /// It is not replaced, for somebody may use it.
    #[error(
        "{0} in the Secret does not hold a public and a secret key on two lines; delete it, and a new one is made"
    )]
    Malformed(&'static str),
    /// A key cannot be made.
    #[error(transparent)]
    Keys(#[from] keys::Error),
}

/// What is to be in the Secrets, when `found` is in the one for all keys: what is there stays.
///
/// # Errors
/// If something there is no key, or is not there and was to be given.
pub fn fill(
    found: &Files,
    rules: &Rules,
    mut make: impl FnMut() -> Result<KeyPair, keys::Error>,
) -> Result<Filled, Error> {
    let mut pair = |name| match found.get(name).filter(|text| !text.0.is_empty()) {
        Some(text) => parse(text).ok_or(Error::Malformed(name)),
        None if rules.given => Err(Error::Missing(name)),
        None => Ok(make()?),
    };
    let (router, worker, operator) = (pair(ROUTER)?, pair(OWN_KEY)?, pair(OPERATOR)?);
    let public = text(format!("{}\n", router.public()));
    let list = match found.get(ALLOWED) {
        Some(list) if rules.given => list.clone(),
        None if rules.given => return Err(Error::Missing(ALLOWED)),
        _ => text(allowed(&worker, &operator, &rules.allow)),
    };
    let own = [
        (ROUTER, text(router.text())),
        (OWN_KEY, text(worker.text())),
        (OPERATOR, text(operator.text())),
        (ROUTER_KEY, public.clone()),
        (ALLOWED, list),
    ];
    let workers = [(OWN_KEY, text(worker.text())), (ROUTER_KEY, public)];
    let curve = Curve { router: router.public().clone(), own: operator };
    Ok(Filled { keys: files(own), worker: files(workers), curve })
}

fn allowed(worker: &KeyPair, operator: &KeyPair, more: &[String]) -> String {
    let own =
        [format!("work {} workers", worker.public()), format!("administer {} operator", operator.public())];
    own.iter().chain(more).map(|line| format!("{line}\n")).collect()
}

fn parse(text: &ByteString) -> Option<KeyPair> {
    std::str::from_utf8(&text.0).ok()?.parse().ok()
}

fn text(text: String) -> ByteString {
    ByteString(text.into_bytes())
}

fn files<const N: usize>(files: [(&str, ByteString); N]) -> Files {
    files.map(|(name, content)| (name.to_owned(), content)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackyard_protocol::allowed::{Allowed, Right};

    fn filled(found: &Files, rules: &Rules) -> Result<Filled, Error> {
        fill(found, rules, KeyPair::generate)
    }

    #[test]
    fn keys_are_made_once_and_what_is_lost_is_made_again() {
        let rules = Rules::default();
        let first = filled(&Files::new(), &rules).unwrap();
        assert_eq!(filled(&first.keys, &rules).unwrap(), first);
        let mut robbed = first.keys.clone();
        robbed.remove(OWN_KEY);
        let second = filled(&robbed, &rules).unwrap();
        assert_eq!(second.keys[ROUTER], first.keys[ROUTER]);
        assert_ne!(second.keys[OWN_KEY], first.keys[OWN_KEY]);
        assert_ne!(second.keys[ALLOWED], first.keys[ALLOWED]);
        assert_eq!(second.worker[OWN_KEY], second.keys[OWN_KEY]);
    }

    #[test]
    fn workers_get_their_key_and_not_the_routers() {
        let filled = filled(&Files::new(), &Rules::default()).unwrap();
        assert_eq!(filled.worker.keys().collect::<Vec<_>>(), [ROUTER_KEY, OWN_KEY]);
        let router = parse(&filled.keys[ROUTER]).unwrap();
        assert_eq!(filled.worker[ROUTER_KEY].0, format!("{}\n", router.public()).into_bytes());
        assert_eq!(filled.curve.router, *router.public());
    }

    #[test]
    fn the_list_allows_workers_the_operator_and_who_is_named() {
        let website = KeyPair::generate().unwrap();
        let rules = Rules { allow: vec![format!("submit {} website", website.public())], given: false };
        let filled = filled(&Files::new(), &rules).unwrap();
        let list: Allowed = std::str::from_utf8(&filled.keys[ALLOWED].0).unwrap().parse().unwrap();
        let worker = parse(&filled.keys[OWN_KEY]).unwrap();
        assert!(list.may(worker.public().as_str(), Right::Work));
        assert!(list.may(filled.curve.own.public().as_str(), Right::Administer));
        assert!(list.may(website.public().as_str(), Right::Submit));
        assert_eq!(list.len(), 3);
    }

    #[test]
    fn what_is_given_is_never_made_nor_changed() {
        let given = Rules { given: true, allow: vec![] };
        assert!(matches!(filled(&Files::new(), &given), Err(Error::Missing(ROUTER))));
        let mut keys = filled(&Files::new(), &Rules::default()).unwrap().keys;
        keys.insert(ALLOWED.to_owned(), text("# nobody yet\n".to_owned()));
        assert_eq!(filled(&keys, &given).unwrap().keys, keys);
        keys.remove(ALLOWED);
        assert!(matches!(filled(&keys, &given), Err(Error::Missing(ALLOWED))));
    }

    #[test]
    fn what_is_no_key_is_not_replaced() {
        let found = files([(OPERATOR, text("my notes".to_owned()))]);
        assert!(matches!(filled(&found, &Rules::default()), Err(Error::Malformed(OPERATOR))));
    }
}
