//! The bytes of an answer.

use trackyard_daemon::clock::{Moment, millis};
use trackyard_protocol::answer::{self, RouterContext, Timing};
use trackyard_protocol::name::WorkerName;
use trackyard_protocol::reason::Reason;

use super::waiters::Way;
use crate::actions::Reply;
use crate::dispatch::Answer;

/// Should even a plain error not be writable.
const LAST_RESORT: &[u8] = br#"{"status":{"ok":false,"status_code":500,"message":"the router failed","error":"the router failed","reason":"internal"},"context":{}}"#;

/// Appends an answer that no worker gave; gives its reason.
pub(super) fn of_reply(reply: &Reply, way: &Way, now: Moment, out: &mut Vec<u8>) -> Reason {
    of_router(reply.reason, &reply.message, reply.response.as_deref(), &context(way, now), out)
}

/// Appends a job's answer. Gives the reason that it really has: what a worker sent may turn out not to be JSON.
pub(super) fn of_job(ending: &Answer, way: &Way, now: Moment, out: &mut Vec<u8>) -> Reason {
    let output = ending.output.as_ref();
    let response = output.map(|output| output.response.as_slice()).filter(|response| !response.is_empty());
    let own = output.map(|output| output.context.as_slice());
    let context = RouterContext {
        worker: ending.worker.as_ref().map(WorkerName::as_str),
        attempt: ending.attempt,
        usage: ending.usage.as_ref(),
        replayed: ending.replayed,
        error_detail: ending.error_detail.as_deref(),
        ..context(way, now)
    };
    let start = out.len();
    let Err(error) = answer::write(ending.reason, &ending.message, response, own, &context, out) else {
        return ending.reason;
    };
    out.truncate(start);
    let detail = error.to_string();
    let context = RouterContext { error_detail: Some(&detail), ..context };
    of_router(Reason::WorkerInternal, "the worker sent a result that is not JSON", None, &context, out)
}

fn of_router(
    reason: Reason,
    message: &str,
    response: Option<&[u8]>,
    context: &RouterContext<'_>,
    out: &mut Vec<u8>,
) -> Reason {
    let start = out.len();
    if answer::write(reason, message, response, None, context, out).is_err() {
        out.truncate(start);
        out.extend_from_slice(LAST_RESORT);
    }
    reason
}

fn context(way: &Way, now: Moment) -> RouterContext<'_> {
    RouterContext {
        id: way.id.as_deref(),
        timing: timing(&way.received, now),
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

    fn way() -> Way {
        Way { peer: Peer(1), route: vec![], action: None, id: Some("7".to_owned()), received: Moment::now() }
    }

    fn ending(response: &[u8], context: &[u8]) -> Answer {
        let output = Output { response: response.to_vec(), context: context.to_vec() };
        Ending { output: Some(output), attempt: Some(2), ..Ending::new(Reason::Ok, "") }.into()
    }

    fn answer(ending: &Answer) -> (Value, Reason) {
        let before = b"of before";
        let mut bytes = before.to_vec();
        let reason = of_job(ending, &way(), Moment::now(), &mut bytes);
        (serde_json::from_slice(bytes.strip_prefix(before).unwrap()).unwrap(), reason)
    }

    #[test]
    fn what_the_worker_wrote_passes_through() {
        let (answer, reason) = answer(&ending(b"{\"version\":2}", b"{\"exit_status\":0}"));
        assert_eq!((reason, &answer["response"]["version"]), (Reason::Ok, &Value::from(2)));
        assert_eq!(
            (&answer["context"]["exit_status"], &answer["context"]["attempt"]),
            (&0.into(), &2.into())
        );
    }

    #[test]
    fn a_result_that_is_not_json_becomes_an_error_that_is() {
        for (response, context) in
            [(&b"{"[..], &b"{}"[..]), (b"{}", b"["), (b"{} {}", b"{}"), (b"1", b"{\"a\":1}{")]
        {
            let (answer, reason) = answer(&ending(response, context));
            assert_eq!((reason, &answer["context"]["id"]), (Reason::WorkerInternal, &Value::from("7")));
            assert_eq!(answer["status"]["status_code"], 510);
        }
    }

    #[test]
    fn the_last_resort_is_json() {
        assert!(serde_json::from_slice::<Value>(LAST_RESORT).is_ok());
    }
}
