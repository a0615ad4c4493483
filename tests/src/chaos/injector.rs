//! Injects faults into the fleet and reverts them.

mod node;

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use trackyard_protocol::client::Client;

use super::client::{RouterEndpoint, TRACK, lock};
use super::clock::{Clock, Time};
use super::fault::{Breakage, Fault, FaultKind};
use super::fleet::Fleet;
use super::history::History;
use super::proxy::ProxyMode;
use crate::http;
use crate::request::version;
use crate::wait::{seconds, wait_until};

/// Delay before a worker that ended by itself is started again, as under a supervisor.
const RESTART_DELAY: Duration = Duration::from_millis(500);
/// Requests for a change of the deployment before it counts as failed.
const MAX_CHANGE_ATTEMPTS: usize = 20;

/// Owns the fleet, and injects and reverts faults in it.
pub(super) struct FaultInjector<'a> {
    pub(super) fleet: Fleet,
    pub(super) router: &'a RouterEndpoint,
    pub(super) history: &'a Mutex<History>,
    pub(super) clock: Clock,
    /// Faults in effect, and when each is to be reverted.
    active: Vec<(Time, Fault)>,
    /// Nodes whose worker ended by itself, and since when.
    without_worker: Vec<(Time, usize)>,
}

impl<'a> FaultInjector<'a> {
    pub(super) fn new(
        fleet: Fleet,
        router: &'a RouterEndpoint,
        history: &'a Mutex<History>,
        clock: Clock,
    ) -> Self {
        Self { fleet, router, history, clock, active: Vec::new(), without_worker: Vec::new() }
    }

    /// Injects a fault that lasts for `duration`. Does nothing if its target already has a fault.
    pub(super) fn inject(&mut self, fault: Fault, duration: Duration) {
        let now = self.clock.now();
        let absent =
            fault.node().is_some_and(|node| self.without_worker.iter().any(|(_, absent)| *absent == node));
        if absent || self.active.iter().any(|(_, active)| active.conflicts_with(fault)) {
            return;
        }
        self.active.push((now + duration, fault));
        lock(self.history).fault_began(fault, now);
        match fault {
            Fault::KillRouter => {
                self.router.generation.fetch_add(1, Ordering::SeqCst);
                self.fleet.router.kill();
            }
            Fault::BreakS3(breakage) => self.fleet.s3_proxy.set(proxy_mode(breakage)),
            Fault::BreakRegistry(breakage) => self.fleet.registry_proxy.set(proxy_mode(breakage)),
            Fault::Redeploy(digit) => {
                self.change_deployment("unload_container_version", "version", digit);
            }
            _ => {
                if let Some(node) = fault.node().and_then(|node| self.fleet.nodes.get_mut(node)) {
                    node::inject(node, fault, self.clock);
                }
            }
        }
    }

    /// Reverts the faults whose time is over, and restarts processes that ended by themselves.
    pub(super) fn tick(&mut self) {
        let now = self.clock.now();
        let due: Vec<Fault> =
            self.active.iter().filter(|(until, _)| *until <= now).map(|(_, fault)| *fault).collect();
        due.into_iter().for_each(|fault| self.revert(fault));
        self.note_ended_processes();
        let due: Vec<(Time, usize)> =
            self.without_worker.extract_if(.., |(since, _)| *since + RESTART_DELAY <= now).collect();
        due.into_iter().for_each(|(_, node)| self.fleet.start_worker(node));
    }

    /// Reverts every fault, and waits until all workers are ready.
    pub(super) fn revert_all(&mut self) {
        let active: Vec<Fault> = self.active.iter().map(|(_, fault)| *fault).collect();
        active.into_iter().for_each(|fault| self.revert(fault));
        wait_until(seconds(60), "every worker is ready", || {
            self.tick();
            let workers = self.fleet.nodes.iter().filter_map(|node| node.worker.as_ref());
            workers.filter(|worker| http::is_ready(worker.admin())).count() == self.fleet.nodes.len()
        });
    }

    /// Reverts a fault.
    pub(super) fn revert(&mut self, fault: Fault) {
        self.active.retain(|(_, active)| *active != fault);
        match fault {
            Fault::KillRouter => self.restart_router(),
            Fault::BreakS3(_) => self.fleet.s3_proxy.set(ProxyMode::Pass),
            Fault::BreakRegistry(_) => self.fleet.registry_proxy.set(ProxyMode::Pass),
            Fault::Redeploy(digit) => {
                self.change_deployment("deploy_container_version", "new_version", digit);
            }
            Fault::KillWorker(node) => self.fleet.start_worker(node),
            _ => {
                if let Some(node) = fault.node().and_then(|node| self.fleet.nodes.get_mut(node)) {
                    node::revert(node, fault);
                }
            }
        }
        lock(self.history).fault_ended(fault, self.clock.now());
    }

    /// Restarts the router, and lets clients send again once it listens.
    fn restart_router(&mut self) {
        self.fleet.router.restart(&[]);
        let admin = self.fleet.router.admin();
        wait_until(seconds(20), "the router listens", || http::get(admin, "/livez").is_some());
        self.router.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Requests a change of the deployment as an administrator, repeatedly until it is done.
    fn change_deployment(&mut self, action: &str, field: &str, digit: char) {
        if self.router.is_down() {
            self.revert(Fault::KillRouter);
        }
        let request = json!({
            "action": action, "channel": "test_runners", "track_slug": TRACK, field: version(digit),
        });
        let client = Client::connect(&self.router.address).expect("the router's address");
        let mut last = Value::Null;
        for _ in 0..MAX_CHANGE_ATTEMPTS {
            match client.request(&request, seconds(20)) {
                Ok(answer) if answer.status.ok => return,
                Ok(answer) => last = json!(answer.status),
                Err(error) => last = json!(error.to_string()),
            }
            self.revert_registry_fault();
        }
        lock(self.history).problems.push(format!("{action} of {digit} was never done: {last}"));
    }

    fn revert_registry_fault(&mut self) {
        let active = self.active.iter().find(|(_, fault)| fault.kind() == FaultKind::RegistryBroken);
        if let Some(fault) = active.map(|(_, fault)| *fault) {
            self.revert(fault);
        }
    }

    /// Notes which processes ended by themselves. Without a fault that explains it, that is a problem.
    fn note_ended_processes(&mut self) {
        let now = self.clock.now();
        if !self.router.is_down() && !self.fleet.router.process().is_running() {
            lock(self.history).problems.push(format!("the router ended by itself at {now:?}"));
            self.revert(Fault::KillRouter);
        }
        for node in &mut self.fleet.nodes {
            if node.worker.as_mut().is_some_and(|worker| !worker.process().is_running()) {
                let has_fault = self.active.iter().any(|(_, fault)| fault.node() == Some(node.number));
                if !has_fault && !lock(self.history).may_exit(node.number, now) {
                    let log = node.worker.as_mut().map(|worker| worker.process().log()).unwrap_or_default();
                    let last = log.lines().last().unwrap_or_default();
                    let name = &node.name;
                    lock(self.history).problems.push(format!("{name} ended by itself at {now:?}: {last}"));
                }
                node.remove_worker(self.clock);
                self.without_worker.push((now, node.number));
            }
        }
    }
}

fn proxy_mode(breakage: Breakage) -> ProxyMode {
    match breakage {
        Breakage::Status(status) => ProxyMode::Respond(status),
        Breakage::Stall => ProxyMode::Stalled,
        Breakage::Reset => ProxyMode::Cut,
    }
}
