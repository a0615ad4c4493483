//! A small blocking client: one DEALER socket, many requests in flight, answers matched by `context.id`.

use std::time::{Duration, Instant};

use crate::answer::Answer;
use crate::keys::Curve;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket cannot be made or used; a bad address, for one.
    #[error("cannot talk to {address}: {source}")]
    Socket {
        /// The router's client address.
        address: String,
        /// The error of libzmq.
        source: zmq::Error,
    },
    /// No answer came in time.
    #[error("no answer from {address} within {waited:?}; is a router listening there{}?", if *.keyed { " with that key, and does it allow yours" } else { "" })]
    TimedOut {
        /// The router's client address.
        address: String,
        /// The time that the client waited.
        waited: Duration,
        /// Whether the client has a key, which the router may not allow.
        keyed: bool,
    },
    /// The message that came is not an answer.
    #[error("{address} sent what is not an answer: {why}")]
    NotAnAnswer {
        /// The router's client address.
        address: String,
        /// What is wrong with the message.
        why: String,
    },
}

/// A connection to a router's client port.
pub struct Client {
    socket: zmq::Socket,
    address: String,
    keyed: bool,
}

impl Client {
    /// Connects to `address`, such as `tcp://127.0.0.1:5555`, without waiting for the router.
    ///
    /// # Errors
    /// If the address is not valid.
    pub fn connect(address: &str) -> Result<Self, Error> {
        Self::connect_with(address, None)
    }

    /// Connects to `address`. A port for clients with keys needs `curve`.
    ///
    /// # Errors
    /// If the address is not valid.
    pub fn connect_with(address: &str, curve: Option<&Curve>) -> Result<Self, Error> {
        let failed = |source| Error::Socket { address: address.to_owned(), source };
        let socket = connect(address, curve).map_err(failed)?;
        Ok(Self { socket, address: address.to_owned(), keyed: curve.is_some() })
    }

    /// Sends one request.
    ///
    /// # Errors
    /// If the queue of the socket is full for five seconds, because no router listens there.
    pub fn send(&self, request: &serde_json::Value) -> Result<(), Error> {
        self.socket
            .send_multipart([b"".to_vec(), request.to_string().into_bytes()], 0)
            .map_err(|e| self.error(e))
    }

    /// Waits for the next answer to any request.
    ///
    /// # Errors
    /// If no answer comes within `wait`, or a message comes that is not an answer.
    pub fn receive(&self, wait: Duration) -> Result<Answer, Error> {
        let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        let ready = self.socket.poll(zmq::POLLIN, millis).map_err(|e| self.error(e))?;
        if ready == 0 {
            return Err(self.timed_out(wait));
        }
        let frames = self.socket.recv_multipart(zmq::DONTWAIT).map_err(|e| self.error(e))?;
        let body = frames.last().map(Vec::as_slice).unwrap_or_default();
        serde_json::from_slice(body)
            .map_err(|e| Error::NotAnAnswer { address: self.address.clone(), why: e.to_string() })
    }

    /// Sends a request and waits for its answer. Answers to other requests are dropped.
    ///
    /// # Errors
    /// As [`send`](Self::send) and [`receive`](Self::receive).
    pub fn request(&self, request: &serde_json::Value, wait: Duration) -> Result<Answer, Error> {
        self.send(request)?;
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let answer = self.receive(left).map_err(|error| match error {
                Error::TimedOut { .. } => self.timed_out(wait),
                other => other,
            })?;
            if request.get("id").is_none() || answer.context.get("id") == request.get("id") {
                return Ok(answer);
            }
        }
    }

    fn timed_out(&self, waited: Duration) -> Error {
        Error::TimedOut { address: self.address.clone(), waited, keyed: self.keyed }
    }

    fn error(&self, source: zmq::Error) -> Error {
        Error::Socket { address: self.address.clone(), source }
    }
}

fn connect(address: &str, curve: Option<&Curve>) -> Result<zmq::Socket, zmq::Error> {
    let socket = zmq::Context::new().socket(zmq::DEALER)?;
    socket.set_linger(0)?;
    socket.set_sndtimeo(5_000)?;
    socket.set_heartbeat_ivl(5_000)?;
    if let Some(curve) = curve {
        curve.apply(&socket)?;
    }
    socket.connect(address)?;
    Ok(socket)
}
