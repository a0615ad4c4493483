//! A closed loop of requests: a number of connections with a number of requests in flight on each, for a given time.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::event::epoll;

use crate::zmtp::Connection;

/// The measurements of one run.
pub(crate) struct LoadResult {
    /// Answers per second.
    pub(crate) rate: f64,
    /// The median time of a request.
    pub(crate) p50: Duration,
    /// CPU time of the loaded process per answer.
    pub(crate) cpu: Duration,
}

/// The shape of a load.
#[derive(Clone, Copy)]
pub(crate) struct LoadShape {
    /// Number of connections.
    pub(crate) connections: usize,
    /// Requests in flight on each connection.
    pub(crate) in_flight: usize,
}

/// Sends requests to `address` for `time`, and measures the CPU time of `pid`. Every request has an id of its own that
/// starts with `prefix`; every answer must be a 200.
pub(crate) fn run(
    address: SocketAddr,
    pid: u32,
    shape: LoadShape,
    time: Duration,
    prefix: &str,
) -> io::Result<LoadResult> {
    let mut load = Load::open(address, shape, prefix)?;
    load.fill(shape.in_flight)?;
    load.run_until(Instant::now() + time / 5)?;
    load.reset();
    let cpu_before = crate::cpu::used(pid)?;
    let start = Instant::now();
    load.run_until(start + time)?;
    let cpu = crate::cpu::used(pid)? - cpu_before;
    let elapsed = start.elapsed();
    load.drain()?;
    load.result(elapsed, cpu)
}

struct Load {
    connections: Vec<Connection>,
    sent: Vec<Instant>,
    epoll: rustix::fd::OwnedFd,
    times: Vec<Duration>,
    prefix: String,
    open: usize,
    stopping: bool,
}

impl Load {
    fn open(address: SocketAddr, shape: LoadShape, prefix: &str) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(shape.connections);
        for index in 0..shape.connections {
            let connection = Connection::open(address)?;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, connection.stream(), data, epoll::EventFlags::IN)?;
            connections.push(connection);
        }
        let prefix = prefix.to_owned();
        Ok(Self { connections, sent: Vec::new(), epoll, times: Vec::new(), prefix, open: 0, stopping: false })
    }

    fn fill(&mut self, in_flight: usize) -> io::Result<()> {
        for index in 0..self.connections.len() {
            (0..in_flight).for_each(|_| self.send(index));
            self.connections[index].flush()?;
        }
        Ok(())
    }

    fn send(&mut self, index: usize) {
        let body = crate::job::request(&self.prefix, self.sent.len());
        self.sent.push(Instant::now());
        self.connections[index].queue(body.as_bytes());
        self.open += 1;
    }

    fn run_until(&mut self, end: Instant) -> io::Result<()> {
        while Instant::now() < end {
            self.step()?;
        }
        Ok(())
    }

    /// Waits for all answers, so that the next run starts with empty queues.
    fn drain(&mut self) -> io::Result<()> {
        self.stopping = true;
        let end = Instant::now() + Duration::from_secs(20);
        while self.open > 0 && Instant::now() < end {
            self.step()?;
        }
        if self.open == 0 {
            Ok(())
        } else {
            Err(io::Error::other(format!("{} requests have no answer", self.open)))
        }
    }

    fn step(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(256);
        let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout))?;
        for event in events {
            let index = usize::try_from(event.data.u64()).map_err(io::Error::other)?;
            let mut answered = Vec::new();
            self.connections[index].receive(|body| answered.push(crate::job::answered_sequence(body)))?;
            for sequence in answered {
                let sequence = sequence.map_err(io::Error::other)?;
                self.times.push(self.sent[sequence].elapsed());
                self.open -= 1;
                if !self.stopping {
                    self.send(index);
                }
            }
            self.connections[index].flush()?;
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.times.clear();
    }

    fn result(mut self, elapsed: Duration, cpu: Duration) -> io::Result<LoadResult> {
        self.times.sort_unstable();
        let count = u32::try_from(self.times.len()).map_err(io::Error::other)?;
        let p50 = *self.times.get(self.times.len() / 2).ok_or_else(|| io::Error::other("no answer"))?;
        Ok(LoadResult { rate: f64::from(count) / elapsed.as_secs_f64(), p50, cpu: cpu / count })
    }
}
