//! Says who may connect to the ports with a key, as libzmq asks for each connection: ZAP,
//! <https://rfc.zeromq.org/spec/27/>. A peer that is admitted is named by its key on each of its messages. Should
//! nobody answer here, libzmq admits everyone and names nobody; therefore a message without a name is refused.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use strum::IntoEnumIterator;
use trackyard_protocol::keys::PublicKey;

use super::{Error, PortKind, Waker};

/// Where libzmq asks.
const ENDPOINT: &str = "inproc://zeromq.zap.01";
/// A peer that tries again and again is logged no more often.
const QUIET: Duration = Duration::from_secs(10);

/// The thread that answers. It ends when this is dropped, which must be before the context is.
pub struct Gatekeeper {
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Gatekeeper {
    /// Answers by `admits`. Must be there before the ports are bound.
    ///
    /// # Errors
    /// If it cannot be set up.
    pub fn start(
        context: &zmq::Context,
        admits: impl Fn(PortKind, &PublicKey) -> bool + Send + 'static,
    ) -> Result<Self, Error> {
        let socket = context.socket(zmq::REP)?;
        socket.set_linger(0)?;
        socket.bind(ENDPOINT)?;
        let waker = Waker::new()?;
        let end = waker.clone();
        let run = move || answer_all(&socket, &end, admits);
        let thread =
            std::thread::Builder::new().name("gatekeeper".to_owned()).spawn(run).map_err(Error::Thread)?;
        Ok(Self { waker, thread: Some(thread) })
    }
}

impl Drop for Gatekeeper {
    fn drop(&mut self) {
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer_all(socket: &zmq::Socket, end: &Waker, admits: impl Fn(PortKind, &PublicKey) -> bool) {
    use std::os::fd::AsRawFd;
    let mut told: Option<Instant> = None;
    loop {
        let ended = zmq::PollItem::from_fd(end.as_raw_fd(), zmq::POLLIN);
        let mut items = [socket.as_poll_item(zmq::POLLIN), ended];
        match zmq::poll(&mut items, -1) {
            Ok(_) if items.iter().any(|item| item.has_fd(end.as_raw_fd()) && item.is_readable()) => return,
            Ok(_) | Err(zmq::Error::EINTR) => {}
            Err(error) => return tracing::error!(%error, "nobody new can connect with a key"),
        }
        let Ok(request) = socket.recv_multipart(zmq::DONTWAIT) else { continue };
        let asked = Asked::read(&request);
        let admitted = asked.as_ref().filter(|asked| admits(asked.port, &asked.key));
        if let (None, Some(asked)) = (admitted, &asked)
            && told.is_none_or(|told| told.elapsed() > QUIET)
        {
            told = Some(Instant::now());
            let (port, from) = (<&str>::from(asked.port), &asked.from);
            tracing::warn!(port, from, key = %asked.key, "refused a connection: this key is not allowed here");
        }
        let number = request.get(1).map(Vec::as_slice).unwrap_or_default();
        let _ = socket.send_multipart(reply(number, admitted.map(|asked| &asked.key)), 0);
    }
}

/// What libzmq asks.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    port: PortKind,
    from: String,
    key: PublicKey,
}

impl Asked {
    /// The frames are a version, the request's number, the domain, the peer's address, its routing id, the mechanism,
    /// and its key.
    fn read(frames: &[Vec<u8>]) -> Option<Self> {
        let [version, _, domain, address, _, mechanism, key] = frames else { return None };
        if version != b"1.0" || mechanism != b"CURVE" {
            return None;
        }
        let port = PortKind::iter().find(|kind| <&str>::from(*kind).as_bytes() == domain)?;
        let from = String::from_utf8_lossy(address).into_owned();
        Some(Self { port, from, key: PublicKey::from_bytes(key)? })
    }
}

/// The frames are a version, the request's number, a status and its text, the peer's name, and what else is known of
/// it, which is nothing.
fn reply<'a>(number: &'a [u8], name: Option<&'a PublicKey>) -> [&'a [u8]; 6] {
    let (status, text): (&[u8], &[u8]) =
        if name.is_some() { (b"200", b"OK") } else { (b"400", b"not allowed") };
    [b"1.0", number, status, text, name.map(PublicKey::as_str).unwrap_or_default().as_bytes(), b""]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const KEY: &str = "12345678901234567890123456789012";

    #[rstest]
    #[case(&["1.0", "7", "workers", "10.0.0.1", "", "CURVE", KEY], true)]
    #[case(&["1.1", "7", "workers", "10.0.0.1", "", "CURVE", KEY], false)]
    #[case(&["1.0", "7", "", "10.0.0.1", "", "CURVE", KEY], false)]
    #[case(&["1.0", "7", "workers", "10.0.0.1", "", "NULL"], false)]
    #[case(&["1.0", "7", "workers", "10.0.0.1", "", "PLAIN", "user", "password"], false)]
    #[case(&["1.0", "7", "workers", "10.0.0.1", "", "CURVE", "short"], false)]
    #[case(&[], false)]
    fn only_curve_is_understood(#[case] frames: &[&str], #[case] understood: bool) {
        let frames: Vec<Vec<u8>> = frames.iter().map(|frame| frame.as_bytes().to_vec()).collect();
        assert_eq!(Asked::read(&frames).is_some(), understood);
    }

    #[test]
    fn a_reply_names_whom_it_admits() {
        let key: PublicKey = "a".repeat(40).parse().unwrap();
        assert_eq!(reply(b"7", Some(&key))[2..5], [b"200".as_slice(), b"OK", key.as_str().as_bytes()]);
        assert_eq!(reply(b"7", None)[..5], [b"1.0".as_slice(), b"7", b"400", b"not allowed", b""]);
    }
}
