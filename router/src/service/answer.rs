//! Writes the bytes of an answer.

use trackyard_daemon::clock::{Moment, millis};
use trackyard_protocol::answer::{self, RouterContext, Timing};
use trackyard_protocol::name::WorkerName;
use trackyard_protocol::reason::Reason;

use super::pending::PendingRequest;
use crate::actions::Reply;
use crate::dispatch::JobAnswer;

/// The answer if even an error cannot be encoded.
const FALLBACK_ANSWER: &[u8] = br#"{"status":{"ok":false,"status_code":500,"message":"the router failed","error":"the router failed","reason":"internal"},"context":{}}"#;

/// Appends an answer of the router itself. Returns its reason.
pub(super) fn write_reply(reply: &Reply, request: &PendingRequest, now: Moment, out: &mut Vec<u8>) -> Reason {
    write_own(reply.reason, &reply.message, reply.response.as_deref(), &context(request, now), out)
}

/// Appends a job's answer. Returns its reason, which is an error if the worker's output is not JSON.
pub(super) fn write_job(job: &JobAnswer, request: &PendingRequest, now: Moment, out: &mut Vec<u8>) -> Reason {
    let output = job.output.as_ref();
    let response = output.map(|output| output.response.as_slice()).filter(|response| !response.is_empty());
    let own = output.map(|output| output.context.as_slice());
    let context = RouterContext {
        worker: job.worker.as_ref().map(WorkerName::as_str),
        attempt: job.attempt,
        usage: job.usage.as_ref(),
        replayed: job.replayed,
        error_detail: job.error_detail.as_deref(),
        ..context(request, now)
    };
    let start = out.len();
    let Err(error) = answer::write(job.reason, &job.message, response, own, &context, out) else {
        return job.reason;
    };
    out.truncate(start);
    let detail = error.to_string();
    let context = RouterContext { error_detail: Some(&detail), ..context };
    write_own(Reason::WorkerInternal, "the worker sent a result that is not JSON", None, &context, out)
}

fn write_own(
    reason: Reason,
    message: &str,
    response: Option<&[u8]>,
    context: &RouterContext<'_>,
    out: &mut Vec<u8>,
) -> Reason {
    let start = out.len();
    if answer::write(reason, message, response, None, context, out).is_err() {
        out.truncate(start);
        out.extend_from_slice(FALLBACK_ANSWER);
    }
    reason
}

fn context(request: &PendingRequest, now: Moment) -> RouterContext<'_> {
    RouterContext {
        id: request.id.as_deref(),
        timing: timing(&request.received, now),
        worker: None,
        attempt: None,
        usage: None,
        replayed: false,
        error_detail: None,
    }
}

fn timing(received: &Moment, now: Moment) -> Timing {
    Timing {
        start_time: received.unix_ms,
        end_time: now.unix_ms,
        duration_milliseconds: millis(now.since(received)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::{Ending, Output, Peer};
    use serde_json::Value;

    fn request() -> PendingRequest {
        PendingRequest {
            peer: Peer(1),
            route: vec![],
            action: None,
            id: Some("7".to_owned()),
            received: Moment::now(),
        }
    }

    fn ending(response: &[u8], context: &[u8]) -> JobAnswer {
        let output = Output { response: response.to_vec(), context: context.to_vec() };
        Ending { output: Some(output), attempt: Some(2), ..Ending::new(Reason::Ok, "") }.into()
    }

    fn answer(ending: &JobAnswer) -> (Value, Reason) {
        let before = b"earlier bytes";
        let mut bytes = before.to_vec();
        let reason = write_job(ending, &request(), Moment::now(), &mut bytes);
        (serde_json::from_slice(bytes.strip_prefix(before).unwrap()).unwrap(), reason)
    }

    #[test]
    fn output_of_the_worker_passes_through() {
        let (answer, reason) = answer(&ending(b"{\"version\":2}", b"{\"exit_status\":0}"));
        assert_eq!((reason, &answer["response"]["version"]), (Reason::Ok, &Value::from(2)));
        assert_eq!(
            (&answer["context"]["exit_status"], &answer["context"]["attempt"]),
            (&0.into(), &2.into())
        );
    }

    #[test]
    fn invalid_json_becomes_an_error() {
        for (response, context) in
            [(&b"{"[..], &b"{}"[..]), (b"{}", b"["), (b"{} {}", b"{}"), (b"1", b"{\"a\":1}{")]
        {
            let (answer, reason) = answer(&ending(response, context));
            assert_eq!((reason, &answer["context"]["id"]), (Reason::WorkerInternal, &Value::from("7")));
            assert_eq!(answer["status"]["status_code"], 510);
        }
    }

    #[test]
    fn fallback_answer_is_json() {
        assert!(serde_json::from_slice::<Value>(FALLBACK_ANSWER).is_ok());
    }
}
