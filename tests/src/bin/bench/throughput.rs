//! The router against libzmq's own proxy, in turn, over several rounds.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::child::{self, Running};
use crate::job::{DIGEST, VERSION};
use crate::load::{self, Measured, Shape};
use crate::ratio::Ratio;

const ROUNDS: usize = 7;
const WORKERS: usize = 4;
const SLOTS: u32 = 64;

/// A thing to load: a process in the middle and its workers.
struct Subject {
    middle: Running,
    _workers: Running,
    clients: SocketAddr,
}

/// One line of the report: what was measured, router by proxy.
pub struct Line {
    /// The load.
    pub load: &'static str,
    /// Answers a second.
    pub rate: Ratio,
    /// Median time of a request.
    pub p50: Ratio,
    /// Processor time of the middle process for each request.
    pub cpu: Ratio,
}

/// Measures everything.
pub fn measure(folder: &Path) -> io::Result<Vec<Line>> {
    let proxy = start_proxy()?;
    let router = start_router(folder)?;
    let shapes = [
        ("8 connections × 125 in flight", Shape { connections: 8, in_flight: 125 }),
        ("1000 connections × 1 in flight", Shape { connections: 1000, in_flight: 1 }),
        ("1 in flight", Shape { connections: 1, in_flight: 1 }),
    ];
    shapes.into_iter().map(|(name, shape)| line(name, shape, &router, &proxy)).collect()
}

fn line(load: &'static str, shape: Shape, router: &Subject, proxy: &Subject) -> io::Result<Line> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        rounds.push((run(router, shape, round)?, run(proxy, shape, round)?));
    }
    let by = |figure: fn(&Measured) -> f64| Ratio::of(rounds.iter().map(|(r, p)| figure(r) / figure(p)));
    Ok(Line {
        load,
        rate: by(|m| m.rate),
        p50: by(|m| m.p50.as_secs_f64()),
        cpu: by(|m| m.cpu.as_secs_f64()),
    })
}

fn run(subject: &Subject, shape: Shape, round: usize) -> io::Result<Measured> {
    let prefix = format!("r{round}c{}", shape.connections);
    load::run(subject.clients, subject.middle.pid(), shape, Duration::from_secs(2), &prefix)
}

fn start_proxy() -> io::Result<Subject> {
    let (clients, workers) = (child::free_port()?, child::free_port()?);
    let middle = child::role(&["proxy", &tcp(clients), &tcp(workers)])?;
    child::wait_for(clients)?;
    let workers = child::role(&["mirrors", &tcp(workers), &WORKERS.to_string()])?;
    Ok(Subject { middle, _workers: workers, clients })
}

fn start_router(folder: &Path) -> io::Result<Subject> {
    let (clients, workers, admin) = (child::free_port()?, child::free_port()?, child::free_port()?);
    let config = format!(
        "images: {{kind: layout, location: {images}}}\n\
         inputs: {{buckets: [submissions]}}\n\
         queue: {{max_wait: 30s}}\n\
         container_versions: {{test_runners: {{ruby: ['{VERSION}@{DIGEST}']}}}}\n",
        images = folder.display(),
    );
    let config = child::file(folder, "router.yml", &config)?;
    let mut command = Command::new(child::sibling("trackyard-router")?);
    command.arg(config).args(["--clients", &tcp(clients), "--workers", &tcp(workers)]);
    command.args(["--admin", &admin.to_string()]).env("TRACKYARD_LOG", "warn");
    let middle = Running::start(&mut command)?;
    child::wait_for(clients)?;
    let workers = child::role(&["echo", &tcp(workers), &WORKERS.to_string(), &SLOTS.to_string()])?;
    let subject = Subject { middle, _workers: workers, clients };
    // The router dispatches nothing for its first seconds: the first answer tells that they are over.
    load::run(
        clients,
        subject.middle.pid(),
        Shape { connections: 1, in_flight: 1 },
        Duration::from_secs(3),
        "w",
    )?;
    Ok(subject)
}

fn tcp(address: SocketAddr) -> String {
    format!("tcp://{address}")
}
