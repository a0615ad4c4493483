//! Lists of allowed keys, key files, and the keys that libzmq names.

use trackyard_protocol::allowed::{Allowed, Right};
use trackyard_protocol::keys::{KeyPair, PublicKey};

/// Nobody has a right by a text that is no key, and a key is the same when it is read again.
pub fn run(bytes: &[u8]) {
    if let Some(key) = PublicKey::from_bytes(bytes) {
        assert_eq!(key.as_str().parse().ok(), Some(key));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(allowed) = text.parse::<Allowed>() {
        assert!(allowed.len() <= text.lines().count());
        let rights = [Right::Submit, Right::Administer, Right::Work];
        for word in text.split_whitespace().filter(|word| word.parse::<PublicKey>().is_err()) {
            assert!(!rights.iter().any(|right| allowed.may(word, *right)), "{word:?} is no key");
        }
    }
    if let Ok(pair) = text.parse::<KeyPair>() {
        assert!(pair.text().parse().is_ok_and(|again: KeyPair| again == pair));
        let (shown, text, public) = (format!("{pair:?}"), pair.text(), pair.public().as_str());
        let secret = text.lines().last().filter(|secret| *secret != public);
        assert!(secret.is_none_or(|secret| !shown.contains(secret)), "it is secret");
    }
}
