//! The peers of the load: echo workers, which speak the worker protocol, for the router, and for comparison libzmq's
//! own proxy with workers that return what they receive. Each runs as a process of its own.

use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::token::Incarnation;
use trackyard_protocol::worker::{
    Batch, FromRouter, FromWorker, Hello, Load, Messages, PROTOCOL, TrackVersion,
};

use crate::job::{DIGEST, RESPONSE, VERSION};

type PeerResult = Result<(), Box<dyn std::error::Error>>;

/// Runs libzmq's proxy between two ports, until killed.
pub(crate) fn proxy(clients: &str, workers: &str) -> PeerResult {
    let context = zmq::Context::new();
    let front = context.socket(zmq::ROUTER)?;
    let back = context.socket(zmq::DEALER)?;
    for socket in [&front, &back] {
        socket.set_sndhwm(0)?;
        socket.set_rcvhwm(0)?;
    }
    front.bind(clients)?;
    back.bind(workers)?;
    zmq::proxy(&front, &back)?;
    Ok(())
}

/// Runs `count` workers that return what they receive, until killed.
pub(crate) fn mirrors(address: &str, count: usize) -> PeerResult {
    let sockets = connect(address, count)?;
    let mut items: Vec<_> = sockets.iter().map(|s| s.as_poll_item(zmq::POLLIN)).collect();
    loop {
        zmq::poll(&mut items, -1)?;
        for (item, socket) in items.iter().zip(&sockets) {
            while item.is_readable() {
                let Ok(frames) = socket.recv_multipart(zmq::DONTWAIT) else { break };
                socket.send_multipart(frames, 0)?;
            }
        }
    }
}

/// Runs `count` workers with `slots` each, whose jobs take no time, until killed.
pub(crate) fn echo(address: &str, count: usize, slots: u32) -> PeerResult {
    let sockets = connect(address, count)?;
    let mut workers = Vec::with_capacity(count);
    for (index, socket) in sockets.iter().enumerate() {
        workers.push(EchoWorker { socket, index, slots, outgoing: Batch::default() });
        socket.send_multipart(hello(index, slots)?.encode(), 0)?;
    }
    let mut items: Vec<_> = sockets.iter().map(|s| s.as_poll_item(zmq::POLLIN)).collect();
    loop {
        zmq::poll(&mut items, 500)?;
        for (item, worker) in items.iter().zip(&mut workers) {
            if item.is_readable() {
                worker.on_readable()?;
            }
        }
    }
}

fn connect(address: &str, count: usize) -> Result<Vec<zmq::Socket>, zmq::Error> {
    let context = zmq::Context::new();
    (0..count)
        .map(|_| {
            let socket = context.socket(zmq::DEALER)?;
            socket.set_sndhwm(0)?;
            socket.set_rcvhwm(0)?;
            socket.connect(address)?;
            Ok(socket)
        })
        .collect()
}

fn hello(index: usize, slots: u32) -> Result<FromWorker, Box<dyn std::error::Error>> {
    let version = TrackVersion { track: "ruby".parse()?, version: format!("{VERSION}@{DIGEST}").parse()? };
    Ok(FromWorker::Hello(Box::new(Hello {
        protocol: PROTOCOL,
        name: format!("echo-{index}").parse()?,
        incarnation: Incarnation(index as u64),
        pool: None,
        channel: Channel::TestRunners,
        topics: Topics::any(),
        slots,
        versions: vec![version],
        jobs: Vec::new(),
        bootstrap: None,
        draining: false,
        release: String::new(),
    })))
}

/// A worker whose jobs take no time. Like the real worker, it receives all that has arrived, and then sends one batch.
/// It parses as little of a job as possible, because the router is measured, and the workers share the machine with it.
struct EchoWorker<'a> {
    socket: &'a zmq::Socket,
    index: usize,
    slots: u32,
    outgoing: Batch,
}

impl EchoWorker<'_> {
    fn on_readable(&mut self) -> PeerResult {
        while let Ok(frames) = self.socket.recv_multipart(zmq::DONTWAIT) {
            for message in Messages::of(&frames) {
                self.on_message(message?.frames())?;
            }
        }
        self.flush()
    }

    fn on_message(&mut self, frames: &[&[u8]]) -> PeerResult {
        if let [b"Job", body] = frames {
            let Job { token, key } = serde_json::from_slice(body)?;
            self.send(&[&b"Accepted"[..], format!("{{\"token\":\"{token}\"}}").as_bytes()])?;
            let header = format!("{{\"token\":\"{token}\",\"key\":\"{key}\",{RESULT}}}");
            return self.send(&[&b"Result"[..], header.as_bytes(), RESPONSE.as_bytes(), CONTEXT]);
        }
        match FromRouter::decode(frames)? {
            FromRouter::Heartbeat => self.send(&FromWorker::Heartbeat(Load::default()).encode()),
            FromRouter::SayHello => self.send(&hello(self.index, self.slots)?.encode()),
            _ => Ok(()),
        }
    }

    fn send(&mut self, frames: &[impl AsRef<[u8]>]) -> PeerResult {
        if !self.outgoing.push(frames) {
            self.flush()?;
            self.outgoing.push(frames);
        }
        Ok(())
    }

    fn flush(&mut self) -> PeerResult {
        for message in self.outgoing.messages(true) {
            self.socket.send_multipart(message.frames(), 0)?;
        }
        self.outgoing.clear();
        Ok(())
    }
}

/// The fields of a job that an echo worker reads.
#[derive(serde::Deserialize)]
struct Job<'a> {
    token: &'a str,
    key: &'a str,
}

const CONTEXT: &[u8] = br#"{"exit_status":0}"#;
const RESULT: &str = r#""status_code":200,"reason":"ok","message":"","usage":{"queue_ms":0,"setup_ms":0,"launch_ms":0,"wall_ms":0,"cpu_user_ms":0,"cpu_sys_ms":0,"memory_peak_bytes":0,"pids_peak":0,"stdout_bytes":0,"stderr_bytes":0}"#;
