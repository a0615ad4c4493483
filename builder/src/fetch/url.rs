//! Repository URLs.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::error::FetchError;

/// A git URL: `https://…`, `ssh://[user@]…`, `user@host:path` or `file:///…`. It never has a password, and git cannot
/// misread it as an option or as the name of a helper program.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepositoryUrl {
    text: String,
    protocol: &'static str,
}

impl RepositoryUrl {
    /// Returns the URL for git.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the only protocol that git may use for it.
    pub(super) const fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// Returns the directory of a `file://` URL.
    #[must_use]
    pub fn dir(&self) -> Option<PathBuf> {
        self.text.strip_prefix("file://").map(PathBuf::from)
    }

    /// Checks that the directory of a `file://` URL is below one of `allowed`.
    ///
    /// # Errors
    /// If it is not.
    pub fn check_dir(&self, allowed: &[PathBuf]) -> Result<(), FetchError> {
        let Some(dir) = self.dir() else { return Ok(()) };
        if allowed.iter().any(|base| dir.starts_with(base)) {
            return Ok(());
        }
        Err(bad_url(&self.text, "this builder was not started with --allow-repository for that directory"))
    }
}

impl FromStr for RepositoryUrl {
    type Err = FetchError;
    fn from_str(text: &str) -> Result<Self, FetchError> {
        if text.len() > 1024 || !text.bytes().all(|b| b.is_ascii_graphic() && !b"\"'`\\<>{}|^".contains(&b)) {
            return Err(bad_url(
                text,
                "it must be at most 1024 printable characters without quotes and braces",
            ));
        }
        if has_parent_dir(text) {
            return Err(bad_url(text, "it has .. in its path"));
        }
        let protocol = protocol(text).map_err(|why| bad_url(text, why))?;
        Ok(Self { text: text.to_owned(), protocol })
    }
}

/// Whether the path has a `..`, escaped or not. Servers read `a/../b` as `b`, so that a check of the start of such a URL
/// would be worthless.
fn has_parent_dir(text: &str) -> bool {
    let unescaped = text.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/");
    unescaped.split(['/', ':']).any(|part| part == "..")
}

fn protocol(text: &str) -> Result<&'static str, &'static str> {
    if let Some(rest) = text.strip_prefix("https://") {
        let (host, path) = rest.split_once('/').ok_or("it has no path")?;
        if host.contains('@') {
            return Err("it must not have a user or password: use a credentials file");
        }
        return (is_host(host) && !path.is_empty()).then_some("https").ok_or("its host or path is missing");
    }
    if let Some(rest) = text.strip_prefix("ssh://") {
        let (host, _) = rest.split_once('/').ok_or("it has no path")?;
        return is_login(host).then_some("ssh").ok_or("its host is missing, or it has a password");
    }
    if let Some(path) = text.strip_prefix("file://") {
        return path.starts_with('/').then_some("file").ok_or("its path is not absolute");
    }
    match text.split_once(':') {
        Some((login, path))
            if login.contains('@')
                && is_login(login)
                && !path.is_empty()
                && !path.starts_with(['-', ':']) =>
        {
            Ok("ssh")
        }
        _ => Err("it must start with https://, ssh://, file:// or user@host:"),
    }
}

fn is_host(host: &str) -> bool {
    !host.is_empty()
        && !host.starts_with('-')
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]_".contains(&b))
}

fn is_login(login: &str) -> bool {
    let (user, host) = login.split_once('@').map_or((None, login), |(user, host)| (Some(user), host));
    let is_plain = |user: &str| user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    is_host(host) && user.is_none_or(|user| !user.is_empty() && !user.starts_with('-') && is_plain(user))
}

fn bad_url(text: &str, why: &'static str) -> FetchError {
    FetchError::BadUrl { url: without_login(text).chars().take(200).collect(), why }
}

/// Removes user and password from every URL in a text.
pub(super) fn without_login(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        out.push_str(authority.rsplit_once('@').map_or(authority, |(_, host)| host));
        rest = tail;
    }
    out + rest
}

impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_login(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("https://github.com/exercism/ruby-test-runner", Some("https"))]
    #[case("https://example.org:8443/a/b.git", Some("https"))]
    #[case("ssh://git@example.org:22/a", Some("ssh"))]
    #[case("git@github.com:exercism/ruby", Some("ssh"))]
    #[case("file:///srv/repos/a", Some("file"))]
    #[case("http://example.org/a", None)]
    #[case("https://user:secret@example.org/a", None)]
    #[case("https://example.org", None)]
    #[case("https:///a", None)]
    #[case("ssh://git:secret@example.org/a", None)]
    #[case("ssh://-oProxyCommand=x/a", None)]
    #[case("-oProxyCommand=x@host:a", None)]
    #[case("git@-oProxyCommand=x:a", None)]
    #[case("ext::sh -c id", None)]
    #[case("--upload-pack=id", None)]
    #[case("git@host:--upload-pack=id", None)]
    #[case("file:///srv/../etc", None)]
    #[case("https://example.org/ours/../theirs", None)]
    #[case("https://example.org/ours/%2E%2e/theirs", None)]
    #[case("https://example.org/ours/..%2ftheirs", None)]
    #[case("git@example.org:../theirs", None)]
    #[case("https://example.org/ours/a..b", Some("https"))]
    #[case("file://srv", None)]
    #[case("/srv/repos/a", None)]
    #[case("https://example.org/a\n", None)]
    #[case("", None)]
    fn urls_are_parsed(#[case] text: &str, #[case] protocol: Option<&str>) {
        assert_eq!(text.parse::<RepositoryUrl>().ok().map(|url| url.protocol), protocol);
    }

    #[test]
    fn errors_do_not_show_logins() {
        let error = "https://user:secret@example.org/a".parse::<RepositoryUrl>().unwrap_err().to_string();
        assert!(!error.contains("secret") && error.contains("example.org"), "{error}");
        let text = "fatal: 'https://u:p@h/x' and ssh://me@h2/y failed";
        assert_eq!(without_login(text), "fatal: 'https://h/x' and ssh://h2/y failed");
    }

    #[test]
    fn dir_must_be_allowed() {
        let url: RepositoryUrl = "file:///srv/repos/a".parse().unwrap();
        assert!(url.check_dir(&[PathBuf::from("/srv/repos")]).is_ok());
        assert!(url.check_dir(&[PathBuf::from("/srv/repo")]).is_err());
        assert!("git@h:a".parse::<RepositoryUrl>().unwrap().check_dir(&[]).is_ok());
    }
}
