//! Faults, done to the yard and undone.

mod seat;

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use trackyard_protocol::client::Client;

use super::client::{Line, TRACK, lock};
use super::clock::{Clock, Time};
use super::fault::{Breakage, Fault, Kind};
use super::ledger::Ledger;
use super::wire::Mode;
use super::yard::Yard;
use crate::http;
use crate::request::version;
use crate::wait::{seconds, wait_until};

/// A worker that ended by itself is not started again at once, as nothing that supervises workers would.
const PAUSE: Duration = Duration::from_millis(500);

/// Whoever does the faults.
pub(super) struct Hand<'a> {
    pub(super) yard: Yard,
    pub(super) line: &'a Line,
    pub(super) ledger: &'a Mutex<Ledger>,
    pub(super) clock: Clock,
    /// What is to be undone, and when.
    open: Vec<(Time, Fault)>,
    /// Seats whose workers ended by themselves, and since when.
    empty: Vec<(Time, usize)>,
}

impl<'a> Hand<'a> {
    pub(super) fn new(yard: Yard, line: &'a Line, ledger: &'a Mutex<Ledger>, clock: Clock) -> Self {
        Self { yard, line, ledger, clock, open: Vec::new(), empty: Vec::new() }
    }

    /// Does a fault for so long, unless what it concerns is in trouble already.
    pub(super) fn begin(&mut self, fault: Fault, span: Duration) {
        let now = self.clock.now();
        let absent = fault.seat().is_some_and(|seat| self.empty.iter().any(|(_, empty)| *empty == seat));
        if absent || self.open.iter().any(|(_, open)| open.meets(fault)) {
            return;
        }
        self.open.push((now + span, fault));
        lock(self.ledger).begins(fault, now);
        match fault {
            Fault::KillRouter => {
                self.line.life.fetch_add(1, Ordering::SeqCst);
                self.yard.router.kill();
            }
            Fault::BreakS3(breakage) => self.yard.s3_wire.set(broken(breakage)),
            Fault::BreakRegistry(breakage) => self.yard.registry_wire.set(broken(breakage)),
            Fault::Redeploy(digit) => self.change("unload_container_version", "version", digit),
            _ => {
                if let Some(seat) = fault.seat().and_then(|seat| self.yard.seats.get_mut(seat)) {
                    seat::strike(seat, fault, self.clock);
                }
            }
        }
    }

    /// Undoes what is due, and starts what ended by itself.
    pub(super) fn tend(&mut self) {
        let now = self.clock.now();
        let due: Vec<Fault> =
            self.open.iter().filter(|(at, _)| *at <= now).map(|(_, fault)| *fault).collect();
        due.into_iter().for_each(|fault| self.end(fault));
        self.watch();
        let (back, empty) =
            std::mem::take(&mut self.empty).into_iter().partition(|(since, _)| *since + PAUSE <= now);
        self.empty = empty;
        let back: Vec<(Time, usize)> = back;
        back.into_iter().for_each(|(_, seat)| self.yard.man(seat));
    }

    /// Undoes all.
    pub(super) fn heal(&mut self) {
        let open: Vec<Fault> = self.open.iter().map(|(_, fault)| *fault).collect();
        open.into_iter().for_each(|fault| self.end(fault));
        wait_until(seconds(60), "every worker is there", || {
            self.tend();
            let workers = self.yard.seats.iter().filter_map(|seat| seat.worker.as_ref());
            workers.filter(|worker| http::is_ready(worker.admin())).count() == self.yard.seats.len()
        });
    }

    /// Undoes a fault.
    pub(super) fn end(&mut self, fault: Fault) {
        self.open.retain(|(_, open)| *open != fault);
        match fault {
            Fault::KillRouter => self.raise_router(),
            Fault::BreakS3(_) => self.yard.s3_wire.set(Mode::Open),
            Fault::BreakRegistry(_) => self.yard.registry_wire.set(Mode::Open),
            Fault::Redeploy(digit) => self.change("deploy_container_version", "new_version", digit),
            Fault::KillWorker(seat) => self.yard.man(seat),
            _ => {
                if let Some(seat) = fault.seat().and_then(|seat| self.yard.seats.get_mut(seat)) {
                    seat::relieve(seat, fault);
                }
            }
        }
        lock(self.ledger).ends(fault, self.clock.now());
    }

    /// Clients may send again once it listens.
    fn raise_router(&mut self) {
        self.yard.router.restart(&[]);
        let admin = self.yard.router.admin();
        wait_until(seconds(20), "the router listens", || http::get(admin, "/livez").is_some());
        self.line.life.fetch_add(1, Ordering::SeqCst);
    }

    /// Asks for a change as an administrator, who asks again until it is done.
    fn change(&mut self, action: &str, field: &str, digit: char) {
        if !self.line.life.load(Ordering::SeqCst).is_multiple_of(2) {
            self.end(Fault::KillRouter);
        }
        let request = json!({
            "action": action, "channel": "test_runners", "track_slug": TRACK, field: version(digit),
        });
        let client = Client::connect(&self.line.address).expect("the router's address");
        let mut last = Value::Null;
        for _ in 0..20 {
            match client.request(&request, seconds(20)) {
                Ok(answer) if answer.status.ok => return,
                Ok(answer) => last = json!(answer.status),
                Err(error) => last = json!(error.to_string()),
            }
            if self.registry_is_broken() {
                self.end_registry();
            }
        }
        lock(self.ledger).complaints.push(format!("{action} of {digit} was never done: {last}"));
    }

    fn registry_is_broken(&self) -> bool {
        self.open.iter().any(|(_, fault)| fault.kind() == Kind::RegistryBroken)
    }

    fn end_registry(&mut self) {
        let open = self.open.iter().find(|(_, fault)| fault.kind() == Kind::RegistryBroken);
        if let Some(fault) = open.map(|(_, fault)| *fault) {
            self.end(fault);
        }
    }

    /// Notes which processes ended.
    fn watch(&mut self) {
        let now = self.clock.now();
        let down = !self.line.life.load(Ordering::SeqCst).is_multiple_of(2);
        if !down && !self.yard.router.process().is_running() {
            lock(self.ledger).complaints.push(format!("the router ended by itself at {now:?}"));
            self.end(Fault::KillRouter);
        }
        for seat in &mut self.yard.seats {
            if seat.worker.as_mut().is_some_and(|worker| !worker.process().is_running()) {
                let may = self.open.iter().any(|(_, fault)| fault.seat() == Some(seat.number));
                if !may && !lock(self.ledger).may_end(seat.number, now) {
                    let log = seat.worker.as_mut().map(|worker| worker.process().log()).unwrap_or_default();
                    let last = log.lines().last().unwrap_or_default();
                    let name = &seat.name;
                    lock(self.ledger).complaints.push(format!("{name} ended by itself at {now:?}: {last}"));
                }
                seat.clear(self.clock);
                self.empty.push((now, seat.number));
            }
        }
    }
}

fn broken(breakage: Breakage) -> Mode {
    match breakage {
        Breakage::Status(status) => Mode::Says(status),
        Breakage::Stall => Mode::Stalled,
        Breakage::Reset => Mode::Cut,
    }
}
