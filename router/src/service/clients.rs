//! The clients' side: requests in, answers out.

use trackyard_daemon::clock::Moment;
use trackyard_protocol::frame::{self, ClientFrames, MAX_ROUTE_FRAMES, Request};
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::Shape;

use super::phase::Exit;
use super::waiters::Way;
use super::{BATCH, Service, answer};
use crate::actions::{Decided, Decision, Errand, Reply, World, decide};
use crate::caller::{Role, role_of_key, role_of_plain_peer};
use crate::dispatch::{Ending, Event, Waiter};
use crate::socket::{Frame, PortKind};

/// The longest good message: the socket's routing id, the route, the empty frame and the JSON; and one more, by
/// which a longer one is known.
const KEPT_FRAMES: usize = MAX_ROUTE_FRAMES + 4;

impl Service {
    /// Takes a batch of requests from either port of clients; how many there were.
    pub(super) fn take_clients(&mut self) -> usize {
        self.take_requests(PortKind::Clients) + self.take_requests(PortKind::KeyedClients)
    }

    fn take_requests(&mut self, port: PortKind) -> usize {
        for taken in 0..BATCH {
            let next = self.parts.ports.of(port).and_then(|port| port.receive(KEPT_FRAMES));
            let Some(frames) = next else { return taken };
            self.take_request(port, frames);
        }
        BATCH
    }

    fn take_request(&mut self, port: PortKind, frames: Vec<Frame>) {
        let received = Moment::now();
        let Some(ClientFrames { mut route, request }) = frame::split(frames) else { return };
        let (decided, delimiter) = match request {
            Ok(Request { mut delimiter, body }) => {
                (self.decide(port, body.as_ref(), &mut delimiter), delimiter)
            }
            Err(error) => (refused(error), Frame::from([].as_slice())),
        };
        route.push(delimiter);
        let way = Way { port, route, action: decided.action, id: decided.id, received };
        self.carry_out(decided.decision, way);
    }

    /// Any frame of the message tells who sent it.
    fn decide(&self, port: PortKind, body: &[u8], any: &mut Frame) -> Decided {
        let keyring = self.parts.keyring.as_ref();
        let is_keyed = port == PortKind::KeyedClients;
        let caller = is_keyed.then(|| any.peer_key().unwrap_or_default().to_owned());
        let mut role = || match (&caller, keyring) {
            (None, _) => role_of_plain_peer(any.peer_address(), self.parts.plain_peers),
            (Some(key), Some(keyring)) => role_of_key(key, &keyring.allowed()),
            (Some(_), None) => Role::Nobody,
        };
        let role: &mut dyn FnMut() -> Role = &mut role;
        let config = self.config();
        let mut world = World {
            config: &config,
            epoch: self.epoch,
            workers_port: self.parts.ports.workers.number(),
            server_key: keyring.map(|keyring| keyring.own().public()),
            caller: caller.as_deref(),
            draining: self.is_draining(),
            role,
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
        if self.parts.errands.try_send((waiter, errand)).is_err() {
            let text = "too many changes at a time; send this one again";
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
        answer::of_reply(reply, &way, &mut self.memory);
        self.deliver(reply.reason, way);
    }

    pub(super) fn answer_job(&mut self, waiter: Waiter, ending: &Ending) {
        let Some(way) = self.waiters.take(waiter) else { return };
        if self.withholds(ending.output.as_ref().map_or(0, |output| output.bytes())) {
            return self.withhold(way);
        }
        if let Some(usage) = &ending.usage {
            self.parts.metrics.queued(usage.queue_ms);
        }
        let reason = answer::of_ending(ending, &way, &mut self.memory);
        self.deliver(reason, way);
    }

    /// Sends the answer that was written to the service's memory.
    pub(super) fn deliver(&mut self, reason: Reason, mut way: Way) {
        self.parts.metrics.answered(way.action, reason, &way.received);
        way.route.push(Frame::from(self.memory.as_slice()));
        self.outbox.answer(way.port, way.route);
    }
}

fn refused(error: frame::Error) -> Decided {
    let reason = match error {
        frame::Error::BodyBytes(_) => Reason::TooLarge,
        _ => Reason::NotJson,
    };
    Decided { action: None, id: None, decision: Decision::Reply(Reply::error(reason, error.to_string())) }
}
