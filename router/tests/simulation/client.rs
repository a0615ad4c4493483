//! Clients: they send jobs, and send them again after a restart of the router.

use std::collections::BTreeMap;

use trackyard_protocol::reason::Reason;
use trackyard_router::dispatch::{Event, JobAnswer, Time, Waiter};

use crate::plan::JobPlan;
use crate::simulation::{SimEvent, Simulation};

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) plan: JobPlan,
    pub(crate) sent: Time,
    /// The total duration of the router's stalls before this request. Later stalls may delay the answer.
    pub(crate) stalled_before: Time,
    pub(crate) tries: u32,
}

#[derive(Default)]
pub(crate) struct Clients {
    /// Requests that the running router has.
    pub(crate) waiting: BTreeMap<Waiter, Request>,
    jobs: u64,
    waiters: u64,
    recent: Vec<JobPlan>,
}

impl Simulation {
    pub(crate) fn next_job(&mut self) {
        if self.is_over() {
            return;
        }
        // A burst now and then, so that queues fill.
        let is_burst = self.random.below(20_000) < 3;
        for _ in 0..if is_burst { 400 } else { 1 } {
            let plan = self.choose_plan();
            self.submit(Request { plan, sent: self.now, stalled_before: Time::ZERO, tries: 0 });
        }
        let delay = self.random.millis(1, 20);
        self.schedule_in(delay, SimEvent::NextJob);
    }

    fn choose_plan(&mut self) -> JobPlan {
        if !self.clients.recent.is_empty() && self.random.chance(5) {
            let index = self.random.index(self.clients.recent.len());
            let mut plan = self.clients.recent[index].clone();
            plan.deadline = None;
            plan.fresh = self.random.chance(20);
            return plan;
        }
        self.clients.jobs += 1;
        self.checker.count("jobs");
        let plan = JobPlan::new(self.clients.jobs, &mut self.random);
        self.clients.recent.push(plan.clone());
        if self.clients.recent.len() > 200 {
            self.clients.recent.remove(0);
        }
        plan
    }

    /// Sends a request to the router. While the router is down, the client tries again later.
    pub(crate) fn submit(&mut self, mut request: Request) {
        if self.router.dispatch.is_none() {
            let delay = self.random.millis(100, 1500);
            return self.schedule_in(delay, SimEvent::Resend(request));
        }
        self.clients.waiters += 1;
        let waiter = Waiter(self.clients.waiters);
        request.sent = self.now;
        request.stalled_before = self.router.stalled;
        let job = request.plan.job();
        self.checker.asked(waiter, &request);
        self.clients.waiting.insert(waiter, request);
        self.router_event(Event::Job { waiter, job });
    }

    pub(crate) fn resend(&mut self, mut request: Request) {
        request.tries += 1;
        self.checker.count("resent after a restart");
        self.submit(request);
    }

    /// Lets every waiting client send its request again, because the router is down.
    pub(crate) fn resend_all(&mut self) {
        for (_, request) in std::mem::take(&mut self.clients.waiting) {
            let delay = self.random.millis(50, 3000);
            if request.tries < 8 {
                self.schedule_in(delay, SimEvent::Resend(request));
            }
        }
    }

    pub(crate) fn answered(&mut self, waiter: Waiter, answer: &JobAnswer) {
        let request = self.clients.waiting.remove(&waiter);
        let stalled = self.router.stalled;
        self.checker.answered(self.now, waiter, request.as_ref(), answer, stalled);
        let Some(request) = request else { return };
        if answer.reason == Reason::NoWorker && self.random.chance(20) && request.tries < 3 {
            let delay = self.random.millis(100, 1000);
            self.schedule_in(delay, SimEvent::Resend(request));
        }
    }
}
