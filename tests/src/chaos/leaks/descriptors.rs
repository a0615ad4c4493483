//! Counts the descriptors that processes hold open.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;

use crate::chaos::fleet::Fleet;

/// Additional descriptors that are allowed: connections of this process that are just closing.
const TOLERANCE: usize = 3;
/// Idle connections to S3 and the registry that a worker may keep for each slot: one to each, and as many that became
/// unnecessary while they were made.
const MAX_IDLE_PER_SLOT: usize = 4;

/// The number of descriptors of a process.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct DescriptorCounts {
    /// Connections to S3 and the registry, which HTTP clients keep idle for a while.
    idle: usize,
    /// All others.
    others: usize,
}

/// The descriptors of the router and of each worker.
#[derive(Default)]
pub(super) struct Descriptors {
    router: DescriptorCounts,
    workers: Vec<DescriptorCounts>,
}

impl Descriptors {
    pub(super) fn count(fleet: &mut Fleet) -> Self {
        let servers = [fleet.s3_proxy.address(), fleet.registry_proxy.address()];
        let workers = fleet.nodes.iter_mut().filter_map(|node| node.worker.as_mut());
        let workers = workers.map(|worker| count(worker.process().id(), &servers)).collect();
        Self { router: count(fleet.router.process().id(), &servers), workers }
    }

    /// Returns a problem for each process that holds more than `before`.
    pub(super) fn grown(&self, before: &Self, slots: u32) -> Vec<String> {
        let workers = self.workers.iter().zip(&before.workers).enumerate();
        let workers = workers.map(|(node, (now, before))| (format!("worker {node}"), now, before));
        let router = ("the router".to_owned(), &self.router, &before.router);
        let max_idle = MAX_IDLE_PER_SLOT * slots as usize;
        let grown = workers
            .chain([router])
            .filter(|(_, now, before)| now.others > before.others + TOLERANCE || now.idle > max_idle)
            .map(|(process, now, before)| {
                let DescriptorCounts { idle, others } = now;
                let first = before.others;
                format!("{process} has {others} descriptors, at first {first}, and {idle} idle connections")
            });
        grown.collect()
    }
}

fn count(pid: u32, servers: &[SocketAddr]) -> DescriptorCounts {
    let connections = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    let connections = connections_to(servers, &connections);
    let mut counts = DescriptorCounts::default();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        if target.to_str().is_some_and(|target| connections.contains(target)) {
            counts.idle += 1;
        } else {
            counts.others += 1;
        }
    }
    counts
}

/// Returns the sockets in `table`, a proc_pid_net(5) `tcp` table, that are connected to one of `servers`. Their names
/// are those to which the links in `/proc/<pid>/fd` point.
fn connections_to(servers: &[SocketAddr], table: &str) -> BTreeSet<String> {
    let ports: Vec<u16> = servers.iter().map(SocketAddr::port).collect();
    let socket = |line: &str| {
        let mut fields = line.split_whitespace();
        let (_, port) = fields.nth(2)?.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let inode = fields.nth(6)?;
        ports.contains(&port).then(|| format!("socket:[{inode}]"))
    };
    table.lines().filter_map(socket).collect()
}

#[cfg(test)]
mod tests {
    use super::{DescriptorCounts, Descriptors, connections_to};

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:9C19 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1 0 100 0 0 10 0
   1: 0100007F:9A94 0100007F:9C19 01 00000000:00000000 00:00000000 00000000     0        0 102 1 0 20 4 30 10 -1
   2: 0100007F:9A95 0100007F:9C20 01 00000000:00000000 00:00000000 00000000     0        0 103 1 0 20 4 30 10 -1
";

    #[test]
    fn connections_are_found_by_port() {
        let found = connections_to(&["127.0.0.1:39961".parse().unwrap()], TABLE);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["socket:[102]"]);
    }

    #[test]
    fn idle_connections_are_bounded_and_others_must_not_grow() {
        let with = |idle, others| Descriptors {
            router: DescriptorCounts::default(),
            workers: vec![DescriptorCounts { idle, others }],
        };
        for (now, grown) in [((16, 33), 0), ((17, 30), 1), ((0, 34), 1)] {
            let found = with(now.0, now.1).grown(&with(0, 30), 4);
            assert_eq!(found.len(), grown, "{now:?}: {found:?}");
        }
    }
}
