//! One ROUTER socket.

use trackyard_protocol::keys::KeyPair;

use super::options::{self, PortKind};
use super::{Error, Frame};

/// A bound ROUTER socket.
pub struct Port {
    socket: zmq::Socket,
    endpoint: String,
    number: u16,
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The peer is not connected.
    #[error("the peer is gone")]
    Gone,
    /// The peer does not read what it was sent before.
    #[error("the peer takes nothing more")]
    Full,
    /// Anything else that libzmq says.
    #[error("libzmq refuses: {0}")]
    Refused(zmq::Error),
}

impl Port {
    /// Binds `endpoint`, where `*` as port takes a free one; with `key`, for peers with keys alone.
    ///
    /// # Errors
    /// If the endpoint cannot be bound.
    pub fn bind(
        context: &zmq::Context,
        kind: PortKind,
        endpoint: &str,
        key: Option<&KeyPair>,
    ) -> Result<Self, Error> {
        let socket = context.socket(zmq::ROUTER)?;
        options::apply(&socket, kind)?;
        if let Some(key) = key {
            // By this name the gatekeeper knows which port it is asked for.
            socket.set_zap_domain(kind.into())?;
            key.serve(&socket)?;
        }
        socket.set_ipv6(endpoint.starts_with("tcp://["))?;
        let failed = |source| Error::Bind { endpoint: endpoint.to_owned(), source };
        socket.bind(endpoint).map_err(failed)?;
        let bound = socket.get_last_endpoint()?.map_err(|_| Error::Endpoint(endpoint.to_owned()))?;
        let number = bound.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default();
        Ok(Self { socket, endpoint: bound, number })
    }

    /// Where it is bound, with the port that was taken.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The port's number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    pub(super) fn socket(&self) -> &zmq::Socket {
        &self.socket
    }

    pub(super) fn poll_item(&self) -> zmq::PollItem<'_> {
        self.socket.as_poll_item(zmq::POLLIN)
    }

    /// The next message, if one is there. Frames beyond the first `keep` are thrown away while they are read: a
    /// message may have any number of them.
    pub fn receive(&self, keep: usize) -> Option<Vec<Frame>> {
        let mut frames = Vec::with_capacity(4);
        loop {
            let message = match self.socket.recv_msg(zmq::DONTWAIT) {
                Ok(message) => message,
                Err(zmq::Error::EAGAIN | zmq::Error::EINTR) => return None,
                Err(error) => {
                    tracing::error!(%error, endpoint = self.endpoint, "cannot receive");
                    return None;
                }
            };
            let more = message.get_more();
            if frames.len() < keep {
                frames.push(Frame(message));
            }
            if !more {
                return Some(frames);
            }
        }
    }

    /// Sends a message, the peer's routing id first. Never waits.
    ///
    /// # Errors
    /// If the peer is gone or takes nothing more.
    pub fn send(&self, frames: impl IntoIterator<Item = Frame>) -> Result<(), SendError> {
        self.socket.send_multipart(frames.into_iter().map(|frame| frame.0), zmq::DONTWAIT).map_err(|error| {
            match error {
                zmq::Error::EHOSTUNREACH => SendError::Gone,
                zmq::Error::EAGAIN => SendError::Full,
                other => SendError::Refused(other),
            }
        })
    }
}
