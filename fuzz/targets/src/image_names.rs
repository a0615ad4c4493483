//! Names of repositories, tags, registries and people's names of releases. Two lines: what is configured, what is said.

use std::time::UNIX_EPOCH;

use trackyard_images::ReleaseTags;
use trackyard_images::fuzzing::{ecr, host, is_repository, is_tag, release_tags};

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

/// Names are safe in paths and addresses, a release's tags are tags, and ECR's token goes to nobody else.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (own, said) = text.split_once('\n').unwrap_or((text, text));
    if is_repository(own) {
        assert!(!own.starts_with('/') && !own.contains("..") | !own.split('/').any(|part| part.starts_with('.')));
        assert!(own.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%\\:@".contains(&byte)));
    }
    if is_tag(own) {
        assert!(own.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#%\\:@".contains(&byte)));
    }
    let tags = ReleaseTags::new(SHA, UNIX_EPOCH).expect("it is a commit");
    let tags = release_tags(tags, said);
    assert!(tags.iter().all(|tag| is_tag(tag)), "{tags:?}");
    let names: std::collections::BTreeSet<&String> = tags.iter().collect();
    assert_eq!(names.len(), tags.len(), "{tags:?}");
    if let Some(host) = host(own) {
        assert!(!host.contains(['@', '/', '?', '#']), "{host}");
    }
    if let Some(registry) = ecr(own, said) {
        assert_eq!(registry, own, "without an endpoint of our own, no answer moves the token");
    }
}
