//! Faults of one worker, its wire or its disk.

use rustix::process::Signal;

use crate::chaos::clock::Clock;
use crate::chaos::fault::Fault;
use crate::chaos::wire::Mode;
use crate::chaos::yard::Seat;
use crate::worker::Worker;

pub(super) fn strike(seat: &mut Seat, fault: Fault, clock: Clock) {
    match fault {
        Fault::KillWorker(_) => {
            if let Some(worker) = &mut seat.worker {
                worker.process().kill();
            }
            seat.clear(clock);
        }
        Fault::FreezeWorker(_) => signal(&mut seat.worker, Signal::STOP),
        Fault::DrainWorker(_) => signal(&mut seat.worker, Signal::TERM),
        Fault::Cut(_) => seat.wire.set(Mode::Cut),
        Fault::Stall(_) => seat.wire.set(Mode::Stalled),
        Fault::HalfOpen(_) => seat.wire.set(Mode::Deaf),
        Fault::FillDisk(_) => seat.disk.fill(),
        _ => {}
    }
}

pub(super) fn relieve(seat: &mut Seat, fault: Fault) {
    match fault {
        Fault::FreezeWorker(_) => signal(&mut seat.worker, Signal::CONT),
        Fault::Cut(_) | Fault::Stall(_) | Fault::HalfOpen(_) => seat.wire.set(Mode::Open),
        Fault::FillDisk(_) => seat.disk.free(),
        _ => {}
    }
}

/// A worker that has just ended by itself hears nothing.
fn signal(worker: &mut Option<Worker>, signal: Signal) {
    if let Some(worker) = worker
        && worker.process().is_running()
    {
        worker.process().signal(signal);
    }
}
