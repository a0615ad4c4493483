//! Clients: they send jobs, and after a router's restart the same again.

use std::collections::BTreeMap;

use trackyard_protocol::reason::Reason;
use trackyard_router::dispatch::{Answer, Event, Time, Waiter};

use crate::plan::Plan;
use crate::world::{Happening, World};

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) plan: Plan,
    pub(crate) sent: Time,
    /// How long the router stood still before, in all: that much later the answer may come.
    pub(crate) stalled_before: Time,
    pub(crate) tries: u32,
}

#[derive(Default)]
pub(crate) struct Clients {
    /// Those whose request a living router has.
    pub(crate) waiting: BTreeMap<Waiter, Request>,
    jobs: u64,
    waiters: u64,
    recent: Vec<Plan>,
}

impl World {
    pub(crate) fn next_job(&mut self) {
        if self.is_over() {
            return;
        }
        // Every now and then a burst, so that queues fill.
        let burst = self.random.below(20_000) < 3;
        for _ in 0..if burst { 400 } else { 1 } {
            let plan = self.choose_plan();
            self.submit(Request { plan, sent: self.now, stalled_before: Time::ZERO, tries: 0 });
        }
        let pause = self.random.millis(1, 20);
        self.later(pause, Happening::NextJob);
    }

    fn choose_plan(&mut self) -> Plan {
        if !self.clients.recent.is_empty() && self.random.chance(5) {
            let index = self.random.index(self.clients.recent.len());
            let mut plan = self.clients.recent[index].clone();
            plan.deadline = None;
            plan.fresh = self.random.chance(20);
            return plan;
        }
        self.clients.jobs += 1;
        self.check.saw("jobs");
        let plan = Plan::new(self.clients.jobs, &mut self.random);
        self.clients.recent.push(plan.clone());
        if self.clients.recent.len() > 200 {
            self.clients.recent.remove(0);
        }
        plan
    }

    /// Sends to the router; while it is down, the client tries again later.
    pub(crate) fn submit(&mut self, mut request: Request) {
        if self.router.dispatch.is_none() {
            let pause = self.random.millis(100, 1500);
            return self.later(pause, Happening::Resend(request));
        }
        self.clients.waiters += 1;
        let waiter = Waiter(self.clients.waiters);
        request.sent = self.now;
        request.stalled_before = self.router.stalled;
        let job = request.plan.job();
        self.check.asked(waiter, &request);
        self.clients.waiting.insert(waiter, request);
        self.router_event(Event::Job { waiter, job });
    }

    pub(crate) fn resend(&mut self, mut request: Request) {
        request.tries += 1;
        self.check.saw("resent after a restart");
        self.submit(request);
    }

    /// The router is gone: every client that waits will ask again.
    pub(crate) fn all_ask_again(&mut self) {
        for (_, request) in std::mem::take(&mut self.clients.waiting) {
            let pause = self.random.millis(50, 3000);
            if request.tries < 8 {
                self.later(pause, Happening::Resend(request));
            }
        }
    }

    pub(crate) fn answered(&mut self, waiter: Waiter, answer: &Answer) {
        let request = self.clients.waiting.remove(&waiter);
        let stalled = self.router.stalled;
        self.check.answered(self.now, waiter, request.as_ref(), answer, stalled);
        let Some(request) = request else { return };
        if answer.reason == Reason::NoWorker && self.random.chance(20) && request.tries < 3 {
            let pause = self.random.millis(100, 1000);
            self.later(pause, Happening::Resend(request));
        }
    }
}
