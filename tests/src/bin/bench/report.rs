//! The report: what machine, and every ratio.

use std::io;

use crate::throughput;

/// Measures everything and prints the report.
pub fn write() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let lines = throughput::measure(folder.path())?;
    println!("# Benchmarks\n");
    println!(
        "Written by `make bench`. Ratios of what was measured in turn in one run: median [least to largest].\n"
    );
    println!("Machine: {}.\n", machine());
    println!("## The router against libzmq's own proxy\n");
    println!(
        "Requests and answers of some 600 bytes, 4 workers with 64 slots in one process, 7 rounds of 2 s.\n"
    );
    println!("| load | answers a second | median time | router's processor time for each request |");
    println!("| --- | --- | --- | --- |");
    for line in lines {
        println!("| {} | {} | {} | {} |", line.load, line.rate, line.p50, line.cpu);
    }
    Ok(())
}

fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or(" : unknown");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cpus} × {}, Linux {}", model.trim_start_matches(['\t', ' ', ':']), kernel.trim())
}
