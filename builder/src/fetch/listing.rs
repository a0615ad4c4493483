//! Finds a reference in the output of `git ls-remote --symref`. Pure.

use super::reference::{Commit, GitReference};

/// The commit of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedCommit {
    /// The commit.
    pub commit: Commit,
    /// The kind of the reference.
    pub kind: ReferenceKind,
    /// Whether the reference is the branch that the repository's `HEAD` names.
    pub is_default_branch: bool,
}

/// A kind of reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferenceKind {
    /// A commit id.
    Sha,
    /// A branch or tag, with its full name.
    Name(String),
}

/// Returns the `ls-remote` patterns for a name. The commit of an annotated tag is listed under its name with `^{}`.
pub(super) fn patterns(name: &str) -> Vec<String> {
    let mut patterns = vec!["HEAD".to_owned()];
    for full in full_names(name) {
        patterns.push(format!("{full}^{{}}"));
        patterns.push(full);
    }
    patterns
}

/// Returns the commit of a name in a listing. As in git, a tag takes precedence over a branch of the same name.
pub(crate) fn find(listing: &str, name: &str) -> Option<ResolvedCommit> {
    let mut head = None;
    let mut commits = Vec::new();
    for line in listing.lines() {
        match line.split_once('\t') {
            Some((target, "HEAD")) => head = target.strip_prefix("ref: ").or(head),
            Some((sha, full)) => commits.extend(Commit::parse(sha).map(|commit| (full, commit))),
            None => {}
        }
    }
    let commit_of =
        |full: &str| commits.iter().find(|(name, _)| *name == full).map(|(_, commit)| commit.clone());
    full_names(name).into_iter().find_map(|full| {
        let commit = commit_of(&format!("{full}^{{}}")).or_else(|| commit_of(&full))?;
        let is_default_branch = head == Some(full.as_str());
        Some(ResolvedCommit { commit, kind: ReferenceKind::Name(full), is_default_branch })
    })
}

fn full_names(name: &str) -> Vec<String> {
    if name.starts_with("refs/heads/") || name.starts_with("refs/tags/") {
        return vec![name.to_owned()];
    }
    vec![format!("refs/tags/{name}"), format!("refs/heads/{name}")]
}

/// Resolves a whole sha, which needs no listing.
pub(super) fn resolve_sha(reference: &GitReference) -> Option<ResolvedCommit> {
    let GitReference::Sha(commit) = reference else { return None };
    Some(ResolvedCommit { commit: commit.clone(), kind: ReferenceKind::Sha, is_default_branch: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn listing() -> String {
        let line = |digit: char, name: &str| format!("{}\t{name}\n", digit.to_string().repeat(40));
        let refs = [
            ('1', "HEAD"),
            ('1', "refs/heads/main"),
            ('2', "refs/tags/v1"),
            ('3', "refs/tags/v1^{}"),
            ('4', "refs/tags/both"),
            ('5', "refs/heads/both"),
        ];
        let refs: String = refs.iter().map(|(digit, name)| line(*digit, name)).collect();
        format!("ref: refs/heads/main\tHEAD\n{refs}nonsense\nzz\trefs/heads/bad\n")
    }

    #[rstest]
    #[case("main", Some(('1', "refs/heads/main", true)))]
    #[case("v1", Some(('3', "refs/tags/v1", false)))]
    #[case("both", Some(('4', "refs/tags/both", false)))]
    #[case("refs/heads/both", Some(('5', "refs/heads/both", false)))]
    #[case("bad", None)]
    #[case("HEAD", None)]
    #[case("missing", None)]
    fn references_are_found(#[case] name: &str, #[case] expected: Option<(char, &str, bool)>) {
        let found = find(&listing(), name).map(|found| {
            let ReferenceKind::Name(full) = found.kind else { panic!("a sha") };
            (found.commit.as_str().chars().next().unwrap(), full, found.is_default_branch)
        });
        assert_eq!(found, expected.map(|(digit, full, default)| (digit, full.to_owned(), default)));
    }
}
