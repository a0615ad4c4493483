//! A wire between two processes, which can be cut, stalled, made deaf, or let answer in the server's place.

#[cfg(test)]
mod tests;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

/// How often a thread without work looks whether it is over.
const STEP: Duration = Duration::from_millis(20);

/// How a wire is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// All passes.
    Open,
    /// Every connection is closed.
    Cut,
    /// What was said arrives later.
    Stalled,
    /// What the client says is lost. Such a connection is closed when the wire is well again.
    Deaf,
    /// Requests over HTTP are answered with this status.
    Says(u16),
}

struct State {
    mode: Mode,
    over: bool,
}

type Shared = Arc<Mutex<State>>;

/// A running wire.
pub(super) struct Wire {
    address: SocketAddr,
    state: Shared,
    thread: Option<JoinHandle<()>>,
}

impl Wire {
    /// A wire to `server` (`127.0.0.1:<port>`), which may not be there yet.
    pub(super) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let address = listener.local_addr().expect("the port of a bound listener");
        listener.set_nonblocking(true).expect("a listener that can be stopped");
        let state = Arc::new(Mutex::new(State { mode: Mode::Open, over: false }));
        let of_thread = Arc::clone(&state);
        let thread = std::thread::spawn(move || accept(&listener, server, &of_thread));
        Self { address, state, thread: Some(thread) }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn set(&self, mode: Mode) {
        lock(&self.state).mode = mode;
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        lock(&self.state).over = true;
        // It fails only if the thread has failed, which was shown.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn lock(state: &Shared) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The mode; `None` once the wire is over.
fn mode(state: &Shared) -> Option<Mode> {
    let state = lock(state);
    (!state.over).then_some(state.mode)
}

fn accept(listener: &TcpListener, server: SocketAddr, state: &Shared) {
    while let Some(mode) = mode(state) {
        match listener.accept() {
            // Dropped, it is closed.
            Ok(_) if mode == Mode::Cut => {}
            Ok((client, _)) => connect(&client, server, state),
            Err(_) => sleep(STEP / 10),
        }
    }
}

/// Two threads for a connection, one for each direction; each ends with the other.
fn connect(client: &TcpStream, server: SocketAddr, state: &Shared) {
    let Ok(server) = TcpStream::connect(server) else { return };
    for stream in [client, &server] {
        let set = stream.set_nonblocking(false).and(stream.set_read_timeout(Some(STEP)));
        set.and(stream.set_nodelay(true)).expect("a stream with a time-out");
    }
    let second = |stream: &TcpStream| stream.try_clone().expect("a second descriptor of a stream");
    for (from, to, up) in [(client, &server, true), (&server, client, false)] {
        let (from, to, state) = (second(from), second(to), Arc::clone(state));
        std::thread::spawn(move || {
            pass(&from, &to, up, &state);
            // Either may be closed already.
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, up: bool, state: &Shared) {
    let mut buffer = vec![0; 64 << 10];
    let mut lost = false;
    loop {
        let said = match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => &[],
            Err(_) => return,
        };
        while mode(state) == Some(Mode::Stalled) {
            sleep(STEP / 4);
        }
        match mode(state) {
            None | Some(Mode::Cut) => return,
            Some(Mode::Deaf) if up => lost = true,
            Some(Mode::Says(status)) if up && !said.is_empty() => {
                let head = format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                // The client may have gone.
                let _ = from.write_all(head.as_bytes());
                return;
            }
            _ if lost => return,
            _ if to.write_all(said).is_err() => return,
            _ => {}
        }
    }
}
