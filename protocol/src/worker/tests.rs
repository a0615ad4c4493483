use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::build::{BuildLimits, LogPage};
use crate::channel::{Channel, Topics};
use crate::limits::SharedLimits;
use crate::reason::Reason;
use crate::source::{ImageSource, ImageSourceKind, InputPolicy};
use crate::token::{Epoch, Incarnation, JobKey, Token};

const VERSION: &str = "git-0123456789abcdef0123456789abcdef01234567";

fn token() -> Token {
    Token { epoch: Epoch(0xfeed), sequence: 7 }
}

fn track_version() -> TrackVersion {
    let digest = "ab".repeat(32);
    TrackVersion {
        track: "ruby".parse().unwrap(),
        version: format!("{VERSION}@sha256:{digest}").parse().unwrap(),
    }
}

fn worker_messages() -> Vec<FromWorker> {
    let hello = Hello {
        protocol: PROTOCOL,
        name: "ruby-1".parse().unwrap(),
        incarnation: Incarnation(1),
        pool: Some("ruby-pool".parse().unwrap()),
        channel: Channel::TestRunners,
        topics: Topics::from_iter(["ruby".parse().unwrap()]),
        slots: 2,
        versions: vec![track_version()],
        jobs: vec![HeldJob { token: token(), key: JobKey(9), state: HeldState::Running }],
        bootstrap: Some(Epoch(0xfeed)),
        draining: false,
        release: "0.1.0".to_owned(),
    };
    let failed = VersionFailed {
        version: track_version(),
        reason: "pull_failed".to_owned(),
        status_code: 511,
        message: "no such manifest".to_owned(),
        retrying: true,
    };
    let result = JobResult {
        token: token(),
        key: JobKey(9),
        verdict: Verdict::new(Reason::Ok, ""),
        usage: Usage { wall_ms: 812, ..Usage::default() },
        response: br#"{"version":2}"#.to_vec(),
        context: br#"{"exit_status":0}"#.to_vec(),
    };
    vec![
        FromWorker::Hello(Box::new(hello)),
        FromWorker::Ready(track_version()),
        FromWorker::Failed(failed.into()),
        FromWorker::Unready(track_version()),
        FromWorker::Accepted(Accepted { token: token() }),
        FromWorker::Log(BuildLog {
            token: token(),
            page: LogPage { lines: vec!["step 1".to_owned()], next: 1 },
        }),
        FromWorker::Result(Box::new(result)),
        FromWorker::Returned(Returned { token: token(), why: "draining".to_owned() }),
        FromWorker::Heartbeat(Load { busy: 1 }),
        FromWorker::Draining,
        FromWorker::Goodbye,
    ]
}

fn router_messages() -> Vec<FromRouter> {
    let welcome = Welcome {
        protocol: PROTOCOL,
        epoch: Epoch(0xfeed),
        desired: vec![track_version()],
        images: ImageSource {
            kind: ImageSourceKind::Layout,
            location: "/var/lib/trackyard/images".to_owned(),
            repositories: BTreeMap::from([(Channel::TestRunners, "{track}-test-runner".to_owned())]),
        },
        inputs: InputPolicy {
            buckets: vec!["submissions".to_owned()],
            endpoint: Some("http://127.0.0.1:9000".to_owned()),
            path_style: true,
            allowed_folders: vec![PathBuf::from("/srv/in")],
        },
        heartbeat_ms: 1000,
        silence_ms: 3000,
    };
    let job = Job {
        token: token(),
        attempt: 1,
        setup_ms: 15_000,
        total_ms: 40_000,
        task: Task {
            key: JobKey(9),
            id: "42".parse().unwrap(),
            channel: Channel::TestRunners,
            track: "ruby".parse().unwrap(),
            exercise: "two-fer".parse().unwrap(),
            version: track_version().version,
            input: "s3://submissions/42".parse().unwrap(),
            limits: SharedLimits::default(),
        }
        .into(),
    };
    let build = Build {
        token: token(),
        key: JobKey(9),
        id: Some("42".parse().unwrap()),
        channel: Channel::TestRunners,
        track: "ruby".parse().unwrap(),
        source: "https://example.org/ruby-test-runner".to_owned(),
        git_reference: "main".to_owned(),
        limits: BuildLimits::default(),
        total_ms: 900_000,
    };
    vec![
        FromRouter::Welcome(Box::new(welcome)),
        FromRouter::Desired(Desired { versions: vec![track_version()] }),
        FromRouter::Job(job),
        FromRouter::Build(Box::new(build)),
        FromRouter::Ack(Acknowledge { token: token(), ack: Ack::Stored }),
        FromRouter::Cancel(Cancel { token: token() }),
        FromRouter::Drain(Drain { then: AfterDrain::Bootstrap }),
        FromRouter::Heartbeat,
        FromRouter::SayHello,
    ]
}

/// The messages for a peer that reads batches, or does not.
fn sent(batch: &Batch, reads_batches: bool) -> Vec<Vec<Vec<u8>>> {
    let owned = |message: Message<'_>| message.frames().iter().map(|frame| frame.to_vec()).collect();
    batch.messages(reads_batches).map(owned).collect()
}

