//! `make bench`: measures ratios, each in turn within one run, and writes them as Markdown to standard output.
//!
//! With the name of a section it measures only that section; `throughput` may be followed by the rounds of each load and
//! the seconds of each round. The same binary runs the peers: `proxy`, `mirrors` and `echo`.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measuring tool prints, and may panic at a broken assumption"
)]

mod builds;
mod child;
mod cpu;
mod job;
mod jobs;
mod load;
mod peers;
mod pull;
mod ratio;
mod report;
mod sample_image;
mod throughput;
mod zmtp;

use std::time::Duration;

use throughput::ThroughputOptions;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["proxy", clients, workers] => peers::proxy(clients, workers),
        ["mirrors", address, count] => peers::mirrors(address, count.parse()?),
        ["echo", address, count, slots] => peers::echo(address, count.parse()?, slots.parse()?),
        ["throughput"] => Ok(report::throughput(ThroughputOptions::default())?),
        ["throughput", rounds, seconds] => {
            let rounds = rounds.parse()?;
            let time = Duration::from_secs_f64(seconds.parse()?);
            Ok(report::throughput(ThroughputOptions { rounds, time })?)
        }
        ["job"] => Ok(report::job()?),
        ["pull"] => Ok(report::pull()?),
        ["builds"] => Ok(report::builds()?),
        [] => Ok(report::write()?),
        other => Err(format!("unknown role {other:?}").into()),
    }
}
