//! What is set on each socket, and why.

/// Which of the sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum PortKind {
    /// For clients.
    Clients,
    /// For clients with a key.
    KeyedClients,
    /// For workers.
    Workers,
}

/// Bytes of one frame; a larger one closes its connection. Above what is answered with 502, so that it can be.
const MAX_FRAME_BYTES: i64 = 4 << 20;

pub(super) fn apply(socket: &zmq::Socket, kind: PortKind) -> zmq::Result<()> {
    socket.set_maxmsgsize(MAX_FRAME_BYTES)?;
    // A send to a peer that is gone must fail, not vanish.
    socket.set_router_mandatory(true)?;
    // The first peer of a name keeps it: with hand-over its unread messages would vanish.
    socket.set_router_handover(false)?;
    // A peer that connects and says nothing holds a descriptor no longer than this.
    socket.set_handshake_ivl(5_000)?;
    socket.set_linger(2_000)?;
    socket.set_backlog(1024)?;
    socket.set_tcp_keepalive(1)?;
    socket.set_tcp_keepalive_idle(60)?;
    socket.set_tcp_keepalive_intvl(15)?;
    socket.set_tcp_keepalive_cnt(4)?;
    match kind {
        PortKind::Clients | PortKind::KeyedClients => {
            // No libzmq heartbeats: REQ clients before 4.3 drop the connection at one.
            socket.set_rcvhwm(1_000)?;
            // As many answers as jobs may wait by default, for one client that sends them all and then reads.
            socket.set_sndhwm(10_000)
        }
        PortKind::Workers => {
            socket.set_rcvhwm(200)?;
            socket.set_sndhwm(1_000)?;
            // The workers' own heartbeats find a lost worker; these only close what nobody reads any more.
            socket.set_heartbeat_ivl(5_000)?;
            socket.set_heartbeat_timeout(15_000)?;
            socket.set_heartbeat_ttl(15_000)
        }
    }
}
