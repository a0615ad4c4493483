//! What goes wrong.

use trackyard_protocol::reason::Reason;
use trackyard_protocol::token::{Epoch, JobKey, Token};
use trackyard_protocol::worker::Then;
use trackyard_router::dispatch::Event;

use crate::plan::{TRACKS, VERSIONS};
use crate::worker::result;
use crate::world::{Happening, World};

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

impl World {
    pub(crate) fn next_trouble(&mut self) {
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
        self.later(std::time::Duration::ZERO, Happening::Trouble(fault));
        let pause = self.random.millis(100, 1500);
        self.later(pause, Happening::NextTrouble);
    }

    fn heal(&mut self) {
        self.router.unloaded = None;
        let deployment = self.router.deployment();
        self.router_event(Event::Deployed(deployment));
    }

    pub(crate) fn trouble(&mut self, fault: Fault) {
        let index = self.random.index(self.workers.len());
        self.check.saw(&format!("fault {fault:?}"));
        match fault {
            Fault::WorkerDies if self.workers[index].alive => self.worker_dies(index),
            Fault::GenericWorkersDie => self.generic_workers_die(),
            Fault::WorkerFreezes if self.workers[index].alive => self.freeze(index),
            Fault::ConnectionCut => {
                self.cut(index);
                let pause = self.random.millis(20, 600);
                self.later(pause, Happening::Reconnect(index));
            }
            Fault::WorkerLeaves => self.drain_worker(index, Then::Exit),
            Fault::RouterRestarts => self.router_down(),
            Fault::RouterStalls => {
                let span = self.random.millis(50, 5000);
                self.stand_still(span);
            }
            Fault::RestartWorkers => self.router_event(Event::RestartWorkers),
            Fault::Unload => self.unload(),
            Fault::SecondHello if self.speaks(index) => self.say_hello(index),
            Fault::Forgery if self.speaks(index) => self.forge(index),
            _ => {}
        }
    }

    fn speaks(&self, index: usize) -> bool {
        self.workers[index].peer.is_some() && self.now >= self.workers[index].frozen_until
    }

    fn generic_workers_die(&mut self) {
        for index in 0..self.workers.len() {
            if self.workers[index].alive && self.workers[index].is_generic() {
                self.worker_dies(index);
            }
        }
    }

    fn freeze(&mut self, index: usize) {
        // Never shorter than it is frozen already: what reached it keeps its order.
        let until = self.workers[index].frozen_until.max(self.now + self.random.millis(200, 7000));
        self.workers[index].frozen_until = until;
        self.at(until, Happening::Thaw(index));
    }

    /// One version is gone until the next time.
    fn unload(&mut self) {
        let next = (self.random.index(TRACKS.len()), self.random.index(VERSIONS));
        self.router.unloaded = if self.router.unloaded.is_some() { None } else { Some(next) };
        let deployment = self.router.deployment();
        self.router_event(Event::Deployed(deployment));
    }

    /// A worker speaks of jobs that it was never given: another's, an old one, one that never was.
    fn forge(&mut self, index: usize) {
        let others = self.workers.iter().enumerate().filter(|(other, _)| *other != index);
        let stolen = others.flat_map(|(_, worker)| worker.held.keys().copied()).next();
        let lie = JobKey(u128::MAX);
        let own = self.workers[index].held.keys().next().map(|token| token.sequence);
        let made_up = Token { epoch: Epoch(7), sequence: own.unwrap_or_else(|| self.random.below(1000)) };
        let next = Token { epoch: self.router.epoch, sequence: u64::MAX };
        for token in stolen.into_iter().chain([made_up, next]) {
            self.say(index, result(token, lie, Reason::Ok));
        }
    }
}
