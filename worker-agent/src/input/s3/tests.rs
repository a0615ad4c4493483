use std::fs::{self, File};

use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use e2e::s3::{CREDENTIALS, HostileBucket, HostileS3, S3 as Server};
use rstest::rstest;
use trackyard_protocol::reason::Reason;

use super::*;

const LIMITS: InputLimits = InputLimits { files: 500, bytes: 1 << 20, entries: 4096 };

fn client(endpoint: String) -> S3 {
    let [(_, key), (_, secret), (_, region)] = CREDENTIALS;
    let shared = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            key, secret, None, None, "test",
        )))
        .build();
    let policy = InputPolicy { endpoint: Some(endpoint), path_style: true, ..InputPolicy::default() };
    S3::with(&shared, &policy)
}

/// Fetches `s3://bucket/<prefix>` into a new directory.
fn fetch(endpoint: String, prefix: &str, limits: InputLimits) -> (Result<usize, Reason>, tempfile::TempDir) {
    let at = tempfile::tempdir().unwrap();
    let dir = InputDir::new(File::open(at.path()).unwrap().into());
    let budget = ByteBudget::new(limits.bytes);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = client(endpoint);
    let fetched = runtime.block_on(client.fetch("bucket", prefix, &limits, &dir, &budget));
    (fetched.map_err(|error| error.reason()), at)
}

fn names(at: &tempfile::TempDir) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(at.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_prefix_ends_with_one_slash() {
    let server = Server::start("bucket");
    server.put("bucket", "prod/12/a.rb", b"12");
    server.put("bucket", "prod/12/lib/b.rb", b"b");
    server.put("bucket", "prod/123/other.rb", b"123");
    let (fetched, at) = fetch(server.endpoint(), "prod/12", LIMITS);
    assert_eq!((fetched, names(&at)), (Ok(2), vec!["a.rb".to_owned(), "lib".to_owned()]));
    assert_eq!(fs::read(at.path().join("a.rb")).unwrap(), b"12");
    let (fetched, _) = fetch(server.endpoint(), "prod/1", LIMITS);
    assert_eq!(fetched, Err(Reason::BadUri));
}

#[rstest]
#[case(1500, Ok(1500))]
#[case(1499, Err(Reason::InputCount))]
fn all_pages_are_fetched_or_none(#[case] files: u32, #[case] expected: Result<usize, Reason>) {
    let bucket = (0..1500).fold(HostileBucket::default(), |b, n| b.key(&format!("12/{n}.rb"), 1));
    let server = HostileS3::start(bucket);
    let (fetched, at) = fetch(server.endpoint(), "12", InputLimits { files, ..LIMITS });
    assert_eq!(fetched, expected);
    let count = if expected.is_ok() { 1500 } else { 0 };
    assert_eq!((names(&at).len(), server.fetched()), (count, count));
}

#[rstest]
#[case(&["12/../../etc/passwd"], Reason::UnsafeKey)]
#[case(&["12//etc/passwd"], Reason::UnsafeKey)]
#[case(&["12/a", "12/a/b"], Reason::UnsafeKey)]
#[case(&["12/a\\..\\b"], Reason::UnsafeKey)]
#[case(&["123/a"], Reason::UnsafeKey)]
#[case(&["12/", "12/lib/"], Reason::BadUri)]
#[case(&[], Reason::BadUri)]
fn an_unsafe_key_refuses_all(#[case] keys: &[&str], #[case] reason: Reason) {
    let bucket = keys.iter().fold(HostileBucket::default().key("12/good", 1), |b, key| b.key(key, 1));
    let bucket = if reason == Reason::BadUri {
        keys.iter().fold(HostileBucket::default(), |b, key| b.key(key, 0))
    } else {
        bucket
    };
    let server = HostileS3::start(bucket);
    let (fetched, at) = fetch(server.endpoint(), "12", LIMITS);
    assert_eq!((fetched, server.fetched(), names(&at)), (Err(reason), 0, Vec::new()));
}

#[test]
fn sizes_are_checked_before_fetching() {
    let bucket = HostileBucket::default().key("12/a", 1 << 19).key("12/b", (1 << 19) + 1);
    let server = HostileS3::start(bucket);
    let (fetched, _) = fetch(server.endpoint(), "12", LIMITS);
    assert_eq!((fetched, server.fetched()), (Err(Reason::InputSize), 0));
}

#[test]
fn stalled_or_absent_servers_fail() {
    let server = HostileS3::start(HostileBucket::default().key("12/a", 3).stalling());
    assert_eq!(fetch(server.endpoint(), "12", LIMITS).0, Err(Reason::Download));
    let endpoint = format!("http://127.0.0.1:{}", e2e::ports::free_port());
    assert_eq!(fetch(endpoint, "12", LIMITS).0, Err(Reason::Download));
}
