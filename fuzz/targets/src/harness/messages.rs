//! Requests of clients and messages of workers: well-formed, as the router delivers them, with any content.

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use trackyard_protocol::build::{BuildLimits, LogPage};
use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::limits::Limits;
use trackyard_protocol::name::{ExerciseSlug, JobId, TrackSlug, WorkerName};
use trackyard_protocol::request::{BuildRequest, JobRequest, Tooling};
use trackyard_protocol::token::{Epoch, Incarnation, JobKey, Token};
use trackyard_protocol::version::PinnedVersion;
use trackyard_protocol::worker::{
    Accepted, BuildLog, FromWorker, HeldJob, HeldState, Hello, JobResult, Load, Returned, TrackVersion,
    Usage, Verdict, VersionFailed,
};
use trackyard_router::dispatch::{JobSpec, NewJob};

pub(crate) const TRACKS: [&str; 2] = ["ruby", "c"];

pub(crate) fn tooling(track: &str) -> Tooling {
    Tooling { channel: Channel::TestRunners, track: slug(track) }
}

pub(crate) fn version(number: u32) -> PinnedVersion {
    format!("git-{number:040x}@sha256:{number:064x}").parse().expect("it is a version")
}

fn slug(track: &str) -> TrackSlug {
    TrackSlug::new(track).expect("it is a slug")
}

pub(crate) fn job(input: &mut Unstructured<'_>) -> Result<NewJob> {
    let track = *input.choose(&TRACKS)?;
    let deadline =
        input.arbitrary::<Option<u16>>()?.map(|millis| Duration::from_millis(u64::from(millis) + 1));
    let key = input.int_in_range(0..=5)?;
    let id = JobId::new(format!("job-{key}")).expect("it is an id");
    let spec = if input.ratio(1, 5)? {
        let git_reference = "main".to_owned();
        let request = BuildRequest {
            id: Some(id),
            tooling: tooling(track),
            git_reference,
            execution_timeout: None,
            deadline,
        };
        let tooling = Tooling { channel: Channel::Builders, track: slug(track) };
        let limits = BuildLimits::default();
        JobSpec::Build { request, tooling, source: "https://git.example/ruby".to_owned(), limits }
    } else {
        let version = version(input.int_in_range(0..=2)?);
        let request = JobRequest {
            id,
            tooling: tooling(track),
            exercise: ExerciseSlug::new("two-fer").expect("it is a slug"),
            input: "s3://submissions/1".parse().expect("it is a URI"),
            version: version.version.clone(),
            execution_timeout: None,
            deadline,
            fresh: input.arbitrary()?,
        };
        JobSpec::Run { request, version, limits: Limits::default() }
    };
    Ok(NewJob { spec, key: JobKey(key), bytes: 100 })
}

pub(crate) fn from_worker(input: &mut Unstructured<'_>, sent: &[(Token, JobKey)]) -> Result<FromWorker> {
    Ok(match input.int_in_range(0..=13)? {
        0..=2 => FromWorker::Hello(Box::new(hello(input, sent)?)),
        3 => FromWorker::Ready(track_version(input)?),
        4 => FromWorker::Unready(track_version(input)?),
        5 => {
            let reason = "pull_failed".to_owned();
            let retrying = input.arbitrary()?;
            let version = track_version(input)?;
            FromWorker::Failed(Box::new(VersionFailed {
                version,
                reason,
                status_code: 511,
                message: String::new(),
                retrying,
            }))
        }
        6 | 7 => FromWorker::Accepted(Accepted { token: held(input, sent)?.0 }),
        8 => {
            let page = LogPage {
                lines: vec!["a line".to_owned(); input.int_in_range(0..=3)?],
                next: input.arbitrary()?,
            };
            FromWorker::Log(BuildLog { token: held(input, sent)?.0, page })
        }
        9 | 10 => FromWorker::Result(Box::new(result(input, sent)?)),
        11 => FromWorker::Returned(Returned { token: held(input, sent)?.0, why: "draining".to_owned() }),
        12 => FromWorker::Heartbeat(Load { busy: input.arbitrary()? }),
        _ if input.arbitrary()? => FromWorker::Draining,
        _ => FromWorker::Goodbye,
    })
}

fn hello(input: &mut Unstructured<'_>, sent: &[(Token, JobKey)]) -> Result<Hello> {
    let builders = input.ratio(1, 5)?;
    let name = input.choose(&["a", "b", "c"])?;
    let topic = input.choose(&["*", "ruby", "c"])?;
    let mut jobs = Vec::new();
    for _ in 0..input.int_in_range(0..=3)? {
        let (token, key) = held(input, sent)?;
        jobs.push(HeldJob { token, key, state: *input.choose(&[HeldState::Running, HeldState::Finished])? });
    }
    let versions = (0..input.int_in_range(0..=2)?).map(|_| track_version(input)).collect::<Result<_>>()?;
    Ok(Hello {
        protocol: input.int_in_range(1..=3)?,
        name: WorkerName::new(name).expect("it is a name"),
        incarnation: Incarnation(input.int_in_range(0..=1)?),
        pool: None,
        channel: if builders { Channel::Builders } else { Channel::TestRunners },
        topics: [topic.parse().expect("it is a topic")].into_iter().collect::<Topics>(),
        slots: *input.choose(&[0, 1, 2, 3, u32::MAX])?,
        versions,
        jobs,
        bootstrap: input.arbitrary::<Option<u8>>()?.map(|epoch| Epoch(u64::from(epoch))),
        draining: input.ratio(1, 8)?,
        release: String::new(),
    })
}

fn result(input: &mut Unstructured<'_>, sent: &[(Token, JobKey)]) -> Result<JobResult> {
    let (token, key) = held(input, sent)?;
    let (status_code, reason) =
        *input.choose(&[(200, "ok"), (401, "wall_time"), (512, "sandbox"), (9, "?")])?;
    let verdict = Verdict { status_code, reason: reason.to_owned().into(), message: String::new() };
    let response = vec![b' '; input.int_in_range(0..=40_000)?];
    Ok(JobResult { token, key, verdict, usage: Usage::default(), response, context: b"{}".to_vec() })
}

/// Returns a token that was sent, or one of another start, or one that the router never created.
fn held(input: &mut Unstructured<'_>, sent: &[(Token, JobKey)]) -> Result<(Token, JobKey)> {
    if !sent.is_empty() && input.ratio(4, 5)? {
        return input.choose(sent).copied();
    }
    let epoch = input.int_in_range(0xd..=0xe)?;
    let sequence = input.int_in_range(0..=9)?;
    Ok((Token { epoch: Epoch(epoch), sequence }, JobKey(input.int_in_range(0..=5)?)))
}

fn track_version(input: &mut Unstructured<'_>) -> Result<TrackVersion> {
    let track = slug(input.choose(&TRACKS)?);
    Ok(TrackVersion { track, version: version(input.int_in_range(0..=2)?) })
}
