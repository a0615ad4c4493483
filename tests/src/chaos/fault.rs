//! What goes wrong.

/// How a server on the network is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakage {
    /// It answers each request with this HTTP status.
    Status(u16),
    /// It takes connections and says nothing.
    Stall,
    /// It closes every connection at once.
    Reset,
}

/// Something that goes wrong for a while. A worker is named by its seat, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL to a worker; at the end another of its name starts.
    KillWorker(usize),
    /// SIGSTOP, at the end SIGCONT.
    FreezeWorker(usize),
    /// SIGTERM: it drains and ends; at the end another of its name starts.
    DrainWorker(usize),
    /// SIGKILL to the router; at the end it starts on the same ports.
    KillRouter,
    /// A worker's connection to the router is closed; until the end no other is taken.
    Cut(usize),
    /// What a worker and the router say to each other arrives at the end.
    Stall(usize),
    /// What a worker says is lost, though its connection stays open; at the end it is closed.
    HalfOpen(usize),
    /// A worker's disk is full.
    FillDisk(usize),
    /// The bucket is broken.
    BreakS3(Breakage),
    /// The registry is broken.
    BreakRegistry(Breakage),
    /// A version is unloaded, at the end deployed again.
    Redeploy(char),
}

/// A fault's kind, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A worker is killed.
    WorkerKilled,
    /// A worker is frozen.
    WorkerFrozen,
    /// A worker drains.
    WorkerDrained,
    /// The router is killed.
    RouterKilled,
    /// A connection is cut.
    ConnectionCut,
    /// A connection stalls.
    ConnectionStalled,
    /// A connection is half open.
    ConnectionHalfOpen,
    /// A disk is full.
    DiskFull,
    /// S3 is broken.
    S3Broken,
    /// The registry is broken.
    RegistryBroken,
    /// A version is unloaded and deployed again.
    VersionRedeployed,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::WorkerKilled,
        Self::WorkerFrozen,
        Self::WorkerDrained,
        Self::RouterKilled,
        Self::ConnectionCut,
        Self::ConnectionStalled,
        Self::ConnectionHalfOpen,
        Self::DiskFull,
        Self::S3Broken,
        Self::RegistryBroken,
        Self::VersionRedeployed,
    ];

    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WorkerKilled => "worker killed",
            Self::WorkerFrozen => "worker frozen",
            Self::WorkerDrained => "worker drained",
            Self::RouterKilled => "router killed",
            Self::ConnectionCut => "connection cut",
            Self::ConnectionStalled => "connection stalled",
            Self::ConnectionHalfOpen => "connection half open",
            Self::DiskFull => "disk full",
            Self::S3Broken => "S3 broken",
            Self::RegistryBroken => "registry broken",
            Self::VersionRedeployed => "version unloaded and deployed again",
        }
    }

    /// True if it takes a worker away from the router for a while, or the router from its workers.
    #[must_use]
    pub const fn parts(self) -> bool {
        !matches!(self, Self::S3Broken | Self::RegistryBroken | Self::VersionRedeployed)
    }
}

impl Fault {
    /// Its kind.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::KillWorker(_) => Kind::WorkerKilled,
            Self::FreezeWorker(_) => Kind::WorkerFrozen,
            Self::DrainWorker(_) => Kind::WorkerDrained,
            Self::KillRouter => Kind::RouterKilled,
            Self::Cut(_) => Kind::ConnectionCut,
            Self::Stall(_) => Kind::ConnectionStalled,
            Self::HalfOpen(_) => Kind::ConnectionHalfOpen,
            Self::FillDisk(_) => Kind::DiskFull,
            Self::BreakS3(_) => Kind::S3Broken,
            Self::BreakRegistry(_) => Kind::RegistryBroken,
            Self::Redeploy(_) => Kind::VersionRedeployed,
        }
    }

    /// The worker's seat, if it concerns one.
    #[must_use]
    pub const fn seat(self) -> Option<usize> {
        match self {
            Self::KillWorker(seat)
            | Self::FreezeWorker(seat)
            | Self::DrainWorker(seat)
            | Self::Cut(seat)
            | Self::Stall(seat)
            | Self::HalfOpen(seat)
            | Self::FillDisk(seat) => Some(seat),
            _ => None,
        }
    }

    /// True if both concern the same thing, so that one must end before the other begins.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        match (self.seat(), other.seat()) {
            (Some(one), Some(two)) => one == two,
            (None, None) => self.kind() == other.kind(),
            _ => false,
        }
    }
}
