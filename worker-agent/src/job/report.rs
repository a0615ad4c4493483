//! The `Result` of a job, from the outcome of its container. Pure.

use trackyard_protocol::limits::Limits;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::version::Digest;
use trackyard_protocol::worker::{Job, JobResult, Usage, Verdict};

use super::context::{ContextImage, Invocation, JobContext, ToolOutput};
use crate::sandbox::{self, EntryScript, JobOutcome};

/// Maximum size of a whole `Result`: response, context and header.
pub const MAX_RESULT_BYTES: usize = 2 << 20;
/// Bytes of it that are kept for the header.
const HEADER_BYTES: usize = 8 << 10;
/// Maximum number of characters of a verdict's message.
const MAX_MESSAGE_CHARS: usize = 1000;

/// The facts about a job besides its outcome.
#[derive(Debug)]
pub(super) struct JobFacts<'a> {
    pub(super) job: &'a Job,
    pub(super) limits: &'a Limits,
    pub(super) entry: EntryScript,
    pub(super) reference: &'a str,
    pub(super) digest: &'a Digest,
    pub(super) detail: Option<String>,
}

/// Returns the result of a job.
pub(super) fn result(facts: &JobFacts<'_>, mut outcome: JobOutcome) -> JobResult {
    let mut response = response(facts.entry, &mut outcome);
    let room = MAX_RESULT_BYTES - HEADER_BYTES;
    // The context's smallest form must fit beside the response.
    if response.len() > room - (64 << 10) {
        let message = format!("the result takes {} bytes as JSON; limit {room} bytes", response.len());
        (outcome.reason, outcome.message) = (Reason::ResultSize, message);
        response = Vec::new();
    }
    let mut context = context(facts, &outcome);
    let mut bytes = context.encode();
    while response.len() + bytes.len() > room && context.shrink() {
        bytes = context.encode();
    }
    let message: String = outcome.message.chars().take(MAX_MESSAGE_CHARS).collect();
    JobResult {
        token: facts.job.token,
        key: facts.job.key,
        verdict: Verdict::new(outcome.reason, message),
        usage: usage(&outcome.usage),
        response,
        context: bytes,
    }
}

/// Returns JSON as the tool wrote it, and other text as a JSON string. The sandbox has checked both.
fn response(entry: EntryScript, outcome: &mut JobOutcome) -> Vec<u8> {
    let file = outcome.files.remove(entry.result()).filter(|_| outcome.reason.is_ok());
    let Some(bytes) = file else { return Vec::new() };
    if entry.result().ends_with(".json") {
        return bytes;
    }
    serde_json::to_vec(&String::from_utf8_lossy(&bytes)).unwrap_or_default()
}

fn context<'a>(facts: &'a JobFacts<'_>, outcome: &JobOutcome) -> JobContext<'a> {
    let hints = outcome.hints.clone();
    let detail = facts.detail.clone().or_else(|| (!hints.is_empty()).then(|| hints.join("; ")));
    let text = |captured: &sandbox::Captured| String::from_utf8_lossy(&captured.bytes).into_owned();
    JobContext {
        exercise_slug: facts.job.exercise.as_str(),
        invocation: Invocation {
            cmd: facts.entry.argv(&facts.job.exercise).join(" "),
            success: outcome.exit_status == Some(0),
            stdout: text(&outcome.stdout),
            stderr: text(&outcome.stderr),
            truncated: outcome.stdout.truncated || outcome.stderr.truncated,
        },
        exit_status: outcome.exit_status,
        logs: hints,
        outputs: outcome.files.iter().map(|(name, b)| (name.clone(), ToolOutput::of(name, b))).collect(),
        limits: facts.limits,
        image: ContextImage { reference: facts.reference, digest: facts.digest },
        error_detail: detail.filter(|_| !outcome.reason.is_ok()),
    }
}

