//! A server that returns each message to who sent it, and tells a test what happens on its connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use trackyard_zmtp::{Bounds, Error, Security, Session, Step};

/// Within which anything happens that shall.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

const BOUNDS: Bounds = Bounds { message_bytes: 1 << 20, frame_bytes: 100_000 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Accepted,
    Proved([u8; 32]),
    Ready,
    Message,
    /// A command after the handshake, or a frame that is not its message's last.
    Part,
    Failed(Error),
    Closed,
}

pub(crate) struct Server {
    pub(crate) endpoint: String,
    events: Receiver<Event>,
}

impl Server {
    /// Listens until the test's process ends. Keys are admitted or not.
    pub(crate) fn start(security: Security, admits: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
        let (sender, events) = channel();
        let security = Arc::new(security);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (security, sender) = (Arc::clone(&security), sender.clone());
                thread::spawn(move || serve(stream.unwrap(), &security, admits, &sender));
            }
        });
        Self { endpoint, events }
    }

    pub(crate) fn event(&self) -> Event {
        self.events.recv_timeout(PATIENCE).expect("something happens on the connection")
    }

    /// The next events, but for `Accepted`.
    pub(crate) fn expect(&self, expected: &[Event]) {
        assert_eq!(self.event(), Event::Accepted);
        for event in expected {
            assert_eq!(self.event(), *event);
        }
    }
}

/// Events are lost once the test is over.
fn serve(mut stream: TcpStream, security: &Security, admits: bool, events: &Sender<Event>) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let tell = |event| {
        let _ = events.send(event);
    };
    tell(Event::Accepted);
    let (mut session, mut input, mut output) = (Session::new(BOUNDS), Vec::new(), Vec::new());
    loop {
        let ended = drain(&mut session, &mut input, security, admits, &mut output, &tell);
        let sent = stream.write_all(&output);
        output.clear();
        if let Err(error) = ended {
            return tell(Event::Failed(error));
        }
        let mut bytes = [0; 8192];
        match stream.read(&mut bytes) {
            Ok(count) if count > 0 && sent.is_ok() => input.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => return tell(Event::Closed),
        }
    }
}

/// All steps that the input is enough for.
fn drain(
    session: &mut Session,
    input: &mut Vec<u8>,
    security: &Security,
    admits: bool,
    output: &mut Vec<u8>,
    tell: &dyn Fn(Event),
) -> Result<(), Error> {
    loop {
        let was_ready = session.is_ready();
        let (consumed, event, answer) = match session.next(input, security, output)? {
            Step::Incomplete => return Ok(()),
            Step::Consumed(consumed) => (consumed, was_ready.then_some(Event::Part), None),
            Step::Proved { consumed, key } => (consumed, Some(Event::Proved(key)), None),
            Step::Ready { consumed } => (consumed, Some(Event::Ready), None),
            Step::Message { consumed, message } => {
                let frames: Vec<Vec<u8>> = message.into_iter().map(<[u8]>::to_vec).collect();
                assert_eq!(frames.len(), message.len());
                (consumed, Some(Event::Message), Some(frames))
            }
        };
        input.drain(..consumed);
        if let Some(Event::Proved(_)) = event {
            session.admit(admits, output);
        }
        if let Some(frames) = answer {
            let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            session.write(&frames, output);
        }
        event.into_iter().for_each(tell);
    }
}
