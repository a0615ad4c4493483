//! What goes wrong, and when.

use std::time::Duration;

use super::{Plan, changing};
use crate::chaos::fault::{Breakage, Fault, Kind};
use crate::chaos::random::Random;

/// A fault, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strike {
    /// After the beginning of the one before.
    pub after: Duration,
    /// What goes wrong.
    pub fault: Fault,
    /// For how long.
    pub span: Duration,
}

impl Plan {
    /// What goes wrong, without end: at first each kind once, soon after each other, then any.
    pub fn strikes(&self) -> impl Iterator<Item = Strike> + use<> {
        let mut random = Random::new(self.seed, u64::MAX);
        let mut first = random.shuffle(Kind::ALL.to_vec()).into_iter();
        let seats = self.seats;
        std::iter::repeat_with(move || match first.next() {
            Some(kind) => strike(&mut random, kind, seats, 1500),
            None => {
                let kind = any(&mut random);
                strike(&mut random, kind, seats, 4000)
            }
        })
    }
}

fn any(random: &mut Random) -> Kind {
    match random.below(100) {
        0..20 => Kind::WorkerKilled,
        20..35 => Kind::WorkerFrozen,
        35..43 => Kind::WorkerDrained,
        43..51 => Kind::RouterKilled,
        51..61 => Kind::ConnectionCut,
        61..67 => Kind::ConnectionStalled,
        67..73 => Kind::ConnectionHalfOpen,
        73..80 => Kind::DiskFull,
        80..88 => Kind::S3Broken,
        88..92 => Kind::RegistryBroken,
        _ => Kind::VersionRedeployed,
    }
}

fn strike(random: &mut Random, kind: Kind, seats: usize, longest_pause: u64) -> Strike {
    let seat = random.index(seats);
    let (fault, span) = match kind {
        Kind::WorkerKilled => (Fault::KillWorker(seat), random.millis(100, 3000)),
        Kind::WorkerFrozen => (Fault::FreezeWorker(seat), random.millis(1000, 6000)),
        Kind::WorkerDrained => (Fault::DrainWorker(seat), random.millis(500, 2000)),
        Kind::RouterKilled => (Fault::KillRouter, random.millis(50, 1500)),
        Kind::ConnectionCut => (Fault::Cut(seat), random.millis(50, 2000)),
        Kind::ConnectionStalled => (Fault::Stall(seat), random.millis(500, 5000)),
        Kind::ConnectionHalfOpen => (Fault::HalfOpen(seat), random.millis(500, 5000)),
        Kind::DiskFull => (Fault::FillDisk(seat), random.millis(500, 3000)),
        Kind::S3Broken => (Fault::BreakS3(breakage(random)), random.millis(500, 4000)),
        Kind::RegistryBroken => (Fault::BreakRegistry(breakage(random)), random.millis(500, 4000)),
        Kind::VersionRedeployed => (Fault::Redeploy(changing(random)), random.millis(500, 4000)),
    };
    Strike { after: random.millis(300, longest_pause), fault, span }
}

fn breakage(random: &mut Random) -> Breakage {
    match random.below(4) {
        0 => Breakage::Status(500),
        1 => Breakage::Status(503),
        2 => Breakage::Stall,
        _ => Breakage::Reset,
    }
}
