//! Three inputs for git: a URL, a reference, and the output of `git ls-remote`.

use trackyard_builder::fetch::{GitReference, ReferenceKind, RepositoryUrl};
use trackyard_builder::fuzzing::find_reference;

/// Checks that git cannot misread the arguments as options or `..`, and that every found commit was listed.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(3, '\n');
    let url = lines.next().unwrap_or_default();
    let reference = lines.next().unwrap_or_default();
    let listing = lines.next().unwrap_or_default();
    match url.parse::<RepositoryUrl>() {
        Ok(parsed) => {
            assert!(parsed.as_str() == url && !url.starts_with('-'));
            let is_scheme_char = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
            assert!(!url.trim_start_matches(is_scheme_char).starts_with("::"), "git would run a helper program");
            assert!(!url.split(['/', ':']).any(|part| part == ".."));
            assert!(!url.starts_with("https://") || !url.split('/').nth(2).unwrap_or_default().contains('@'));
        }
        Err(error) => assert!(error.to_string().len() < 4096, "{error}"),
    }
    let Ok(parsed) = reference.parse::<GitReference>() else { return };
    let name = parsed.to_string();
    assert_eq!(name.parse::<GitReference>().ok(), Some(parsed), "{name:?}");
    assert!(!name.starts_with('-') && !name.contains("..") && !name.contains(char::is_whitespace));
    if let Some(found) = find_reference(listing, &name) {
        assert!(listing.contains(&format!("{}\t", found.commit)) && found.commit.as_str().len() == 40);
        let ReferenceKind::Name(full) = found.kind else { panic!("a listing has names only") };
        assert!(full.ends_with(&name) && full.starts_with("refs/") && listing.contains(&full));
    }
}
