use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rstest::rstest;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::quantity::Bytes;

use super::*;
use crate::reload::ReloadOutcome;

const DESIGN: &str = r#"
images:
  kind: registry
  location: 127.0.0.1:5000
  repositories: {test_runners: "{track}-test-runner"}
source: {url: "https://git.example/{repository}"}
inputs: {buckets: [submissions], endpoint: "http://127.0.0.1:9000", path_style: true, allowed_folders: [/srv/in]}
container_versions:
  test_runners:
    ruby: [git-0123456789abcdef0123456789abcdef01234567]
    nim: []
    csharp: [0123456789012345678901234567890123456789, 1234567890e34567890123456789012345678901]
limits: {default: {pids: 100}, test_runners: {default: {wall: 10s}, ruby: {memory: 1Gi, wall: 20s}}}
queue: {max_wait: 10s, max_jobs: 10000, max_bytes: 256Mi}
expected: {test_runners: [ruby]}
"#;

fn track(name: &str) -> TrackSlug {
    TrackSlug::new(name).unwrap()
}

#[test]
fn reference_example_round_trips() {
    let config = read(DESIGN).unwrap().config;
    assert_eq!(config.images.location, "127.0.0.1:5000");
    assert_eq!(config.container_versions.iter().count(), 3);
    let again = read(&serde_yaml::to_string(&config).unwrap()).unwrap().config;
    assert_eq!(again, config);
}

#[test]
fn annotated_docs_example_is_valid() {
    let read = read(include_str!("../../../docs/router.yml")).unwrap();
    assert_eq!(read.config.limits.of(Channel::TestRunners, &track("ruby")).pids, 256);
    assert_eq!(read.config.queue, QueueLimits::default());
    assert_eq!(read.config.builds, BuildLimits::default());
    // Each limit, with its default.
    let all = serde_json::to_value(Limits::default()).unwrap();
    assert_eq!(serde_json::to_value(read.config.limits.default).unwrap(), all);
}

#[test]
fn limits_merge_by_channel_and_track() {
    let limits = read(DESIGN).unwrap().config.limits;
    let of = |channel, name| {
        let limits = limits.of(channel, &track(name));
        (limits.pids, limits.wall.to_string(), limits.memory)
    };
    assert_eq!(of(Channel::TestRunners, "ruby"), (100, "20s".to_owned(), Bytes(1 << 30)));
    assert_eq!(of(Channel::TestRunners, "nim"), (100, "10s".to_owned(), Bytes(3 << 30)));
    assert_eq!(of(Channel::Representers, "ruby"), (100, "20s".to_owned(), Bytes(3 << 30)));
}

#[rstest]
#[case::builds("builds: {wall: 2h}\n", None, "builds: wall is above wall_max")]
#[case::unknown_field("quue: {}\n", Some((1, 1)), "quue")]
#[case::unknown_limit("limits:\n  default: {memroy: 1Gi}\n", Some((2, 13)), "memroy")]
#[case::wrong_type("queue:\n  max_jobs: many\n", Some((2, 13)), "queue.max_jobs")]
#[case::bare_seconds("queue:\n  max_wait: 5\n", Some((2, 3)), "such as 20s")]
#[case::bad_version("container_versions:\n  test_runners:\n    ruby: [latest]\n", Some((3, 12)), "latest")]
#[case::bad_track("container_versions:\n  test_runners:\n    Ruby: []\n", Some((3, 5)), "Ruby")]
#[case::bad_channel("container_versions:\n  testers: {}\n", Some((2, 3)), "testers")]
#[case::builders("container_versions:\n  builders: {ruby: []}\n", None, "builders")]
#[case::not_yaml("queue: [1,\nb: 2", Some((3, 1)), "expected")]
#[case::tab("queue:\n\t max_jobs: 1", Some((2, 1)), "token")]
#[case::twice("container_versions:\n  test_runners:\n    ruby: []\n    nim: []\n    ruby: []\n", Some((5, 5)), "twice")]
#[case::twice_above("queue: {}\nlimits: {}\nqueue: {}\n", Some((3, 1)), "queue")]
#[case::list("[1]\n", Some((1, 1)), "sequence")]
#[case::two_documents("queue: {}\n---\nqueue: {}\n", None, "more than one document")]
#[case::empty("", None, "empty")]
#[case::comments_only("# nothing\n\n", None, "empty")]
#[case::impossible(
    "limits: {test_runners: {ruby: {wall: 2m}}}\n",
    None,
    "limits.test_runners.ruby: wall is above"
)]
#[case::no_track(
    "images: {kind: layout, location: /x, repositories: {test_runners: same}}\n",
    None,
    "{track}"
)]
#[case::both_forms(
    "workers: {test_runners: {}}\ncontainer_versions: {test_runners: {ruby: []}}\n",
    None,
    "exclude"
)]
fn invalid_text_is_refused_with_its_position(
    #[case] text: &str,
    #[case] at: Option<(usize, usize)>,
    #[case] names: &str,
) {
    let refusal = read(text).unwrap_err();
    assert_eq!(refusal.position.map(|at| (at.line, at.column)), at, "{refusal}");
    assert!(refusal.message.contains(names), "{refusal}");
}

#[test]
fn duplicate_version_is_refused() {
    let sha = "0123456789abcdef0123456789abcdef01234567";
    let text = format!("container_versions: {{test_runners: {{ruby: [git-{sha}, git-{sha}]}}}}");
    assert!(read(&text).unwrap_err().message.contains("listed twice"));
}

