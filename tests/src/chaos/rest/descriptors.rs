//! What processes hold open.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;

use crate::chaos::yard::Yard;

/// Connections of this process that are just closing.
const SLACK: usize = 3;
/// Idle connections to S3 and the registry that a worker may keep for each of its slots: one to each, and as many whose
/// place another took while they were made.
const KEPT_PER_SLOT: usize = 4;

/// The descriptors of a process.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Held {
    /// Connections to S3 and to the registry: clients of HTTP keep them for a while when they are done.
    kept: usize,
    /// All others.
    others: usize,
}

/// The descriptors of the router, and of each worker.
#[derive(Default)]
pub(super) struct Descriptors {
    router: Held,
    workers: Vec<Held>,
}

impl Descriptors {
    pub(super) fn look(yard: &mut Yard) -> Self {
        let servers = [yard.s3_wire.address(), yard.registry_wire.address()];
        let workers = yard.seats.iter_mut().filter_map(|seat| seat.worker.as_mut());
        let workers = workers.map(|worker| held(worker.process().id(), &servers)).collect();
        Self { router: held(yard.router.process().id(), &servers), workers }
    }

    /// Who holds more than it did `before`.
    pub(super) fn grown(&self, before: &Self, slots: u32) -> Vec<String> {
        let workers = self.workers.iter().zip(&before.workers).enumerate();
        let workers = workers.map(|(seat, (now, before))| (format!("worker {seat}"), now, before));
        let router = ("the router".to_owned(), &self.router, &before.router);
        let kept = KEPT_PER_SLOT * slots as usize;
        let grown = workers
            .chain([router])
            .filter(|(_, now, before)| now.others > before.others + SLACK || now.kept > kept)
            .map(|(who, now, before)| {
                let Held { kept, others } = now;
                let first = before.others;
                format!("{who} has {others} descriptors, at first {first}, and {kept} kept connections")
            });
        grown.collect()
    }
}

fn held(pid: u32, servers: &[SocketAddr]) -> Held {
    let connections = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    let connections = connections_to(servers, &connections);
    let mut held = Held::default();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        if target.to_str().is_some_and(|target| connections.contains(target)) {
            held.kept += 1;
        } else {
            held.others += 1;
        }
    }
    held
}

/// The sockets of `table`, a proc_pid_net(5) `tcp` table, that are connected to one of `servers`, as links to
/// descriptors name them.
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
    use super::{Descriptors, Held, connections_to};

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:9C19 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1 0 100 0 0 10 0
   1: 0100007F:9A94 0100007F:9C19 01 00000000:00000000 00:00000000 00000000     0        0 102 1 0 20 4 30 10 -1
   2: 0100007F:9A95 0100007F:9C20 01 00000000:00000000 00:00000000 00000000     0        0 103 1 0 20 4 30 10 -1
";

    #[test]
    fn a_connection_is_known_by_the_port_it_goes_to() {
        let found = connections_to(&["127.0.0.1:39961".parse().unwrap()], TABLE);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["socket:[102]"]);
    }

    #[test]
    fn kept_connections_are_bounded_and_all_else_may_not_grow() {
        let with =
            |kept, others| Descriptors { router: Held::default(), workers: vec![Held { kept, others }] };
        for (now, grown) in [((16, 33), 0), ((17, 30), 1), ((0, 34), 1)] {
            let found = with(now.0, now.1).grown(&with(0, 30), 4);
            assert_eq!(found.len(), grown, "{now:?}: {found:?}");
        }
    }
}
