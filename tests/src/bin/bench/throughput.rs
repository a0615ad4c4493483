//! The router against libzmq's own proxy, in turn, over several rounds.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use e2e::config::Config;
use e2e::router::Router;
use e2e::wait::wait_until;

use crate::child::{self, Running, free_address};
use crate::job::{DIGEST, VERSION};
use crate::load::{self, Measured, Shape};
use crate::ratio::Ratio;

const WORKERS: usize = 4;
const SLOTS: u32 = 64;

/// How much is measured of each load.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// Rounds, of the router and the proxy in turn; at least one.
    pub(crate) rounds: usize,
    /// The time of each.
    pub(crate) time: Duration,
}

impl Default for Extent {
    fn default() -> Self {
        Self { rounds: 7, time: Duration::from_secs(2) }
    }
}

/// A thing to load: a process in the middle and its workers.
struct Subject {
    pid: u32,
    clients: SocketAddr,
    _processes: Processes,
}

enum Processes {
    Proxy { _workers: Running, _proxy: Running },
    Router { _workers: Running, _router: Box<Router> },
}

/// One line of the report: what was measured, router by proxy.
pub(crate) struct Line {
    /// The load.
    pub(crate) load: &'static str,
    /// Answers a second.
    pub(crate) rate: Ratio,
    /// Median time of a request.
    pub(crate) p50: Ratio,
    /// Processor time of the middle process for each request.
    pub(crate) cpu: Ratio,
}

/// Measures everything.
pub(crate) fn measure(extent: Extent) -> io::Result<Vec<Line>> {
    let proxy = start_proxy()?;
    let router = start_router()?;
    let shapes = [
        ("8 connections × 125 in flight", Shape { connections: 8, in_flight: 125 }),
        ("1000 connections × 1 in flight", Shape { connections: 1000, in_flight: 1 }),
        ("1 in flight", Shape { connections: 1, in_flight: 1 }),
    ];
    shapes.into_iter().map(|(name, shape)| line(name, shape, extent, &router, &proxy)).collect()
}

fn line(
    load: &'static str,
    shape: Shape,
    extent: Extent,
    router: &Subject,
    proxy: &Subject,
) -> io::Result<Line> {
    let mut rounds = Vec::with_capacity(extent.rounds);
    for round in 0..extent.rounds {
        let run = |subject| run(subject, shape, extent.time, round);
        rounds.push((run(router)?, run(proxy)?));
    }
    if let Some((router, proxy)) = rounds.last() {
        let (rates, micros) =
            ([router.rate, proxy.rate], [router.cpu, proxy.cpu].map(|cpu| cpu.as_secs_f64() * 1e6));
        eprintln!(
            "bench: {load}: last {:.0} answers a second, {:.2} µs each; of the proxy {:.0}, {:.2} µs",
            rates[0], micros[0], rates[1], micros[1]
        );
    }
    let by = |figure: fn(&Measured) -> f64| Ratio::of(rounds.iter().map(|(r, p)| figure(r) / figure(p)));
    Ok(Line {
        load,
        rate: by(|m| m.rate),
        p50: by(|m| m.p50.as_secs_f64()),
        cpu: by(|m| m.cpu.as_secs_f64()),
    })
}

fn run(subject: &Subject, shape: Shape, time: Duration, round: usize) -> io::Result<Measured> {
    let prefix = format!("r{round}c{}", shape.connections);
    load::run(subject.clients, subject.pid, shape, time, &prefix)
}

fn start_proxy() -> io::Result<Subject> {
    let (clients, workers) = (free_address(), free_address());
    let proxy = child::role(&["proxy", &tcp(clients), &tcp(workers)])?;
    child::wait_for(clients);
    let mirrors = child::role(&["mirrors", &tcp(workers), &WORKERS.to_string()])?;
    let pid = proxy.pid();
    Ok(Subject { pid, clients, _processes: Processes::Proxy { _workers: mirrors, _proxy: proxy } })
}

fn start_router() -> io::Result<Subject> {
    let dir = tempfile::tempdir()?;
    let pinned = format!("{VERSION}@{DIGEST}");
    let config = Config::layout(dir.path())
        .deployed("test_runners", "ruby", &[&pinned])
        .bucket("submissions", "http://127.0.0.1:9");
    let mut router = Router::start(&config);
    let workers = child::role(&["echo", &router.workers(), &WORKERS.to_string(), &SLOTS.to_string()])?;
    let clients = router.clients().trim_start_matches("tcp://").parse().map_err(io::Error::other)?;
    let pid = router.process().id();
    let one = Shape { connections: 1, in_flight: 1 };
    wait_until(Duration::from_secs(30), "a first answer of an echo worker", || {
        load::run(clients, pid, one, Duration::from_millis(50), "w").is_ok()
    });
    Ok(Subject {
        pid,
        clients,
        _processes: Processes::Router { _workers: workers, _router: Box::new(router) },
    })
}

fn tcp(address: SocketAddr) -> String {
    format!("tcp://{address}")
}
