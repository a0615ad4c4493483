//! The faults that are injected.

/// How a server on the network is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakage {
    /// It answers each request with this HTTP status.
    Status(u16),
    /// It accepts connections and never answers.
    Stall,
    /// It closes every connection at once.
    Reset,
}

/// Something that goes wrong for a while. The number is that of the worker's node, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL to a worker; reverted by starting another of the same name.
    KillWorker(usize),
    /// SIGSTOP to a worker; reverted by SIGCONT.
    FreezeWorker(usize),
    /// SIGTERM to a worker, which drains and ends; then another of the same name starts.
    DrainWorker(usize),
    /// SIGKILL to the router; reverted by starting it on the same ports.
    KillRouter,
    /// A worker's connection to the router is closed, and no other is accepted until the end.
    Cut(usize),
    /// Messages between a worker and the router arrive only at the end.
    Stall(usize),
    /// Messages from a worker are lost although its connection stays open; at the end it is closed.
    HalfOpen(usize),
    /// A worker's disk is full.
    FillDisk(usize),
    /// The bucket is broken.
    BreakS3(Breakage),
    /// The registry is broken.
    BreakRegistry(Breakage),
    /// A version is unloaded; reverted by deploying it again.
    Redeploy(char),
}

/// The kind of a fault, by which faults are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
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

impl FaultKind {
    /// Every kind.
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

    /// Returns the name for reports.
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

    /// Returns true if the fault cuts a worker off from the router.
    #[must_use]
    pub const fn disconnects(self) -> bool {
        !matches!(self, Self::S3Broken | Self::RegistryBroken | Self::VersionRedeployed)
    }
}

impl Fault {
    /// Returns the fault's kind.
    #[must_use]
    pub const fn kind(self) -> FaultKind {
        match self {
            Self::KillWorker(_) => FaultKind::WorkerKilled,
            Self::FreezeWorker(_) => FaultKind::WorkerFrozen,
            Self::DrainWorker(_) => FaultKind::WorkerDrained,
            Self::KillRouter => FaultKind::RouterKilled,
            Self::Cut(_) => FaultKind::ConnectionCut,
            Self::Stall(_) => FaultKind::ConnectionStalled,
            Self::HalfOpen(_) => FaultKind::ConnectionHalfOpen,
            Self::FillDisk(_) => FaultKind::DiskFull,
            Self::BreakS3(_) => FaultKind::S3Broken,
            Self::BreakRegistry(_) => FaultKind::RegistryBroken,
            Self::Redeploy(_) => FaultKind::VersionRedeployed,
        }
    }

    /// Returns the worker's node, if the fault concerns one.
    #[must_use]
    pub const fn node(self) -> Option<usize> {
        match self {
            Self::KillWorker(node)
            | Self::FreezeWorker(node)
            | Self::DrainWorker(node)
            | Self::Cut(node)
            | Self::Stall(node)
            | Self::HalfOpen(node)
            | Self::FillDisk(node) => Some(node),
            _ => None,
        }
    }

    /// Returns true if both faults have the same target, so that one must end before the other begins.
    #[must_use]
    pub fn conflicts_with(self, other: Self) -> bool {
        match (self.node(), other.node()) {
            (Some(one), Some(two)) => one == two,
            (None, None) => self.kind() == other.kind(),
            _ => false,
        }
    }
}
