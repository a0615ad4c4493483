//! `make bench`: ratios, measured in turn in one run, written as Markdown to standard output.
//!
//! The same binary plays the peers: `proxy`, `mirrors` and `echo`. `builds` measures only those.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measuring tool: it prints, and it may stop at a broken assumption"
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
mod throughput;
mod zmtp;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["proxy", clients, workers] => peers::proxy(clients, workers),
        ["mirrors", address, count] => peers::mirrors(address, count.parse()?),
        ["echo", address, count, slots] => peers::echo(address, count.parse()?, slots.parse()?),
        ["builds"] => {
            report::builds(&builds::measure()?);
            Ok(())
        }
        [] => Ok(report::write()?),
        other => Err(format!("unknown role {other:?}").into()),
    }
}
