//! The clients' side: requests in, answers out.

use trackyard_protocol::frame::{self, ClientFrames};
use trackyard_protocol::keys::PublicKey;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::Shape;
use trackyard_zmtp::Message;

use super::phase::Exit;
use super::waiters::Way;
use super::{Service, answer};
use crate::actions::{Decided, Decision, Errand, Reply, World, decide};
use crate::caller::{Role, role_of_key, role_of_plain_peer};
use crate::dispatch::{Answer, Event, Output, Waiter};
use crate::socket::{Origin, PortKind};

impl Service {
    pub(super) fn take_request(&mut self, from: &Origin, message: Message<'_>) {
        let received = self.clock.now();
        let ClientFrames { route, request } = frame::split(message.iter());
        let decided = match request {
            Ok(body) => self.decide(from, body),
            Err(error) => refused(error),
        };
        let route = route.into_iter().map(<[u8]>::to_vec).collect();
        let way = Way { peer: from.peer, route, action: decided.action, id: decided.id, received };
        self.carry_out(decided.decision, way);
    }

    fn decide(&self, from: &Origin, body: &[u8]) -> Decided {
        let keyring = self.parts.keyring.as_ref();
        let key = from.key.as_ref().map(PublicKey::as_str);
        let caller = (from.port == PortKind::KeyedClients).then(|| key.unwrap_or_default());
        let mut role = || match (caller, keyring) {
            (None, _) => role_of_plain_peer(from.address, self.parts.plain_peers),
            (Some(key), Some(keyring)) => role_of_key(key, &keyring.allowed()),
            (Some(_), None) => Role::Nobody,
        };
        let mut world = World {
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
        decide(Shape::read(body), body.len(), &mut world)
    }

    fn carry_out(&mut self, decision: Decision, way: Way) {
        match decision {
            Decision::Reply(reply) => self.reply(&reply, way),
            Decision::Job(job) => {
                let waiter = self.waiters.add(way);
                self.feed(Event::Job { waiter, job });
            }
            Decision::Errand(errand) => self.send_errand(errand, way),
            Decision::RestartWorkers(reply) => {
                self.reply(&reply, way);
                self.feed(Event::RestartWorkers);
            }
            Decision::RestartRouter(reply) => {
                self.reply(&reply, way);
                self.drain(Exit::Restart);
            }
        }
    }

    fn send_errand(&mut self, errand: Errand, way: Way) {
        let waiter = self.waiters.add(way);
        let to = if errand.is_change() { &self.parts.changes } else { &self.parts.lookups };
        if to.try_send((waiter, errand)).is_err() {
            let text = "too many of these at a time; send this one again";
            self.reply_to(waiter, &Reply::error(Reason::StoreUnavailable, text));
        }
    }

    pub(super) fn reply_to(&mut self, waiter: Waiter, reply: &Reply) {
        if let Some(way) = self.waiters.take(waiter) {
            self.reply(reply, way);
        }
    }

    pub(super) fn reply(&mut self, reply: &Reply, way: Way) {
        if self.withholds(reply.response.as_ref().map_or(0, Vec::len)) {
            return self.withhold(way);
        }
        let now = self.clock.now();
        self.deliver(way, |way, out| answer::of_reply(reply, way, now, out));
    }

    pub(super) fn answer_job(&mut self, waiter: Waiter, answer: &Answer) {
        let Some(way) = self.waiters.take(waiter) else { return };
        if self.withholds(answer.output.as_ref().map_or(0, Output::bytes)) {
            return self.withhold(way);
        }
        if let Some(usage) = &answer.usage {
            self.parts.metrics.queued(usage.queue_ms);
        }
        let now = self.clock.now();
        self.deliver(way, |way, out| answer::of_job(answer, way, now, out));
    }

    /// Sends the answer that `write` appends to what it is given, and whose reason it gives.
    pub(super) fn deliver(&mut self, mut way: Way, write: impl FnOnce(&Way, &mut Vec<u8>) -> Reason) {
        let route = std::mem::take(&mut way.route);
        let reason = self.outbox.answer(way.peer, route, |out| write(&way, out));
        let took = self.clock.now().since(&way.received);
        self.parts.metrics.answered(way.action, reason, took);
    }
}

fn refused(error: frame::Error) -> Decided {
    let reason = match error {
        frame::Error::BodyBytes(_) => Reason::TooLarge,
        _ => Reason::NotJson,
    };
    Decided { action: None, id: None, decision: Decision::Reply(Reply::error(reason, error.to_string())) }
}
