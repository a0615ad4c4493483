//! Which container versions a directory of image layouts has.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::source::default_repositories;
use trackyard_protocol::version::ContainerVersion;

use super::Error;

const MAX_INDEX_BYTES: u64 = 4 << 20;

/// Container versions by channel and track, in the layouts' order.
pub(super) type Versions = BTreeMap<Channel, BTreeMap<TrackSlug, Vec<ContainerVersion>>>;

/// Finds the versions of all repositories in `images`. Directories of other names and tags of other forms do not count.
pub(super) fn versions(images: &Path) -> Result<Versions, Error> {
    let mut found = Versions::new();
    for entry in fs::read_dir(images).map_err(Error::file("read the image directory", images))? {
        let entry = entry.map_err(Error::file("read the image directory", images))?;
        let Some((channel, track)) = entry.file_name().to_str().and_then(place_of) else { continue };
        let index = entry.path().join("index.json");
        if index.is_file() {
            let tags = tags(&index)?;
            found.entry(channel).or_default().insert(track, tags);
        }
    }
    found.values_mut().for_each(|tracks| tracks.retain(|_, tags| !tags.is_empty()));
    found.retain(|_, tracks| !tracks.is_empty());
    if found.is_empty() { Err(Error::NoImages(images.to_owned())) } else { Ok(found) }
}

/// The tracks that get a worker of their own: those asked for, else ruby, else the first that has a test runner.
pub(super) fn scoped(asked: &[TrackSlug], versions: &Versions) -> Vec<TrackSlug> {
    if !asked.is_empty() {
        return asked.to_vec();
    }
    let mut tracks = versions.get(&Channel::TestRunners).into_iter().flat_map(BTreeMap::keys);
    let first = tracks.clone().next();
    tracks.find(|track| track.as_str() == "ruby").or(first).cloned().into_iter().collect()
}

/// The channel and track of a repository's name.
pub(super) fn place_of(repository: &str) -> Option<(Channel, TrackSlug)> {
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

fn tags(path: &Path) -> Result<Vec<ContainerVersion>, Error> {
    let mut text = String::new();
    let file = File::open(path).map_err(Error::file("open", path))?;
    file.take(MAX_INDEX_BYTES).read_to_string(&mut text).map_err(Error::file("read", path))?;
    let index: Index = serde_json::from_str(&text)
        .map_err(|error| Error::BadLayout { path: path.to_owned(), why: error.to_string() })?;
    let tag = |manifest: Manifest| {
        manifest.annotations.get("org.opencontainers.image.ref.name").and_then(|tag| tag.parse().ok())
    };
    Ok(index.manifests.into_iter().filter_map(tag).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    fn layout(images: &Path, repository: &str, tags: &[&str]) {
        let dir = images.join(repository);
        fs::create_dir(&dir).unwrap();
        let named = |tag| json!({"annotations": {"org.opencontainers.image.ref.name": tag}});
        let mut manifests: Vec<_> = tags.iter().map(named).collect();
        manifests.push(json!({"digest": "sha256:00"}));
        fs::write(dir.join("index.json"), json!({"manifests": manifests}).to_string()).unwrap();
    }

    #[test]
    fn tags_become_versions_by_channel_and_track() {
        let images = tempfile::tempdir().unwrap();
        let (one, two) = (format!("git-{SHA}"), format!("sha-{SHA}"));
        layout(images.path(), "python-test-runner", &[&two, &one, "latest"]);
        layout(images.path(), "emacs-lisp-analyzer", &[&one]);
        layout(images.path(), "ruby-representer", &["latest"]);
        layout(images.path(), "something-else", &[&one]);
        fs::create_dir(images.path().join("go-test-runner")).unwrap();
        let found = versions(images.path()).unwrap();
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(
            text,
            format!(
                r#"{{"test_runners":{{"python":["{two}","{one}"]}},"static_analyzers":{{"emacs-lisp":["{one}"]}}}}"#
            )
        );
    }

    #[test]
    fn a_dir_without_tooling_and_a_broken_index_are_refused() {
        let images = tempfile::tempdir().unwrap();
        assert!(matches!(versions(images.path()), Err(Error::NoImages(_))));
        layout(images.path(), "ruby-analyzer", &[]);
        fs::write(images.path().join("ruby-analyzer/index.json"), "{").unwrap();
        assert!(matches!(versions(images.path()), Err(Error::BadLayout { .. })));
    }

    #[test]
    fn ruby_is_scoped_where_it_has_a_test_runner() {
        let slug = |name: &str| TrackSlug::new(name).unwrap();
        let with = |tracks: &[&str]| {
            let tracks = tracks.iter().map(|name| (slug(name), vec![])).collect();
            Versions::from([(Channel::TestRunners, tracks)])
        };
        assert_eq!(scoped(&[], &with(&["python", "ruby"])), [slug("ruby")]);
        assert_eq!(scoped(&[], &with(&["go", "python"])), [slug("go")]);
        assert_eq!(scoped(&[slug("c")], &with(&["ruby"])), [slug("c")]);
        assert!(scoped(&[], &Versions::new()).is_empty());
    }
}
