//! The bytes of an answer.

use trackyard_daemon::clock::{Moment, millis, unix_ms};
use trackyard_protocol::answer::{self, RouterContext, Status, Timing};
use trackyard_protocol::reason::Reason;

use super::waiters::Way;
use crate::actions::Reply;
use crate::dispatch::Ending;

/// Should even a plain error not be writable.
const LAST_RESORT: &[u8] = br#"{"status":{"ok":false,"status_code":500,"message":"the router failed","error":"the router failed","reason":"internal"},"context":{}}"#;

/// An answer that no worker gave.
pub(super) fn of_reply(reply: &Reply, way: &Way) -> Vec<u8> {
    let status = Status::new(reply.reason, &*reply.message);
    answer::write(&status, reply.response.as_deref(), None, &context(way))
        .unwrap_or_else(|_| LAST_RESORT.to_vec())
}

/// A job's answer, and the reason that it really has: what a worker sent may turn out not to be JSON.
pub(super) fn of_ending(ending: &Ending, way: &Way) -> (Vec<u8>, Reason) {
    let status = Status::new(ending.reason, &*ending.message);
    let output = ending.output.as_deref();
    let response = output.map(|output| output.response.as_slice()).filter(|response| !response.is_empty());
    let context = RouterContext {
        worker: ending.worker.as_ref().map(ToString::to_string),
        attempt: ending.attempt,
        usage: ending.usage.clone(),
        replayed: ending.replayed,
        error_detail: ending.error_detail.clone(),
        ..context(way)
    };
    match answer::write(&status, response, output.map(|output| output.context.as_slice()), &context) {
        Ok(bytes) => (bytes, ending.reason),
        Err(error) => {
            let status = Status::new(Reason::WorkerInternal, "the worker sent a result that is not JSON");
            let context = RouterContext { error_detail: Some(error.to_string()), ..context };
            let bytes = answer::write(&status, None, None, &context).unwrap_or_else(|_| LAST_RESORT.to_vec());
            (bytes, Reason::WorkerInternal)
        }
    }
}

fn context(way: &Way) -> RouterContext {
    RouterContext {
        id: way.id.clone(),
        timing: timing(&way.received),
        worker: None,
        attempt: None,
        usage: None,
        replayed: false,
        error_detail: None,
    }
}

fn timing(received: &Moment) -> Timing {
    Timing {
        start_time: received.unix_ms,
        end_time: unix_ms(),
        duration_milliseconds: millis(received.elapsed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::Output;
    use crate::socket::PortKind;
    use serde_json::Value;
    use std::sync::Arc;

    fn way() -> Way {
        Way {
            port: PortKind::Clients,
            route: vec![],
            action: None,
            id: Some("7".to_owned()),
            received: Moment::now(),
        }
    }

    fn ending(response: &[u8], context: &[u8]) -> Ending {
        let output = Output { response: response.to_vec(), context: context.to_vec() };
        Ending { output: Some(Arc::new(output)), attempt: Some(2), ..Ending::new(Reason::Ok, "") }
    }

    #[test]
    fn what_the_worker_wrote_passes_through() {
        let (bytes, reason) = of_ending(&ending(b"{\"version\":2}", b"{\"exit_status\":0}"), &way());
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
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
            let (bytes, reason) = of_ending(&ending(response, context), &way());
            let answer: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!((reason, &answer["context"]["id"]), (Reason::WorkerInternal, &Value::from("7")));
            assert_eq!(answer["status"]["status_code"], 510);
        }
    }

    #[test]
    fn the_last_resort_is_json() {
        assert!(serde_json::from_slice::<Value>(LAST_RESORT).is_ok());
    }
}
