//! Which processes make up the platform, and how each is started. Pure.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::TrackSlug;

/// How long a worker's jobs may go on when all is taken down.
pub(super) const DRAIN: &str = "5s";

/// One worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WorkerPlan {
    /// Its channel.
    pub(super) channel: Channel,
    /// The track it is scoped to; none for a generic worker.
    pub(super) track: Option<TrackSlug>,
    /// More of its command line.
    pub(super) flags: Vec<String>,
}

impl WorkerPlan {
    /// The worker's name, such as `test-runners` or `test-runners-ruby`.
    pub(super) fn name(&self) -> String {
        let channel = self.channel.as_str().replace('_', "-");
        self.track.as_ref().map_or(channel.clone(), |track| format!("{channel}-{track}"))
    }
}

/// A generic worker for each tooling channel, and a test-runner worker for each of `scoped`.
pub(super) fn all_workers(scoped: &[TrackSlug]) -> Vec<WorkerPlan> {
    let generic =
        Channel::TOOLING.into_iter().map(|channel| WorkerPlan { channel, track: None, flags: Vec::new() });
    let own = |track: &TrackSlug| WorkerPlan {
        channel: Channel::TestRunners,
        track: Some(track.clone()),
        flags: Vec::new(),
    };
    generic.chain(scoped.iter().map(own)).collect()
}

/// A process to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Its name, also of its log.
    pub(super) name: String,
    /// The binary.
    pub(super) binary: PathBuf,
    /// The arguments.
    pub(super) args: Vec<String>,
    /// Where it says if it is ready.
    pub(super) admin: SocketAddr,
}

/// The router's addresses.
#[derive(Debug, Clone, Copy)]
pub(super) struct RouterAddresses {
    /// For clients.
    pub(super) clients: SocketAddr,
    /// For workers.
    pub(super) workers: SocketAddr,
    /// For `/readyz`.
    pub(super) admin: SocketAddr,
}

/// The router's process.
pub(super) fn router(binary: &Path, config: &Path, at: RouterAddresses) -> Part {
    let flags = [
        ("--clients", format!("tcp://{}", at.clients)),
        ("--workers", format!("tcp://{}", at.workers)),
        ("--admin", at.admin.to_string()),
    ];
    let mut args = vec![config.display().to_string()];
    args.extend(flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]));
    Part { name: "router".to_owned(), binary: binary.to_owned(), args, admin: at.admin }
}

/// A worker's process.
pub(super) fn worker(
    binary: &Path,
    plan: &WorkerPlan,
    dir: &Path,
    slots: u32,
    (clients, admin): (SocketAddr, SocketAddr),
) -> Part {
    let topic = plan.track.as_ref().map_or_else(String::new, |track| format!("?topic={track}"));
    let args = [
        "listen".to_owned(),
        plan.name(),
        format!("tcp://{clients}/{}{topic}", plan.channel),
        dir.display().to_string(),
        "--slots".to_owned(),
        slots.to_string(),
        "--admin".to_owned(),
        admin.to_string(),
        "--drain-timeout".to_owned(),
        DRAIN.to_owned(),
    ];
    let args = args.into_iter().chain(plan.flags.clone()).collect();
    Part { name: plan.name(), binary: binary.to_owned(), args, admin }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn the_command_lines_are_those_of_the_design() {
        let addresses = RouterAddresses { clients: at(1), workers: at(2), admin: at(3) };
        let mut lines =
            vec![router(Path::new("trackyard-router"), Path::new("/d/router.yml"), addresses).args.join(" ")];
        for plan in all_workers(&[TrackSlug::new("ruby").unwrap()]) {
            let part = worker(Path::new("trackyard-worker"), &plan, Path::new("/d/w"), 2, (at(1), at(4)));
            lines.push(part.args.join(" "));
        }
        insta::assert_snapshot!(lines.join("\n"));
    }
}