/// The golden file: it may gain lines and fields, but what is there must stay readable.
fn golden(messages: &[Vec<Vec<u8>>]) -> String {
    let line = |frames: &Vec<Vec<u8>>| {
        frames.iter().map(|f| String::from_utf8(f.clone()).unwrap()).collect::<Vec<_>>().join(" | ")
    };
    messages.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn messages_on_the_wire() {
    let worker: Vec<_> = worker_messages().into_iter().map(FromWorker::encode).collect();
    let router: Vec<_> = router_messages().iter().map(FromRouter::encode).collect();
    insta::assert_snapshot!("worker_messages", golden(&worker));
    insta::assert_snapshot!("router_messages", golden(&router));
}

#[test]
fn every_message_round_trips() {
    for message in worker_messages() {
        assert_eq!(FromWorker::decode(&message.clone().encode()).unwrap(), message);
    }
    for message in router_messages() {
        assert_eq!(FromRouter::decode(&message.encode()).unwrap(), message);
    }
}

#[test]
fn batch_round_trips() {
    let (mut batch, memory) = (Batch::default(), &mut Vec::new());
    assert!(worker_messages().iter().all(|message| message.pack(&mut batch, memory)));
    let heard: Vec<_> = FromWorker::decode_each(&sent(&batch, true)[0]).map(Result::unwrap).collect();
    assert_eq!(heard, worker_messages());
    batch.clear();
    assert!(router_messages().iter().all(|message| message.pack(&mut batch)));
    let heard: Vec<_> = FromRouter::decode_each(&sent(&batch, true)[0]).map(Result::unwrap).collect();
    assert_eq!(heard, router_messages());
}

#[test]
fn older_peer_gets_single_messages() {
    let mut batch = Batch::default();
    assert!(worker_messages().iter().all(|message| message.pack(&mut batch, &mut Vec::new())));
    let alone: Vec<_> = worker_messages().into_iter().map(FromWorker::encode).collect();
    assert_eq!(sent(&batch, false), alone);
}

#[test]
fn batch_on_the_wire() {
    let (mut batch, memory) = (Batch::default(), &mut Vec::new());
    for message in [FromWorker::Accepted(Accepted { token: token() }), worker_messages().swap_remove(6)] {
        assert!(message.pack(&mut batch, memory));
    }
    let [message] = sent(&batch, true).try_into().unwrap();
    insta::assert_snapshot!(
        message.iter().map(|frame| frame.escape_ascii().to_string()).collect::<Vec<_>>().join(" | ")
    );
}

#[test]
fn unknown_message_hides_no_later_one() {
    let mut batch = Batch::default();
    batch.push(&[b"Dance".as_slice(), b"{}"]);
    batch.push(&[BATCH.as_bytes(), b""]);
    batch.push(&[b"Heartbeat".as_slice(), b"{}"]);
    let message = &sent(&batch, true)[0];
    let heard: Vec<_> =
        FromRouter::decode_each(message).map(|message| message.map_err(|e| e.as_str())).collect();
    assert_eq!(heard, [Err("unknown_message"), Err("unknown_message"), Ok(FromRouter::Heartbeat)]);
}

#[test]
fn truncated_batch_is_an_error() {
    let heard: Vec<_> = FromRouter::decode_each(&[BATCH.as_bytes(), &[0, 0, 0, 9, b'x']]).collect();
    assert!(matches!(heard.as_slice(), [Err(DecodeError::Packed)]));
}

#[test]
fn added_fields_are_ignored() {
    let known = FromRouter::decode(&[
        b"Ack".to_vec(),
        format!(r#"{{"token":"{}","ack":"stored","new":1}}"#, token()).into(),
    ]);
    assert!(matches!(known, Ok(FromRouter::Ack(_))));
    assert!(
        matches!(FromWorker::decode(&[b"Dance".to_vec()]), Err(DecodeError::UnknownMessage(w)) if w == "Dance")
    );
}

#[test]
fn unknown_reason_is_worker_internal() {
    let verdict = Verdict { status_code: 299, reason: "new".into(), message: String::new() };
    assert_eq!(verdict.known_reason(), Reason::WorkerInternal);
}

#[test]
fn too_large_message_is_not_parsed() {
    let frames = vec![b"Hello".to_vec(), vec![b' '; MAX_MESSAGE_BYTES]];
    assert!(matches!(FromWorker::decode(&frames), Err(DecodeError::TooLarge(_))));
}

proptest! {
    #[test]
    fn any_frames_decode_or_fail(
        name in prop::sample::select(vec!["Hello", "Result", "Ready", "Job", "Welcome", "Ack", "Heartbeat", "Batch", "x"]),
        rest in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..5),
    ) {
        let mut frames = vec![name.as_bytes().to_vec()];
        frames.extend(rest);
        FromRouter::decode_each(&frames).for_each(drop);
        FromWorker::decode_each(&frames).for_each(drop);
    }
}
