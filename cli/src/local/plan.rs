//! The processes of a platform and their command lines. Pure.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::TrackSlug;

/// How long a worker's jobs may go on when the platform stops.
pub(super) const DRAIN_TIMEOUT: &str = "5s";

/// A worker to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WorkerPlan {
    /// The worker's channel.
    pub(super) channel: Channel,
    /// The track that the worker is scoped to; `None` for a generic worker.
    pub(super) track: Option<TrackSlug>,
    /// Additional arguments.
    pub(super) flags: Vec<String>,
}

impl WorkerPlan {
    /// Returns the worker's name, such as `test-runners` or `test-runners-ruby`.
    pub(super) fn name(&self) -> String {
        let channel = self.channel.as_str().replace('_', "-");
        self.track.as_ref().map_or(channel.clone(), |track| format!("{channel}-{track}"))
    }
}

/// Returns a generic worker for each tooling channel, and a test-runner worker for each track of `scoped`.
pub(super) fn all_workers(scoped: &[TrackSlug]) -> Vec<WorkerPlan> {
    let generic = Channel::TOOLING.map(|channel| (channel, None));
    let scoped = scoped.iter().map(|track| (Channel::TestRunners, Some(track.clone())));
    let workers = generic.into_iter().chain(scoped);
    workers.map(|(channel, track)| WorkerPlan { channel, track, flags: Vec::new() }).collect()
}

/// A process to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProcessSpec {
    /// The process's name, and that of its log.
    pub(super) name: String,
    /// The binary to run.
    pub(super) binary: PathBuf,
    /// The command line's arguments.
    pub(super) args: Vec<String>,
    /// The address of its admin port.
    pub(super) admin: SocketAddr,
}

/// The router's addresses.
#[derive(Debug, Clone, Copy)]
pub(super) struct RouterAddresses {
    /// The port for clients.
    pub(super) clients: SocketAddr,
    /// The port for workers.
    pub(super) workers: SocketAddr,
    /// The admin port.
    pub(super) admin: SocketAddr,
}

/// Returns the router's process.
pub(super) fn router(binary: &Path, config: &Path, addresses: RouterAddresses) -> ProcessSpec {
    let flags = [
        ("--clients", format!("tcp://{}", addresses.clients)),
        ("--workers", format!("tcp://{}", addresses.workers)),
        ("--admin", addresses.admin.to_string()),
    ];
    let mut args = vec![config.display().to_string()];
    args.extend(flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]));
    ProcessSpec { name: "router".to_owned(), binary: binary.to_owned(), args, admin: addresses.admin }
}

/// Returns a worker's process. `router` is the router's port for clients.
pub(super) fn worker(
    binary: &Path,
    plan: &WorkerPlan,
    dir: &Path,
    slots: u32,
    router: SocketAddr,
    admin: SocketAddr,
) -> ProcessSpec {
    let topic = plan.track.as_ref().map_or_else(String::new, |track| format!("?topic={track}"));
    let args = [
        "listen".to_owned(),
        plan.name(),
        format!("tcp://{router}/{}{topic}", plan.channel),
        dir.display().to_string(),
        "--slots".to_owned(),
        slots.to_string(),
        "--admin".to_owned(),
        admin.to_string(),
        "--drain-timeout".to_owned(),
        DRAIN_TIMEOUT.to_owned(),
    ];
    let args = args.into_iter().chain(plan.flags.clone()).collect();
    ProcessSpec { name: plan.name(), binary: binary.to_owned(), args, admin }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn command_lines() {
        let addresses = RouterAddresses { clients: at(1), workers: at(2), admin: at(3) };
        let mut lines =
            vec![router(Path::new("trackyard-router"), Path::new("/d/router.yml"), addresses).args.join(" ")];
        for plan in all_workers(&[TrackSlug::new("ruby").unwrap()]) {
            let spec = worker(Path::new("trackyard-worker"), &plan, Path::new("/d/w"), 2, at(1), at(4));
            lines.push(spec.args.join(" "));
        }
        insta::assert_snapshot!(lines.join("\n"));
    }
}
