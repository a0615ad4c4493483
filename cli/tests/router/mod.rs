//! A router whose answers are made by the test.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::{Value, json};

/// A running router. It stops when this is dropped.
pub(crate) struct Router {
    address: String,
    requests: Arc<Mutex<Vec<Value>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Router {
    /// Starts a router that replies to each request with `answer`, or not at all if that is null.
    pub(crate) fn start(answer: impl Fn(&Value) -> Value + Send + 'static) -> Self {
        let socket = zmq::Context::new().socket(zmq::ROUTER).unwrap();
        socket.bind("tcp://127.0.0.1:*").unwrap();
        let address = socket.get_last_endpoint().unwrap().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let requests = Arc::clone(&requests);
            let stop = Arc::clone(&stop);
            move || {
                while !stop.load(Ordering::SeqCst) {
                    if socket.poll(zmq::POLLIN, 20).unwrap() > 0 {
                        requests.lock().unwrap().push(serve(&socket, &answer));
                    }
                }
            }
        });
        Self { address, requests, stop, thread: Some(thread) }
    }

    /// Returns the address for clients.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns the requests so far.
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

/// Returns an answer with status 200.
pub(crate) fn answered(response: &Value) -> Value {
    json!({
        "status": {"ok": true, "status_code": 200, "message": "done", "reason": "ok"},
        "response": response,
        "context": {"worker": "ruby-1", "timing": {"duration_milliseconds": 812}},
    })
}

/// Returns an answer with another status.
pub(crate) fn refused(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "status": {"ok": false, "status_code": code, "message": message, "reason": reason, "error": "e"},
        "context": {"timing": {"duration_milliseconds": 1}},
    })
}

/// Returns an address on which nothing listens.
pub(crate) fn closed_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("tcp://{}", listener.local_addr().unwrap())
}
