//! Names of repositories, tags, registries and git references. Two lines: a configured name, and a name from outside.

use std::time::UNIX_EPOCH;

use trackyard_images::ReleaseTags;
use trackyard_images::fuzzing::{ecr_token_host, is_repository, is_tag, registry_host, release_tags};

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

/// Checks that names are safe in paths and URLs, that release tags are valid, and that ECR's token goes only to ECR.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (configured, named) = text.split_once('\n').unwrap_or((text, text));
    if is_repository(configured) {
        assert!(!configured.starts_with('/') && !configured.contains("..") | !configured.split('/').any(|part| part.starts_with('.')));
        assert!(configured.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%\\:@".contains(&byte)));
    }
    if is_tag(configured) {
        assert!(configured.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#%\\:@".contains(&byte)));
    }
    let tags = ReleaseTags::new(SHA, UNIX_EPOCH).expect("it is a commit");
    let tags = release_tags(tags, named);
    assert!(tags.iter().all(|tag| is_tag(tag)), "{tags:?}");
    let names: std::collections::BTreeSet<&String> = tags.iter().collect();
    assert_eq!(names.len(), tags.len(), "{tags:?}");
    if let Some(host) = registry_host(configured) {
        assert!(!host.contains(['@', '/', '?', '#']), "{host}");
    }
    if let Some(registry) = ecr_token_host(configured, named) {
        assert_eq!(registry, configured, "without a configured endpoint, no answer redirects the token");
    }
}
