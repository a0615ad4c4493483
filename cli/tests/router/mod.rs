//! A router that answers what a test tells it to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::{Value, json};

/// A router; it ends when this is dropped.
pub(crate) struct Router {
    address: String,
    requests: Arc<Mutex<Vec<Value>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Router {
    /// Starts one whose answers `answer` makes; null is none.
    pub(crate) fn start(answer: impl Fn(&Value) -> Value + Send + 'static) -> Self {
        let socket = zmq::Context::new().socket(zmq::ROUTER).unwrap();
        socket.bind("tcp://127.0.0.1:*").unwrap();
        let address = socket.get_last_endpoint().unwrap().unwrap();
        let (requests, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (seen, stopped) = (Arc::clone(&requests), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                if socket.poll(zmq::POLLIN, 20).unwrap() > 0 {
                    seen.lock().unwrap().push(serve(&socket, &answer));
                }
            }
        });
        Self { address, requests, stop, thread: Some(thread) }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What it was asked so far.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn serve(socket: &zmq::Socket, answer: &impl Fn(&Value) -> Value) -> Value {
    let mut frames = socket.recv_multipart(0).unwrap();
    let request: Value = serde_json::from_slice(&frames.pop().unwrap()).unwrap();
    let mut answer = answer(&request);
    if answer.is_null() {
        return request;
    }
    answer["context"]["id"] = request["id"].clone();
    frames.push(answer.to_string().into_bytes());
    socket.send_multipart(frames, 0).unwrap();
    request
}

/// A 200.
pub(crate) fn answered(response: &Value) -> Value {
    json!({
        "status": {"ok": true, "status_code": 200, "message": "done", "reason": "ok"},
        "response": response,
        "context": {"worker": "ruby-1", "timing": {"duration_milliseconds": 812}},
    })
}

/// Anything else.
pub(crate) fn refused(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "status": {"ok": false, "status_code": code, "message": message, "reason": reason, "error": "e"},
        "context": {"timing": {"duration_milliseconds": 1}},
    })
}

/// An address where nobody listens.
pub(crate) fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("tcp://{}", listener.local_addr().unwrap())
}