#[test]
fn legacy_form_keeps_its_versions() {
    let text = "
workers:
  static_analyzers:
    shared_queue: 5560
    ruby:
      queue: 5561
      worker_versions:
        - 0123456789abcdef0123456789abcdef01234567
        - git-0123456789abcdef0123456789abcdef01234567
  test_runners:
    shared_queue: 5570
    csharp: {queue: 5571, worker_versions: }
";
    let legacy = read(text).unwrap();
    assert_eq!(legacy.notes.len(), 1);
    let of = |channel, name| {
        let tooling = Tooling { channel, track: track(name) };
        legacy.config.container_versions.of(&tooling).map(<[_]>::len)
    };
    assert_eq!(of(Channel::StaticAnalyzers, "ruby"), Some(2));
    assert_eq!(of(Channel::TestRunners, "csharp"), Some(0));
    let written = serde_yaml::to_string(&legacy.config).unwrap();
    assert!(!written.contains("workers:") && read(&written).unwrap().notes.is_empty(), "{written}");
}

fn dir() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("router.yml");
    (dir, path)
}

#[test]
fn missing_file_is_created_from_the_seed() {
    let (dir, path) = dir();
    let error = ConfigFile::open(&path, None).unwrap_err();
    assert!(error.to_string().contains("router.yml") && error.to_string().contains("--seed"), "{error}");

    let seed = dir.path().join("seed.yml");
    fs::write(&seed, "queue: {max_jobs: oops}").unwrap();
    assert!(ConfigFile::open(&path, Some(&seed)).unwrap_err().to_string().contains("seed.yml"));
    assert!(!path.exists());

    fs::write(&seed, "# mine\nqueue: {max_jobs: 7}").unwrap();
    let config = ConfigFile::open(&path, Some(&seed)).unwrap().load().unwrap().config;
    assert_eq!(config.queue.max_jobs, 7);
    assert!(fs::read_to_string(&path).unwrap().starts_with("# mine"));

    fs::write(&seed, "{}").unwrap();
    let config = ConfigFile::open(&path, Some(&seed)).unwrap().load().unwrap().config;
    assert_eq!(config.queue.max_jobs, 7, "an existing file is not replaced");
}

#[test]
fn save_replaces_the_target_of_a_link() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, path) = dir();
    let target = dir.path().join("real.yml");
    fs::write(&target, "{}").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(dir.path().join(".real.yml.new"), "what a crash left").unwrap();
    std::os::unix::fs::symlink(&target, &path).unwrap();

    let file = ConfigFile::open(&path, None).unwrap();
    file.save(&read(DESIGN).unwrap().config).unwrap();
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
    let text = fs::read_to_string(&target).unwrap();
    assert!(text.starts_with("# ") && text.contains("comments are not kept"), "{text}");
    assert_eq!(file.load().unwrap().config, read(DESIGN).unwrap().config);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

fn live(text: &str) -> (tempfile::TempDir, PathBuf, LiveConfig) {
    let (dir, path) = dir();
    fs::write(&path, text).unwrap();
    let live = LiveConfig::start(ConfigFile::open(&path, None).unwrap()).unwrap();
    (dir, path, live)
}

/// Polls until a change has settled.
fn settle(live: &LiveConfig) -> ReloadOutcome {
    match live.reload_if_changed() {
        ReloadOutcome::Unchanged => live.reload_if_changed(),
        other => other,
    }
}

#[test]
fn only_valid_edits_come_into_force() {
    let (_dir, path, live) = live("queue: {max_jobs: 1}");
    assert_eq!(settle(&live), ReloadOutcome::Unchanged);

    fs::write(&path, "queue: {max_jobs: 22}").unwrap();
    assert_eq!(live.reload_if_changed(), ReloadOutcome::Unchanged, "an edit settles first");
    assert_eq!(live.reload_if_changed(), ReloadOutcome::Applied);
    assert_eq!(live.current().queue.max_jobs, 22);

    fs::write(&path, "queue: {max_jobs: oops}").unwrap();
    assert_eq!(settle(&live), ReloadOutcome::Refused);
    assert_eq!(settle(&live), ReloadOutcome::Unchanged, "reported once");
    assert_eq!(live.current().queue.max_jobs, 22);
    assert!(live.refusal().unwrap().contains("line 1, column 19"), "{:?}", live.refusal());

    fs::remove_file(&path).unwrap();
    assert_eq!(settle(&live), ReloadOutcome::Refused);
    fs::write(&path, "queue: {max_jobs: 333}").unwrap();
    assert_eq!(settle(&live), ReloadOutcome::Applied);
    assert_eq!((live.current().queue.max_jobs, live.refusal()), (333, None));
}

#[test]
fn change_keeps_concurrent_edits() {
    let (_dir, path, live) = live("queue: {max_jobs: 1}");
    let raise = |config: &mut Config| {
        config.queue.max_wait = HumanDuration(Duration::from_secs(1));
        Ok::<_, ConfigError>(())
    };
    fs::write(&path, "queue: {max_jobs: 22}").unwrap();
    let (_, changed) = live.change(raise).unwrap();
    assert_eq!((changed.queue.max_jobs, changed.queue.max_wait.to_string()), (22, "1s".to_owned()));
    assert_eq!(settle(&live), ReloadOutcome::Unchanged, "its own change is no edit");

    fs::write(&path, "queue: [").unwrap();
    assert!(live.change(raise).unwrap_err().to_string().contains("line "));
    assert_eq!(fs::read_to_string(&path).unwrap(), "queue: [");
    assert_eq!(live.current().queue.max_jobs, 22);
}
