//! Which of the ports.

/// Which of the ports.
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
