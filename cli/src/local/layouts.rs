//! Container versions in a directory of image layouts.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::source::default_repositories;
use trackyard_protocol::version::ContainerVersion;

use super::LocalError;

/// Maximum size of an `index.json`.
const MAX_INDEX_BYTES: u64 = 4 << 20;

/// The annotation that holds a manifest's tag.
const TAG_ANNOTATION: &str = "org.opencontainers.image.ref.name";

/// Container versions by channel and track, in the layouts' order.
pub(super) type LayoutVersions = BTreeMap<Channel, BTreeMap<TrackSlug, Vec<ContainerVersion>>>;

/// Finds the versions of all repositories in `images`. Ignores directories with other names and tags of other forms.
pub(super) fn find_versions(images: &Path) -> Result<LayoutVersions, LocalError> {
    let mut found = LayoutVersions::new();
    for entry in fs::read_dir(images).map_err(LocalError::file("read the image directory", images))? {
        let entry = entry.map_err(LocalError::file("read the image directory", images))?;
        let Some((channel, track)) = entry.file_name().to_str().and_then(parse_repository) else { continue };
        let index = entry.path().join("index.json");
        if index.is_file() {
            let tags = tags(&index)?;
            found.entry(channel).or_default().insert(track, tags);
        }
    }
    found.values_mut().for_each(|tracks| tracks.retain(|_, tags| !tags.is_empty()));
    found.retain(|_, tracks| !tracks.is_empty());
    if found.is_empty() { Err(LocalError::NoImages(images.to_owned())) } else { Ok(found) }
}

/// Chooses the tracks that get a worker of their own: the requested ones, else ruby, else the first with a test runner.
pub(super) fn scoped_tracks(requested: &[TrackSlug], versions: &LayoutVersions) -> Vec<TrackSlug> {
    if !requested.is_empty() {
        return requested.to_vec();
    }
    let mut tracks = versions.get(&Channel::TestRunners).into_iter().flat_map(BTreeMap::keys);
    let first = tracks.clone().next();
    tracks.find(|track| track.as_str() == "ruby").or(first).cloned().into_iter().collect()
}

/// Parses a repository's name, such as `ruby-test-runner`, into its channel and track.
pub(super) fn parse_repository(repository: &str) -> Option<(Channel, TrackSlug)> {
    default_repositories().into_iter().find_map(|(channel, template)| {
        let suffix = template.strip_prefix("{track}")?;
        let track = TrackSlug::new(repository.strip_suffix(suffix)?).ok()?;
        Some((channel, track))
    })
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Manifest>,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

fn tags(path: &Path) -> Result<Vec<ContainerVersion>, LocalError> {
    let mut text = String::new();
    let file = File::open(path).map_err(LocalError::file("open", path))?;
    file.take(MAX_INDEX_BYTES).read_to_string(&mut text).map_err(LocalError::file("read", path))?;
    let index: Index = serde_json::from_str(&text)
        .map_err(|error| LocalError::BadLayout { path: path.to_owned(), why: error.to_string() })?;
    let tags = index.manifests.iter().filter_map(|manifest| manifest.annotations.get(TAG_ANNOTATION));
    Ok(tags.filter_map(|tag| tag.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    fn layout(images: &Path, repository: &str, tags: &[&str]) {
        let dir = images.join(repository);
        fs::create_dir(&dir).unwrap();
        let mut manifests: Vec<_> =
            tags.iter().map(|tag| json!({"annotations": {TAG_ANNOTATION: tag}})).collect();
        manifests.push(json!({"digest": "sha256:00"}));
        fs::write(dir.join("index.json"), json!({"manifests": manifests}).to_string()).unwrap();
    }

    #[test]
    fn versions_are_found_by_channel_and_track() {
        let images = tempfile::tempdir().unwrap();
        let one = format!("git-{SHA}");
        let two = format!("sha-{SHA}");
        layout(images.path(), "python-test-runner", &[&two, &one, "latest"]);
        layout(images.path(), "emacs-lisp-analyzer", &[&one]);
        layout(images.path(), "ruby-representer", &["latest"]);
        layout(images.path(), "something-else", &[&one]);
        fs::create_dir(images.path().join("go-test-runner")).unwrap();
        let found = find_versions(images.path()).unwrap();
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(
            text,
            format!(
                r#"{{"test_runners":{{"python":["{two}","{one}"]}},"static_analyzers":{{"emacs-lisp":["{one}"]}}}}"#
            )
        );
    }

    #[test]
    fn a_dir_without_usable_layouts_is_refused() {
        let images = tempfile::tempdir().unwrap();
        assert!(matches!(find_versions(images.path()), Err(LocalError::NoImages(_))));
        layout(images.path(), "ruby-analyzer", &[]);
        fs::write(images.path().join("ruby-analyzer/index.json"), "{").unwrap();
        assert!(matches!(find_versions(images.path()), Err(LocalError::BadLayout { .. })));
    }

    #[test]
    fn ruby_is_scoped_if_it_has_a_test_runner() {
        let slug = |name: &str| TrackSlug::new(name).unwrap();
        let with = |tracks: &[&str]| {
            let tracks = tracks.iter().map(|name| (slug(name), vec![])).collect();
            LayoutVersions::from([(Channel::TestRunners, tracks)])
        };
        assert_eq!(scoped_tracks(&[], &with(&["python", "ruby"])), [slug("ruby")]);
        assert_eq!(scoped_tracks(&[], &with(&["go", "python"])), [slug("go")]);
        assert_eq!(scoped_tracks(&[slug("c")], &with(&["ruby"])), [slug("c")]);
        assert!(scoped_tracks(&[], &LayoutVersions::new()).is_empty());
    }
}
