//! A server that returns each message to its sender, and reports the events of its connections to the test.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use trackyard_zmtp::{MessageLimits, Security, Session, SessionEvent, ZmtpError};

/// Timeout of every expected event.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

const LIMITS: MessageLimits = MessageLimits { max_message_bytes: 1 << 20, max_frame_bytes: 100_000 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Accepted,
    KeyVerified([u8; 32]),
    Ready,
    Message,
    /// A command after the handshake, or a frame that is not the last of its message.
    Part,
    Failed(ZmtpError),
    Closed,
}

pub(crate) struct Server {
    pub(crate) endpoint: String,
    events: Receiver<Event>,
}

impl Server {
    /// Listens until the test's process ends. `admits` says whether keys are admitted.
    pub(crate) fn start(security: Security, admits: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
        let (sender, events) = channel();
        let security = Arc::new(security);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let security = Arc::clone(&security);
                let sender = sender.clone();
                thread::spawn(move || serve(stream.unwrap(), &security, admits, &sender));
            }
        });
        Self { endpoint, events }
    }

    pub(crate) fn event(&self) -> Event {
        self.events.recv_timeout(TIMEOUT).expect("an event within the timeout")
    }

    /// Checks that the next events are `Accepted` and these.
    pub(crate) fn expect(&self, expected: &[Event]) {
        assert_eq!(self.event(), Event::Accepted);
        for event in expected {
            assert_eq!(self.event(), *event);
        }
    }
}

/// Serves one connection. Events are dropped once the test is over.
fn serve(mut stream: TcpStream, security: &Security, admits: bool, events: &Sender<Event>) {
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let report = |event| {
        let _ = events.send(event);
    };
    report(Event::Accepted);
    let mut session = Session::new(LIMITS);
    let mut input = Vec::new();
    let mut output = Vec::new();
    loop {
        let ended = drain(&mut session, &mut input, security, admits, &mut output, &report);
        let sent = stream.write_all(&output);
        output.clear();
        if let Err(error) = ended {
            return report(Event::Failed(error));
        }
        let mut bytes = [0; 8192];
        match stream.read(&mut bytes) {
            Ok(count) if count > 0 && sent.is_ok() => input.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => return report(Event::Closed),
        }
    }
}

/// Takes all events of the input.
fn drain(
    session: &mut Session,
    input: &mut Vec<u8>,
    security: &Security,
    admits: bool,
    output: &mut Vec<u8>,
    report: &dyn Fn(Event),
) -> Result<(), ZmtpError> {
    loop {
        let was_ready = session.is_ready();
        let (consumed, event, answer) = match session.next(input, security, output)? {
            SessionEvent::Incomplete => return Ok(()),
            SessionEvent::Consumed(consumed) => (consumed, was_ready.then_some(Event::Part), None),
            SessionEvent::KeyVerified { consumed, key } => (consumed, Some(Event::KeyVerified(key)), None),
            SessionEvent::Ready { consumed } => (consumed, Some(Event::Ready), None),
            SessionEvent::Message { consumed, message } => {
                let frames: Vec<Vec<u8>> = message.into_iter().map(<[u8]>::to_vec).collect();
                assert_eq!(frames.len(), message.len());
                (consumed, Some(Event::Message), Some(frames))
            }
        };
        input.drain(..consumed);
        if let Some(Event::KeyVerified(_)) = event {
            session.admit(admits, output);
        }
        if let Some(frames) = answer {
            let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            session.write(&frames, output);
        }
        event.into_iter().for_each(report);
    }
}
