//! The clients' side of the service: requests in, answers out.

use trackyard_protocol::frame::{self, ClientFrames};
use trackyard_protocol::keys::PublicKey;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::Shape;
use trackyard_zmtp::Message;

use super::pending::PendingRequest;
use super::phase::Exit;
use super::{Service, answer};
use crate::actions::{BackgroundTask, DecidedRequest, Decision, Reply, RequestContext, decide};
use crate::caller::{Role, role_of_key, role_of_plain_peer};
use crate::dispatch::{Event, JobAnswer, Output, Waiter};
use crate::socket::{Origin, PortKind};

impl Service {
    pub(super) fn on_request(&mut self, from: &Origin, message: Message<'_>) {
        let received = self.clock.now();
        let ClientFrames { route, request } = frame::split(message.iter());
        let decided = match request {
            Ok(body) => self.decide(from, body),
            Err(error) => refuse_frames(error),
        };
        let route = route.into_iter().map(<[u8]>::to_vec).collect();
        let request =
            PendingRequest { peer: from.peer, route, action: decided.action, id: decided.id, received };
        self.carry_out(decided.decision, request);
    }

    fn decide(&self, from: &Origin, body: &[u8]) -> DecidedRequest {
        let keyring = self.parts.keyring.as_ref();
        let key = from.key.as_ref().map(PublicKey::as_str);
        let caller = (from.port == PortKind::KeyedClients).then(|| key.unwrap_or_default());
        let mut role = || match (caller, keyring) {
            (None, _) => role_of_plain_peer(from.address, self.parts.plain_peers),
            (Some(key), Some(keyring)) => role_of_key(key, &keyring.allowed()),
            (Some(_), None) => Role::Nobody,
        };
        let mut context = RequestContext {
            config: self.config(),
            epoch: self.epoch,
            workers_port: self.parts.workers_port,
            server_key: keyring.map(|keyring| keyring.own().public()),
            caller,
            draining: self.is_draining(),
            role: &mut role,
            snapshot: &|| self.dispatch.snapshot(),
            progress: &|key, from| self.dispatch.build_progress(key, from),
        };
        decide(Shape::read(body), body.len(), &mut context)
    }

    fn carry_out(&mut self, decision: Decision, request: PendingRequest) {
        match decision {
            Decision::Reply(reply) => self.reply(&reply, request),
            Decision::Job(job) => {
                let waiter = self.pending.insert(request);
                self.feed(Event::Job { waiter, job });
            }
            Decision::Background(task) => self.start_background(task, request),
            Decision::RestartWorkers(reply) => {
                self.reply(&reply, request);
                self.feed(Event::RestartWorkers);
            }
            Decision::RestartRouter(reply) => {
                self.reply(&reply, request);
                self.drain(Exit::Restart);
            }
        }
    }

    fn start_background(&mut self, task: BackgroundTask, request: PendingRequest) {
        let waiter = self.pending.insert(request);
        let tasks = if task.is_change() { &self.parts.changes } else { &self.parts.lookups };
        if tasks.try_send((waiter, task)).is_err() {
            let text = "too many of these at a time; send this one again";
            self.reply_to(waiter, &Reply::error(Reason::StoreUnavailable, text));
        }
    }

    pub(super) fn reply_to(&mut self, waiter: Waiter, reply: &Reply) {
        if let Some(request) = self.pending.remove(waiter) {
            self.reply(reply, request);
        }
    }

    pub(super) fn reply(&mut self, reply: &Reply, request: PendingRequest) {
        if self.sheds(reply.response.as_ref().map_or(0, Vec::len)) {
            return self.shed(request);
        }
        let now = self.clock.now();
        self.deliver(request, |request, out| answer::write_reply(reply, request, now, out));
    }

    pub(super) fn answer_job(&mut self, waiter: Waiter, answer: &JobAnswer) {
        let Some(request) = self.pending.remove(waiter) else { return };
        if self.sheds(answer.output.as_ref().map_or(0, Output::bytes)) {
            return self.shed(request);
        }
        if let Some(usage) = &answer.usage {
            self.parts.metrics.queued(usage.queue_ms);
        }
        let now = self.clock.now();
        self.deliver(request, |request, out| answer::write_job(answer, request, now, out));
    }

    /// Queues the answer that `write` appends to its buffer. `write` returns the answer's reason.
    pub(super) fn deliver(
        &mut self,
        mut request: PendingRequest,
        write: impl FnOnce(&PendingRequest, &mut Vec<u8>) -> Reason,
    ) {
        let route = std::mem::take(&mut request.route);
        let reason = self.outbox.push_answer(request.peer, route, |out| write(&request, out));
        let took = self.clock.now().since(&request.received);
        self.parts.metrics.answered(request.action, reason, took);
    }
}

fn refuse_frames(error: frame::Error) -> DecidedRequest {
    let reason = match error {
        frame::Error::BodyBytes(_) => Reason::TooLarge,
        _ => Reason::NotJson,
    };
    let reply = Reply::error(reason, error.to_string());
    DecidedRequest { action: None, id: None, decision: Decision::Reply(reply) }
}
