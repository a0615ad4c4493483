//! The faults that the simulation injects.

use trackyard_protocol::reason::Reason;
use trackyard_protocol::token::{Epoch, JobKey, Token};
use trackyard_protocol::worker::AfterDrain;
use trackyard_router::dispatch::Event;

use crate::plan::{TRACKS, VERSIONS};
use crate::simulation::{SimEvent, Simulation};
use crate::worker::result;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    WorkerDies,
    GenericWorkersDie,
    WorkerFreezes,
    ConnectionCut,
    WorkerLeaves,
    RouterRestarts,
    RouterStalls,
    RestartWorkers,
    Unload,
    SecondHello,
    Forgery,
}

impl Simulation {
    pub(crate) fn next_fault(&mut self) {
        if self.is_over() {
            return self.heal();
        }
        let fault = match self.random.below(100) {
            0..15 => Fault::WorkerDies,
            15..18 => Fault::GenericWorkersDie,
            18..35 => Fault::WorkerFreezes,
            35..55 => Fault::ConnectionCut,
            55..62 => Fault::WorkerLeaves,
            62..70 => Fault::RouterRestarts,
            70..78 => Fault::RouterStalls,
            78..80 => Fault::RestartWorkers,
            80..85 => Fault::Unload,
            85..90 => Fault::SecondHello,
            _ => Fault::Forgery,
        };
        self.schedule_in(std::time::Duration::ZERO, SimEvent::Fault(fault));
        let delay = self.random.millis(100, 1500);
        self.schedule_in(delay, SimEvent::NextFault);
    }

    fn heal(&mut self) {
        self.router.undeployed = None;
        let versions = self.router.deployed_versions();
        self.router_event(Event::Deployed(versions));
    }

    pub(crate) fn inject(&mut self, fault: Fault) {
        let index = self.random.index(self.workers.len());
        self.checker.count(&format!("fault {fault:?}"));
        match fault {
            Fault::WorkerDies if self.workers[index].alive => self.kill_worker(index),
            Fault::GenericWorkersDie => self.kill_generic_workers(),
            Fault::WorkerFreezes if self.workers[index].alive => self.freeze(index),
            Fault::ConnectionCut => {
                self.disconnect(index);
                let delay = self.random.millis(20, 600);
                self.schedule_in(delay, SimEvent::Reconnect(index));
            }
            Fault::WorkerLeaves => self.drain_worker(index, AfterDrain::Exit),
            Fault::RouterRestarts => self.router_down(),
            Fault::RouterStalls => {
                let duration = self.random.millis(50, 5000);
                self.stall(duration);
            }
            Fault::RestartWorkers => self.router_event(Event::RestartWorkers),
            Fault::Unload => self.undeploy(),
            Fault::SecondHello if self.can_send(index) => self.send_hello(index),
            Fault::Forgery if self.can_send(index) => self.forge_results(index),
            _ => {}
        }
    }

    fn can_send(&self, index: usize) -> bool {
        self.workers[index].peer.is_some() && self.now >= self.workers[index].frozen_until
    }

    fn kill_generic_workers(&mut self) {
        for index in 0..self.workers.len() {
            if self.workers[index].alive && self.workers[index].is_generic() {
                self.kill_worker(index);
            }
        }
    }

    fn freeze(&mut self, index: usize) {
        // Never shorter than the current freeze, so that the deferred messages keep their order.
        let until = self.workers[index].frozen_until.max(self.now + self.random.millis(200, 7000));
        self.workers[index].frozen_until = until;
        self.schedule_at(until, SimEvent::Thaw(index));
    }

    /// Undeploys one version, or deploys it again if one is undeployed.
    fn undeploy(&mut self) {
        let next = (self.random.index(TRACKS.len()), self.random.index(VERSIONS));
        self.router.undeployed = if self.router.undeployed.is_some() { None } else { Some(next) };
        let versions = self.router.deployed_versions();
        self.router_event(Event::Deployed(versions));
    }

    /// Sends results of jobs that the worker never got: another worker's, an old one, and one that never existed.
    fn forge_results(&mut self, index: usize) {
        let others = self.workers.iter().enumerate().filter(|(other, _)| *other != index);
        let stolen = others.flat_map(|(_, worker)| worker.held.keys().copied()).next();
        let forged_key = JobKey(u128::MAX);
        let own = self.workers[index].held.keys().next().map(|token| token.sequence);
        let made_up = Token { epoch: Epoch(7), sequence: own.unwrap_or_else(|| self.random.below(1000)) };
        let next = Token { epoch: self.router.epoch, sequence: u64::MAX };
        for token in stolen.into_iter().chain([made_up, next]) {
            self.send(index, result(token, forged_key, Reason::Ok));
        }
    }
}
