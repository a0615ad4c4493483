//! A TCP proxy between two processes that can close, stall or half-open connections, or answer in the server's place.

#[cfg(test)]
mod tests;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

/// Interval at which an idle thread checks whether the proxy was dropped.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// What a proxy does with its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProxyMode {
    /// Forward everything.
    Pass,
    /// Close every connection.
    Cut,
    /// Hold all data back until the mode changes.
    Stalled,
    /// Drop what the client sends, and close the connection when the mode changes.
    HalfOpen,
    /// Answer HTTP requests with this status.
    Respond(u16),
}

struct State {
    mode: ProxyMode,
    stopped: bool,
}

type Shared = Arc<Mutex<State>>;

/// A running proxy.
pub(super) struct Proxy {
    address: SocketAddr,
    state: Shared,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy to `server` (`127.0.0.1:<port>`), which need not listen yet.
    pub(super) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let address = listener.local_addr().expect("the port of a bound listener");
        listener.set_nonblocking(true).expect("a listener that can be stopped");
        let state = Arc::new(Mutex::new(State { mode: ProxyMode::Pass, stopped: false }));
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || accept(&listener, server, &shared));
        Self { address, state, thread: Some(thread) }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn set(&self, mode: ProxyMode) {
        lock(&self.state).mode = mode;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        lock(&self.state).stopped = true;
        // Joining fails only if the thread panicked, which was printed.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn lock(state: &Shared) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the mode; `None` once the proxy was dropped.
fn mode(state: &Shared) -> Option<ProxyMode> {
    let state = lock(state);
    (!state.stopped).then_some(state.mode)
}

fn accept(listener: &TcpListener, server: SocketAddr, state: &Shared) {
    while let Some(mode) = mode(state) {
        match listener.accept() {
            // Dropping the connection closes it.
            Ok(_) if mode == ProxyMode::Cut => {}
            Ok((client, _)) => connect(&client, server, state),
            Err(_) => sleep(POLL_INTERVAL / 10),
        }
    }
}

/// Connects a client to the server, with one thread for each direction; each ends with the other.
fn connect(client: &TcpStream, server: SocketAddr, state: &Shared) {
    let Ok(server) = TcpStream::connect(server) else { return };
    for stream in [client, &server] {
        let set = stream.set_nonblocking(false).and(stream.set_read_timeout(Some(POLL_INTERVAL)));
        set.and(stream.set_nodelay(true)).expect("a stream with a timeout");
    }
    let duplicate = |stream: &TcpStream| stream.try_clone().expect("a second descriptor of a stream");
    for (from, to, is_upstream) in [(client, &server, true), (&server, client, false)] {
        let from = duplicate(from);
        let to = duplicate(to);
        let state = Arc::clone(state);
        std::thread::spawn(move || {
            forward(&from, &to, is_upstream, &state);
            // Either may be closed already.
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
}

fn forward(mut from: &TcpStream, mut to: &TcpStream, is_upstream: bool, state: &Shared) {
    let mut buffer = vec![0; 64 << 10];
    let mut has_lost_data = false;
    loop {
        let data = match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => &[],
            Err(_) => return,
        };
        while mode(state) == Some(ProxyMode::Stalled) {
            sleep(POLL_INTERVAL / 4);
        }
        match mode(state) {
            None | Some(ProxyMode::Cut) => return,
            Some(ProxyMode::HalfOpen) if is_upstream => has_lost_data = true,
            Some(ProxyMode::Respond(status)) if is_upstream && !data.is_empty() => {
                let head = format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                // The client may have disconnected.
                let _ = from.write_all(head.as_bytes());
                return;
            }
            _ if has_lost_data => return,
            _ if to.write_all(data).is_err() => return,
            _ => {}
        }
    }
}
