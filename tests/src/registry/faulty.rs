//! A proxy to a registry that can drop or freeze connections and refuse requests.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A fault of the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryFault {
    /// Closes the connection once, after some more bytes went to the registry.
    Drop {
        /// Number of bytes that still pass.
        after: usize,
    },
    /// Freezes every connection after some more bytes went to the registry.
    Freeze {
        /// Number of bytes that still pass.
        after: usize,
    },
    /// Answers requests instead of forwarding them.
    Refuse {
        /// The requests' method, such as `PATCH`.
        method: &'static str,
        /// The HTTP status of the answer.
        status: u16,
        /// Number of requests to refuse.
        times: u32,
    },
}

#[derive(Default)]
struct Shared {
    fault: Mutex<Option<RegistryFault>>,
    faults_met: Mutex<u32>,
    forwarded_bytes: Mutex<usize>,
    stop: AtomicBool,
}

/// A running proxy to a registry.
pub struct FaultyRegistry {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl FaultyRegistry {
    /// Starts a proxy to the registry at `backend` (`127.0.0.1:<port>`).
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(backend: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let address = listener.local_addr().expect("the port of a bound listener");
        listener.set_nonblocking(true).expect("a listener that can be stopped");
        let shared = Arc::new(Shared::default());
        let backend = backend.to_owned();
        let accepting = Arc::clone(&shared);
        let thread = std::thread::spawn(move || accept(&listener, &backend, &accepting));
        Self { address, shared, thread: Some(thread) }
    }

    /// Returns the address as `127.0.0.1:<port>`.
    #[must_use]
    pub fn location(&self) -> String {
        self.address.to_string()
    }

    /// Sets the fault; `None` ends it.
    pub fn set(&self, fault: Option<RegistryFault>) {
        *lock(&self.shared.fault) = fault;
    }

    /// Returns the number of bytes that went to the registry.
    #[must_use]
    pub fn forwarded_bytes(&self) -> usize {
        *lock(&self.shared.forwarded_bytes)
    }

    /// Returns how often a fault took effect.
    #[must_use]
    pub fn faults_met(&self) -> u32 {
        *lock(&self.shared.faults_met)
    }
}

impl Drop for FaultyRegistry {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Joining fails only if the thread panicked, which was printed.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn accept(listener: &TcpListener, backend: &str, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    while !shared.stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((client, _)) => {
                let server = TcpStream::connect(backend).expect("the registry");
                let shared = Arc::clone(shared);
                threads.push(std::thread::spawn(move || forward(client, server, &shared)));
            }
            Err(_) => sleep(POLL_INTERVAL),
        }
    }
    for thread in threads {
        // Joining fails only if the thread panicked, which was printed.
        let _ = thread.join();
    }
}

/// Forwards data in both directions until one side closes the connection.
fn forward(mut client: TcpStream, mut server: TcpStream, shared: &Shared) {
    for stream in [&client, &server] {
        let set = stream.set_read_timeout(Some(POLL_INTERVAL)).and(stream.set_nodelay(true));
        set.expect("a stream with a timeout");
    }
    let mut buffer = vec![0; 256 << 10];
    while !shared.stop.load(Ordering::Relaxed) {
        let Some(data) = read(&mut client, &mut buffer) else { break };
        match shared.decide(data) {
            Decision::Forward if server.write_all(data).is_err() => break,
            Decision::Forward => {}
            Decision::Close => break,
            Decision::Freeze => {
                while !shared.stop.load(Ordering::Relaxed) {
                    sleep(POLL_INTERVAL);
                }
            }
            Decision::Answer(answer) => {
                // The client may have disconnected.
                let _ = client.write_all(answer.as_bytes());
                let _ = client.shutdown(Shutdown::Write);
                while read(&mut client, &mut buffer).is_some_and(|_| !shared.stop.load(Ordering::Relaxed)) {}
                break;
            }
        }
        match read(&mut server, &mut buffer) {
            Some(bytes) if client.write_all(bytes).is_ok() => {}
            _ => break,
        }
    }
    // Either may be closed already.
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
}

/// Reads what has arrived, maybe nothing; `None` at the end.
fn read<'a>(stream: &mut TcpStream, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    match stream.read(buffer) {
        Ok(0) => None,
        Ok(count) => buffer.get(..count),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Some(&[]),
        Err(_) => None,
    }
}

enum Decision {
    Forward,
    Close,
    Freeze,
    Answer(String),
}

impl Shared {
    /// Decides what happens to data of the client, and updates the fault.
    fn decide(&self, data: &[u8]) -> Decision {
        let mut fault = lock(&self.fault);
        let (decision, next) = match fault.take() {
            Some(RegistryFault::Drop { after }) if after < data.len() => (Decision::Close, None),
            Some(RegistryFault::Drop { after }) => {
                (Decision::Forward, Some(RegistryFault::Drop { after: after - data.len() }))
            }
            Some(RegistryFault::Freeze { after }) if after < data.len() => {
                (Decision::Freeze, Some(RegistryFault::Freeze { after: 0 }))
            }
            Some(RegistryFault::Freeze { after }) => {
                (Decision::Forward, Some(RegistryFault::Freeze { after: after - data.len() }))
            }
            Some(RegistryFault::Refuse { method, status, times })
                if times > 0 && has_method(data, method) =>
            {
                let answer =
                    format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                (Decision::Answer(answer), Some(RegistryFault::Refuse { method, status, times: times - 1 }))
            }
            other => (Decision::Forward, other),
        };
        *fault = next;
        let is_forwarded = matches!(decision, Decision::Forward);
        *lock(&self.forwarded_bytes) += if is_forwarded { data.len() } else { 0 };
        *lock(&self.faults_met) += u32::from(!is_forwarded);
        decision
    }
}

fn has_method(data: &[u8], method: &str) -> bool {
    data.strip_prefix(method.as_bytes()).is_some_and(|rest| rest.starts_with(b" /"))
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
