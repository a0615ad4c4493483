//! Faults of one node: of its worker, its proxy or its disk.

use rustix::process::Signal;

use crate::chaos::clock::Clock;
use crate::chaos::fault::Fault;
use crate::chaos::fleet::Node;
use crate::chaos::proxy::ProxyMode;
use crate::worker::Worker;

pub(super) fn inject(node: &mut Node, fault: Fault, clock: Clock) {
    match fault {
        Fault::KillWorker(_) => {
            if let Some(worker) = &mut node.worker {
                worker.process().kill();
            }
            node.remove_worker(clock);
        }
        Fault::FreezeWorker(_) => signal(&mut node.worker, Signal::STOP),
        Fault::DrainWorker(_) => signal(&mut node.worker, Signal::TERM),
        Fault::Cut(_) => node.proxy.set(ProxyMode::Cut),
        Fault::Stall(_) => node.proxy.set(ProxyMode::Stalled),
        Fault::HalfOpen(_) => node.proxy.set(ProxyMode::HalfOpen),
        Fault::FillDisk(_) => node.disk.fill(),
        _ => {}
    }
}

pub(super) fn revert(node: &mut Node, fault: Fault) {
    match fault {
        Fault::FreezeWorker(_) => signal(&mut node.worker, Signal::CONT),
        Fault::Cut(_) | Fault::Stall(_) | Fault::HalfOpen(_) => node.proxy.set(ProxyMode::Pass),
        Fault::FillDisk(_) => node.disk.free(),
        _ => {}
    }
}

/// Sends a signal to the worker, unless it has ended by itself.
fn signal(worker: &mut Option<Worker>, signal: Signal) {
    if let Some(worker) = worker
        && worker.process().is_running()
    {
        worker.process().signal(signal);
    }
}