fn usage(usage: &sandbox::Usage) -> Usage {
    Usage {
        queue_ms: 0,
        setup_ms: usage.setup_ms,
        launch_ms: usage.launch_ms,
        wall_ms: usage.wall_ms,
        cpu_user_ms: usage.cpu_user_ms,
        cpu_sys_ms: usage.cpu_sys_ms,
        memory_peak_bytes: usage.memory_peak_bytes.unwrap_or_default(),
        pids_peak: usage.pids_peak.unwrap_or_default(),
        stdout_bytes: usage.stdout_bytes,
        stderr_bytes: usage.stderr_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use trackyard_protocol::channel::Channel;
    use trackyard_protocol::token::{Epoch, JobKey, Token};

    use crate::job::run::outcome_without_run;
    use crate::sandbox::Captured;
    use trackyard_protocol::limits::SharedLimits;
    use trackyard_protocol::worker::Task;

    fn job(channel: Channel) -> Job {
        Job {
            token: Token { epoch: Epoch(1), sequence: 1 },
            attempt: 1,
            setup_ms: 1,
            total_ms: 1,
            task: Task {
                key: JobKey(1),
                id: "id".parse().unwrap(),
                channel,
                track: "ruby".parse().unwrap(),
                exercise: "two-fer".parse().unwrap(),
                version: format!("git-{}", "a".repeat(40)).parse().unwrap(),
                input: "s3://bucket/1".parse().unwrap(),
                limits: SharedLimits::default(),
            }
            .into(),
        }
    }

    fn captured(bytes: &[u8]) -> Captured {
        Captured { bytes: bytes.to_vec(), total: 1, truncated: false }
    }

    fn outcome(files: &[(&str, &[u8])]) -> JobOutcome {
        JobOutcome {
            exit_status: Some(0),
            stdout: captured(b"out"),
            stderr: captured(b"\xffbad"),
            files: files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect(),
            ..outcome_without_run(Reason::Ok, String::new(), sandbox::Usage::default())
        }
    }

    fn report(channel: Channel, outcome: JobOutcome) -> (JobResult, Value) {
        let job = job(channel);
        let digest = Digest::from_sha256(&[1; 32]);
        let facts = JobFacts {
            job: &job,
            limits: &job.limits,
            entry: EntryScript::candidates(channel).next().unwrap(),
            reference: "ruby:tag",
            digest: &digest,
            detail: None,
        };
        let result = result(&facts, outcome);
        let context = serde_json::from_slice(&result.context).unwrap();
        (result, context)
    }

    #[test]
    fn json_passes_unchanged_with_its_context() {
        let (result, context) =
            report(Channel::TestRunners, outcome(&[("results.json", b"{\"version\": 2}")]));
        assert_eq!(result.response, b"{\"version\": 2}");
        assert_eq!(context["exercise_slug"], "two-fer");
        let dir = "/mnt/exercism-iteration/";
        let invocation = json!({
            "cmd": format!("bin/run.sh two-fer {dir} {dir}"), "success": true,
            "stdout": "out", "stderr": "\u{fffd}bad", "truncated": false,
        });
        assert_eq!(context["invocation"], invocation);
        assert_eq!(context["image"]["reference"], "ruby:tag");
        assert_eq!(context["limits"]["memory"], "3Gi");
        assert!(context.get("error_detail").is_none());
    }

    #[test]
    fn text_becomes_a_json_string_beside_other_outputs() {
        let files: &[(&str, &[u8])] = &[("representation.txt", b"a\n\"b\""), ("mapping.json", b"{\"x\": 1}")];
        let (result, context) = report(Channel::Representers, outcome(files));
        assert_eq!(serde_json::from_slice::<String>(&result.response).unwrap(), "a\n\"b\"");
        assert_eq!(context["outputs"], json!({"mapping.json": {"x": 1}}));
    }

    #[test]
    fn error_has_hints_and_no_response() {
        let mut failed = outcome(&[("results.json", b"{}")]);
        failed.reason = Reason::ExitCode;
        failed.hints = vec!["128+9: killed".to_owned()];
        let (result, context) = report(Channel::TestRunners, failed);
        assert!(result.response.is_empty());
        assert_eq!(context["error_detail"], "128+9: killed");
    }

    #[test]
    fn result_is_never_too_large() {
        let noise = vec![1_u8; 64 << 10];
        let mut large = outcome(&[
            ("representation.txt", &[1_u8; 250 << 10]),
            ("mapping.json", &[b' '; 500 << 10]),
            ("representation.json", &[2_u8; 500 << 10]),
        ]);
        (large.stdout, large.stderr) = (captured(&noise), captured(&noise));
        let (result, context) = report(Channel::Representers, large);
        assert!(result.response.len() + result.context.len() <= MAX_RESULT_BYTES - HEADER_BYTES);
        assert!(!result.response.is_empty());
        assert_eq!((&context["outputs"], &context["invocation"]["truncated"]), (&json!({}), &json!(true)));
    }

    #[test]
    fn too_large_response_is_an_error() {
        let (result, _) =
            report(Channel::Representers, outcome(&[("representation.txt", &[1_u8; 500 << 10])]));
        assert_eq!(result.verdict.known_reason(), Reason::ResultSize);
        assert!(result.response.is_empty());
    }
}
