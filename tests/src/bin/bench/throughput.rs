//! Compares the router with libzmq's own proxy, in turn, over several rounds.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use e2e::config::Config;
use e2e::router::Router;
use e2e::wait::wait_until;

use crate::child::{self, Running, free_address};
use crate::job::{DIGEST, VERSION};
use crate::load::{self, LoadResult, LoadShape};
use crate::ratio::Ratio;

const WORKERS: usize = 4;
const SLOTS: u32 = 64;

/// How long each load is measured.
#[derive(Clone, Copy)]
pub(crate) struct ThroughputOptions {
    /// Number of rounds, each of the router and then the proxy; at least one.
    pub(crate) rounds: usize,
    /// Time of the router and of the proxy in each round.
    pub(crate) time: Duration,
}

impl Default for ThroughputOptions {
    fn default() -> Self {
        Self { rounds: 7, time: Duration::from_secs(2) }
    }
}

/// A process to load, with its workers.
struct Subject {
    pid: u32,
    clients: SocketAddr,
    _processes: Processes,
}

enum Processes {
    Proxy { _workers: Running, _proxy: Running },
    Router { _workers: Running, _router: Box<Router> },
}

/// One line of the report: the router's measurements divided by the proxy's.
pub(crate) struct ThroughputResult {
    /// The load.
    pub(crate) load: &'static str,
    /// Answers per second.
    pub(crate) rate: Ratio,
    /// Median time of a request.
    pub(crate) p50: Ratio,
    /// CPU time of the loaded process per request.
    pub(crate) cpu: Ratio,
}

/// Measures everything.
pub(crate) fn measure(options: ThroughputOptions) -> io::Result<Vec<ThroughputResult>> {
    let proxy = start_proxy()?;
    let router = start_router()?;
    let shapes = [
        ("8 connections × 125 in flight", LoadShape { connections: 8, in_flight: 125 }),
        ("1000 connections × 1 in flight", LoadShape { connections: 1000, in_flight: 1 }),
        ("1 in flight", LoadShape { connections: 1, in_flight: 1 }),
    ];
    shapes.into_iter().map(|(name, shape)| compare(name, shape, options, &router, &proxy)).collect()
}

fn compare(
    load: &'static str,
    shape: LoadShape,
    options: ThroughputOptions,
    router: &Subject,
    proxy: &Subject,
) -> io::Result<ThroughputResult> {
    let mut rounds = Vec::with_capacity(options.rounds);
    for round in 0..options.rounds {
        let run = |subject| run(subject, shape, options.time, round);
        rounds.push((run(router)?, run(proxy)?));
    }
    if let Some((router, proxy)) = rounds.last() {
        let rates = [router.rate, proxy.rate];
        let micros = [router.cpu, proxy.cpu].map(|cpu| cpu.as_secs_f64() * 1e6);
        eprintln!(
            "bench: {load}: last {:.0} answers a second, {:.2} µs each; of the proxy {:.0}, {:.2} µs",
            rates[0], micros[0], rates[1], micros[1]
        );
    }
    let ratio = |value: fn(&LoadResult) -> f64| {
        Ratio::of(rounds.iter().map(|(router, proxy)| value(router) / value(proxy)))
    };
    Ok(ThroughputResult {
        load,
        rate: ratio(|result| result.rate),
        p50: ratio(|result| result.p50.as_secs_f64()),
        cpu: ratio(|result| result.cpu.as_secs_f64()),
    })
}

fn run(subject: &Subject, shape: LoadShape, time: Duration, round: usize) -> io::Result<LoadResult> {
    let prefix = format!("r{round}c{}", shape.connections);
    load::run(subject.clients, subject.pid, shape, time, &prefix)
}

fn start_proxy() -> io::Result<Subject> {
    let clients = free_address();
    let workers = free_address();
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
    let one = LoadShape { connections: 1, in_flight: 1 };
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
