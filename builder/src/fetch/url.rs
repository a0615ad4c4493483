//! Where repositories are.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::error::Error;

/// A git URL: `https://…`, `ssh://[user@]…`, `user@host:path` or `file:///…`. It never holds a password, and nothing
/// in it can be taken for an option or for one of git's helper programs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepositoryUrl {
    text: String,
    protocol: &'static str,
}

impl RepositoryUrl {
    /// As git is given it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The one protocol that git may speak for it.
    pub(super) const fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// The directory, for a repository of this machine.
    #[must_use]
    pub fn dir(&self) -> Option<PathBuf> {
        self.text.strip_prefix("file://").map(PathBuf::from)
    }

    /// Refuses a directory of this machine that is not below one of `allowed`.
    ///
    /// # Errors
    /// If it is not.
    pub fn check_dir(&self, allowed: &[PathBuf]) -> Result<(), Error> {
        let Some(dir) = self.dir() else { return Ok(()) };
        if allowed.iter().any(|base| dir.starts_with(base)) {
            return Ok(());
        }
        Err(refused(&self.text, "this builder was not started with --allow-repository for that directory"))
    }
}

impl FromStr for RepositoryUrl {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() > 1024 || !text.bytes().all(|b| b.is_ascii_graphic() && !b"\"'`\\<>{}|^".contains(&b)) {
            return Err(refused(
                text,
                "it must be at most 1024 printable characters without quotes and braces",
            ));
        }
        if climbs(text) {
            return Err(refused(text, "it has .. in its path"));
        }
        let protocol = protocol(text).map_err(|why| refused(text, why))?;
        Ok(Self { text: text.to_owned(), protocol })
    }
}

/// Who fetches takes `a/../b` for `b`, also where the dots are escaped: what such a URL starts with says nothing.
fn climbs(text: &str) -> bool {
    let plain = text.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/");
    plain.split(['/', ':']).any(|part| part == "..")
}

fn protocol(text: &str) -> Result<&'static str, &'static str> {
    if let Some(rest) = text.strip_prefix("https://") {
        let (host, path) = rest.split_once('/').ok_or("it has no path")?;
        if host.contains('@') {
            return Err("user and password do not belong into a URL: use a credentials file");
        }
        return (is_host(host) && !path.is_empty()).then_some("https").ok_or("host or path is missing");
    }
    if let Some(rest) = text.strip_prefix("ssh://") {
        let (host, _) = rest.split_once('/').ok_or("it has no path")?;
        return is_login(host).then_some("ssh").ok_or("host is missing, or there is a password");
    }
    if let Some(path) = text.strip_prefix("file://") {
        return path.starts_with('/').then_some("file").ok_or("it is no absolute path");
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
    let plain = |user: &str| user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    is_host(host) && user.is_none_or(|user| !user.is_empty() && !user.starts_with('-') && plain(user))
}

fn refused(text: &str, why: &'static str) -> Error {
    Error::BadUrl { url: without_login(text).chars().take(200).collect(), why }
}

/// A URL without user and password, wherever it stands in a text.
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
    fn urls(#[case] text: &str, #[case] protocol: Option<&str>) {
        assert_eq!(text.parse::<RepositoryUrl>().ok().map(|url| url.protocol), protocol);
    }

    #[test]
    fn no_login_is_shown() {
        let error = "https://user:secret@example.org/a".parse::<RepositoryUrl>().unwrap_err().to_string();
        assert!(!error.contains("secret") && error.contains("example.org"), "{error}");
        let text = "fatal: 'https://u:p@h/x' and ssh://me@h2/y failed";
        assert_eq!(without_login(text), "fatal: 'https://h/x' and ssh://h2/y failed");
    }

    #[test]
    fn a_dir_must_be_allowed() {
        let url: RepositoryUrl = "file:///srv/repos/a".parse().unwrap();
        assert!(url.check_dir(&[PathBuf::from("/srv/repos")]).is_ok());
        assert!(url.check_dir(&[PathBuf::from("/srv/repo")]).is_err());
        assert!("git@h:a".parse::<RepositoryUrl>().unwrap().check_dir(&[]).is_ok());
    }
}
