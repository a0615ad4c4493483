//! A wire to a registry that can be made to break, freeze or refuse.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

const STEP: Duration = Duration::from_millis(5);

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks once so many more bytes went to the registry; once.
    Drop {
        /// How many bytes still go through.
        after: usize,
    },
    /// Every connection freezes once so many more bytes went to the registry.
    Freeze {
        /// How many bytes still go through.
        after: usize,
    },
    /// Requests of this method are answered with this status, and not passed on.
    Refuse {
        /// As `PATCH`.
        method: &'static str,
        /// The HTTP status.
        status: u16,
        /// For how many requests.
        times: u32,
    },
}

#[derive(Default)]
struct Shared {
    fault: Mutex<Option<Fault>>,
    met: Mutex<u32>,
    passed: Mutex<usize>,
    stop: AtomicBool,
}

/// A running wire.
pub struct Faulty {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Faulty {
    /// Starts one to the registry at `backend` (`127.0.0.1:<port>`).
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start(backend: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let address = listener.local_addr().expect("the port of a bound listener");
        listener.set_nonblocking(true).expect("a listener that can be stopped");
        let shared = Arc::new(Shared::default());
        let (of_thread, backend) = (Arc::clone(&shared), backend.to_owned());
        let thread = std::thread::spawn(move || accept(&listener, &backend, &of_thread));
        Self { address, shared, thread: Some(thread) }
    }

    /// `127.0.0.1:<port>`.
    #[must_use]
    pub fn location(&self) -> String {
        self.address.to_string()
    }

    /// From now on this goes wrong; nothing, with `None`.
    pub fn set(&self, fault: Option<Fault>) {
        *lock(&self.shared.fault) = fault;
    }

    /// How many bytes went to the registry.
    #[must_use]
    pub fn passed(&self) -> usize {
        *lock(&self.shared.passed)
    }

    /// How often something went wrong.
    #[must_use]
    pub fn met(&self) -> u32 {
        *lock(&self.shared.met)
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // It fails only if the thread is gone already.
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
                threads.push(std::thread::spawn(move || connection(client, server, &shared)));
            }
            Err(_) => sleep(STEP),
        }
    }
    for thread in threads {
        // A thread that failed has shown why.
        let _ = thread.join();
    }
}

/// Passes on what both sides say, until one is silent for good.
fn connection(mut client: TcpStream, mut server: TcpStream, shared: &Shared) {
    let set = |stream: &TcpStream| stream.set_read_timeout(Some(STEP)).and(stream.set_nodelay(true));
    set(&client).and(set(&server)).expect("a stream with a timeout");
    let mut buffer = vec![0; 256 << 10];
    while !shared.stop.load(Ordering::Relaxed) {
        let Some(said) = read(&mut client, &mut buffer) else { break };
        match shared.verdict(said) {
            Verdict::Pass if server.write_all(said).is_err() => break,
            Verdict::Pass => {}
            Verdict::Break => break,
            Verdict::Wait => {
                while !shared.stop.load(Ordering::Relaxed) {
                    sleep(STEP);
                }
            }
            Verdict::Say(answer) => {
                // The client may have gone.
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

/// What came, maybe nothing yet; `None` at the end.
fn read<'a>(stream: &mut TcpStream, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    match stream.read(buffer) {
        Ok(0) => None,
        Ok(count) => buffer.get(..count),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Some(&[]),
        Err(_) => None,
    }
}

enum Verdict {
    Pass,
    Break,
    Wait,
    Say(String),
}

impl Shared {
    fn verdict(&self, said: &[u8]) -> Verdict {
        let mut fault = lock(&self.fault);
        let (verdict, next) = match fault.take() {
            Some(Fault::Drop { after }) if after < said.len() => (Verdict::Break, None),
            Some(Fault::Drop { after }) => (Verdict::Pass, Some(Fault::Drop { after: after - said.len() })),
            Some(Fault::Freeze { after }) if after < said.len() => {
                (Verdict::Wait, Some(Fault::Freeze { after: 0 }))
            }
            Some(Fault::Freeze { after }) => {
                (Verdict::Pass, Some(Fault::Freeze { after: after - said.len() }))
            }
            Some(Fault::Refuse { method, status, times }) if times > 0 && starts(said, method) => {
                let answer =
                    format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                (Verdict::Say(answer), Some(Fault::Refuse { method, status, times: times - 1 }))
            }
            other => (Verdict::Pass, other),
        };
        *fault = next;
        *lock(&self.passed) += if matches!(verdict, Verdict::Pass) { said.len() } else { 0 };
        *lock(&self.met) += u32::from(!matches!(verdict, Verdict::Pass));
        verdict
    }
}

fn starts(said: &[u8], method: &str) -> bool {
    said.strip_prefix(method.as_bytes()).is_some_and(|rest| rest.starts_with(b" /"))
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
