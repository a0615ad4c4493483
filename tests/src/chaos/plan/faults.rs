//! Which faults are injected, and when.

use std::time::Duration;

use super::{Plan, changing};
use crate::chaos::fault::{Breakage, Fault, FaultKind};
use crate::chaos::random::Random;

/// A fault to inject, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedFault {
    /// Delay after the beginning of the fault before.
    pub after: Duration,
    /// The fault.
    pub fault: Fault,
    /// How long it lasts.
    pub duration: Duration,
}

impl Plan {
    /// Returns an endless sequence of faults: first each kind once in quick succession, then random kinds.
    pub fn faults(&self) -> impl Iterator<Item = PlannedFault> + use<> {
        let mut random = Random::new(self.seed, u64::MAX);
        let mut first = random.shuffle(FaultKind::ALL.to_vec()).into_iter();
        let workers = self.workers;
        std::iter::repeat_with(move || match first.next() {
            Some(kind) => fault(&mut random, kind, workers, 1500),
            None => {
                let kind = random_kind(&mut random);
                fault(&mut random, kind, workers, 4000)
            }
        })
    }
}

fn random_kind(random: &mut Random) -> FaultKind {
    match random.below(100) {
        0..20 => FaultKind::WorkerKilled,
        20..35 => FaultKind::WorkerFrozen,
        35..43 => FaultKind::WorkerDrained,
        43..51 => FaultKind::RouterKilled,
        51..61 => FaultKind::ConnectionCut,
        61..67 => FaultKind::ConnectionStalled,
        67..73 => FaultKind::ConnectionHalfOpen,
        73..80 => FaultKind::DiskFull,
        80..88 => FaultKind::S3Broken,
        88..92 => FaultKind::RegistryBroken,
        _ => FaultKind::VersionRedeployed,
    }
}

/// Plans a fault of the given kind; `max_delay` is in milliseconds.
fn fault(random: &mut Random, kind: FaultKind, workers: usize, max_delay: u64) -> PlannedFault {
    let node = random.index(workers);
    let (fault, duration) = match kind {
        FaultKind::WorkerKilled => (Fault::KillWorker(node), random.millis(100, 3000)),
        FaultKind::WorkerFrozen => (Fault::FreezeWorker(node), random.millis(1000, 6000)),
        FaultKind::WorkerDrained => (Fault::DrainWorker(node), random.millis(500, 2000)),
        FaultKind::RouterKilled => (Fault::KillRouter, random.millis(50, 1500)),
        FaultKind::ConnectionCut => (Fault::Cut(node), random.millis(50, 2000)),
        FaultKind::ConnectionStalled => (Fault::Stall(node), random.millis(500, 5000)),
        FaultKind::ConnectionHalfOpen => (Fault::HalfOpen(node), random.millis(500, 5000)),
        FaultKind::DiskFull => (Fault::FillDisk(node), random.millis(500, 3000)),
        FaultKind::S3Broken => (Fault::BreakS3(breakage(random)), random.millis(500, 4000)),
        FaultKind::RegistryBroken => (Fault::BreakRegistry(breakage(random)), random.millis(500, 4000)),
        FaultKind::VersionRedeployed => (Fault::Redeploy(changing(random)), random.millis(500, 4000)),
    };
    PlannedFault { after: random.millis(300, max_delay), fault, duration }
}

fn breakage(random: &mut Random) -> Breakage {
    match random.below(4) {
        0 => Breakage::Status(500),
        1 => Breakage::Status(503),
        2 => Breakage::Stall,
        _ => Breakage::Reset,
    }
}
