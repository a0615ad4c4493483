//! Headers and bodies of a registry's answers. Each parser gets the same text.

use trackyard_images::fuzzing::{next_page, parse_token, token_realm, upload_url, uploaded_bytes};

/// Checks that an upload continues only by TLS or on loopback, and without a user name.
pub fn run(bytes: &[u8]) {
    if let Some(Some(realm)) = token_realm(bytes) {
        assert!(realm.len() <= bytes.len());
    }
    if let Some(token) = parse_token(bytes) {
        assert!(!token.is_empty());
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(target) = next_page(text) {
        assert!(text.contains(&format!("<{target}>")));
    }
    if let Some(size) = uploaded_bytes(text) {
        assert!(size != 1 || text.contains('-'));
    }
    for (registry, schemes) in [("r.example", &["https"][..]), ("127.0.0.1:5000", &["https", "http"])] {
        let Some(url) = upload_url(registry, text) else { continue };
        let (scheme, rest) = url.split_once("://").expect("it is an address");
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        assert!(schemes.contains(&scheme) && !host.contains('@'), "{url}");
        assert!(scheme == "https" || host.starts_with("127.") || is_local(host), "{url}");
    }
}

fn is_local(host: &str) -> bool {
    host.starts_with("[::1]") || host.split(':').next() == Some("localhost")
}
