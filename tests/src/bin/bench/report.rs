//! Prints the report: the machine and all ratios.

use std::io;

use crate::throughput::ThroughputOptions;
use crate::{builds, jobs, pull, sample_image, throughput};

/// Measures everything and prints the report.
pub(crate) fn write() -> io::Result<()> {
    println!("# Benchmarks\n");
    println!(
        "Written by `make bench`. Ratios of measurements made in turn in one run: median [minimum to maximum].\n"
    );
    println!("Machine: {}.", machine());
    throughput(ThroughputOptions::default())?;
    job()?;
    pull()?;
    builds()
}

/// Prints the section about the router.
pub(crate) fn throughput(options: ThroughputOptions) -> io::Result<()> {
    eprintln!("bench: the router against zmq_proxy");
    let lines = throughput::measure(options)?;
    let rounds = options.rounds;
    let seconds = options.time.as_secs_f64();
    println!("\n## The router against libzmq's own proxy\n");
    println!(
        "Requests and answers of some 600 bytes, 4 workers with 64 slots in one process, {rounds} rounds of {seconds} s.\n"
    );
    println!("| load | answers a second | median time | processor time in the middle for each request |");
    println!("| --- | --- | --- | --- |");
    for line in lines {
        println!("| {} | {} | {} | {} |", line.load, line.rate, line.p50, line.cpu);
    }
    Ok(())
}

/// Prints the section about a whole job.
pub(crate) fn job() -> io::Result<()> {
    eprintln!("bench: a whole job against runc");
    let job = jobs::measure()?;
    println!("\n## A whole job against `runc run`\n");
    println!(
        "A container that writes one line, from request to answer, against a bare `runc run` of the same files with"
    );
    println!("runc's own default settings, which have no user namespace, no seccomp and no limits: {job}.");
    Ok(())
}

/// Prints the section about preparing a version.
pub(crate) fn pull() -> io::Result<()> {
    eprintln!("bench: pull and unpack against tar");
    let pulled = pull::measure()?;
    println!("\n## Getting a version ready\n");
    println!("`trackyard-worker configure` on a tmpfs: process, bootstrap, pull, both digests, unpack.\n");
    println!(
        "The image is made from a number, the same on every machine: half of its bytes in {} small files, half in {} large",
        sample_image::LAYERS * sample_image::SMALL_FILES,
        sample_image::LAYERS * sample_image::LARGE_FILES
    );
    println!("ones. The ratio depends on that: for few large files `tar x` hardly does more than copy.\n");
    println!("| what | figure |");
    println!("| --- | --- |");
    println!(
        "| an image of 5 layers, {} MB gzipped, against `tar x` of its tars, {} MB | {} |",
        pulled.gzipped / 1_000_000,
        pulled.tars / 1_000_000,
        pulled.unpack
    );
    println!("| most resident memory meanwhile | {} MiB |", pulled.memory >> 20);
    println!("| a next version with one new layer, slowest round | {:.2} s |", pulled.next.as_secs_f64());
    Ok(())
}

/// Prints the section about builds.
pub(crate) fn builds() -> io::Result<()> {
    eprintln!("bench: builds against the bare drivers");
    let lines = builds::measure()?;
    println!("\n## A build against the bare driver\n");
    println!(
        "A Dockerfile of four steps with warm caches, its last step new (half a second of sleep), from the request to"
    );
    println!(
        "the answer: fetch, build, unpack, smoke check and release to a layout directory. The bare driver, with the same"
    );
    println!(
        "files, labels and time stamps, builds to a directory; BuildKit's daemon is started for it too. 7 rounds, in turn.\n"
    );
    println!("| driver | by the bare driver's time | milliseconds more | bare driver by bare BuildKit |");
    println!("| --- | --- | --- | --- |");
    for builds::DriverResult { driver, ratio, additional, against_buildkit } in lines {
        println!("| {driver} | {ratio} | {additional} | {against_buildkit} |");
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
