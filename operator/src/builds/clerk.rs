//! The thread that talks to the router. It has a thread of its own because the client waits.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use trackyard_protocol::answer::Answer;
use trackyard_protocol::build::BuildProgress;
use trackyard_protocol::client::{self, Client};
use trackyard_protocol::keys::Curve;

use super::book::{Book, Question};
use super::{Builds, Order, Seen};

/// What the answers to questions after a build are known by, before the build's id.
const POLL: &str = "poll-";
/// How long an order may lie while answers are waited for.
const STEP: Duration = Duration::from_millis(250);
/// How long the thread sleeps if there is nothing to do, before it looks whether it is still wanted.
const IDLE: Duration = Duration::from_secs(60);

/// Starts the thread that asks the router at `address`, if there is one, with the keys that `curve` tells.
#[must_use]
pub fn start(address: Option<String>, curve: watch::Receiver<Option<Curve>>) -> Builds {
    let (seen, told) = watch::channel(Seen::default());
    let Some(address) = address else { return Builds { orders: None, seen: told } };
    let (orders, taken) = mpsc::channel();
    let clerk = Clerk { address, curve, orders: taken, seen, book: Book::default(), client: None };
    let name = "builds".to_owned();
    match thread::Builder::new().name(name).spawn(move || clerk.work()) {
        Ok(_) => Builds { orders: Some(orders), seen: told },
        Err(error) => {
            tracing::error!(%error, "no thread for builds: none can be asked for");
            Builds { orders: None, seen: told }
        }
    }
}

struct Clerk {
    address: String,
    curve: watch::Receiver<Option<Curve>>,
    orders: Receiver<Order>,
    seen: watch::Sender<Seen>,
    book: Book,
    client: Option<Client>,
}

impl Clerk {
    /// Works until nobody can order anything any more.
    fn work(mut self) {
        while self.take_orders() {
            self.connect();
            for question in self.book.due(Instant::now()) {
                self.ask(&question);
            }
            self.hear();
            self.tell();
        }
    }

    /// False once there can be no more orders.
    fn take_orders(&mut self) -> bool {
        if self.book.is_idle() {
            match self.orders.recv_timeout(IDLE) {
                Ok(order) => self.take(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        loop {
            match self.orders.try_recv() {
                Ok(order) => self.take(order),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn take(&mut self, order: Order) {
        self.connect();
        if let Some(question) = self.book.order(order, Instant::now()) {
            self.ask(&question);
        }
    }

    /// Without keys there is no connection yet; with others there is another.
    fn connect(&mut self) {
        if self.client.is_some() && !self.curve.has_changed().unwrap_or(false) {
            return;
        }
        let curve = self.curve.borrow_and_update().clone();
        self.client = curve.and_then(|curve| match Client::connect_with(&self.address, Some(&curve)) {
            Ok(client) => Some(client),
            Err(error) => {
                tracing::warn!(%error, "cannot ask the router for builds");
                None
            }
        });
        if self.client.is_some() {
            self.book.reconnected(Instant::now());
        }
    }

    /// What is not sent is due again, by another connection: libzmq ends one for ever whose key was refused once, and the
    /// router may have learnt of the key since.
    fn ask(&mut self, question: &Question) {
        let Some(client) = &self.client else { return };
        if let Err(error) = client.send(&request(question)) {
            tracing::warn!(%error, "the router was not asked for a build");
            self.client = None;
        }
    }

    fn hear(&mut self) {
        let Some(client) = &self.client else { return thread::sleep(STEP) };
        match client.receive(STEP) {
            Ok(answer) => self.understand(&answer),
            Err(client::Error::TimedOut { .. }) => {}
            Err(error) => tracing::warn!(%error, "what the router says of a build is not understood"),
        }
    }

    fn understand(&mut self, answer: &Answer) {
        let Some(id) = answer.context.get("id").and_then(Value::as_str) else { return };
        let Some(uid) = id.strip_prefix(POLL) else {
            return self.book.answered(id, answer, Instant::now());
        };
        match serde_json::from_value::<BuildProgress>(answer.response.clone()) {
            Ok(progress) if answer.status.ok => self.book.polled(uid, progress.state),
            _ => tracing::warn!(status = ?answer.status, "the router does not say how far a build is"),
        }
    }

    fn tell(&self) {
        let now = self.book.seen();
        self.seen.send_if_modified(|seen| {
            let changed = **seen != now;
            if changed {
                *seen = Arc::new(now);
            }
            changed
        });
    }
}

fn request(question: &Question) -> Value {
    let (action, order, id) = match question {
        Question::Submit(order) => ("build_container", order, order.uid.clone()),
        Question::Poll(order) => ("build_log", order, format!("{POLL}{}", order.uid)),
    };
    let mut request = json!({
        "action": action, "id": id, "channel": order.channel, "track_slug": order.track,
        "git_reference": order.git_reference,
    });
    if let (Question::Poll(_), Some(fields)) = (question, request.as_object_mut()) {
        // How far it is is wanted, not its lines.
        fields.insert("from".to_owned(), json!(u64::from(u32::MAX)));
    }
    request
}
