//! What is to be asked of the router, and when: pure. A build is submitted once and then asked after, because its answer
//! may be lost with the router; one that the router does not know any more is submitted again, which joins or finds what
//! was built meanwhile.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use trackyard_protocol::answer::Answer;
use trackyard_protocol::build::{BuildResponse, BuildState};
use trackyard_protocol::reason::Reason;

use super::{Order, Progress};

/// Between two questions after a build.
const POLL: Duration = Duration::from_secs(3);
/// The first pause after a build that could not be done now, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// What ended so long ago is forgotten: its object says how it ended.
const KEPT: Duration = Duration::from_secs(600);
/// What nobody has wanted for so long is not asked for any more: its object is gone, or nobody's to touch.
const WANTED: Duration = Duration::from_secs(60);
/// Of a log that failed.
const LAST_LINES: usize = 20;
const LAST_CHARS: usize = 4000;

/// What to ask the router.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Build this.
    Submit(Order),
    /// How far is this?
    Poll(Order),
}

/// All builds that were ordered.
#[derive(Debug, Default)]
pub(super) struct Book(HashMap<String, Entry>);

#[derive(Debug)]
struct Entry {
    order: Order,
    progress: Progress,
    /// When it was last ordered.
    wanted: Instant,
    /// When it is to be looked at again.
    due: Instant,
    /// Questions in a row to which the router had no such build.
    unknown: u32,
    /// Tries in a row that could not be done.
    postponed: u32,
}

impl Entry {
    fn has_ended(&self) -> bool {
        matches!(self.progress, Progress::Built { .. } | Progress::Failed { .. })
    }

    fn is_submitted(&self) -> bool {
        !self.has_ended() && !matches!(self.progress, Progress::Postponed { .. })
    }
}

impl Book {
    /// True if nothing is asked for: there is nothing to wait for but orders.
    pub(super) fn is_idle(&self) -> bool {
        self.0.values().all(Entry::has_ended)
    }

    /// The same order again says that it is still wanted.
    pub(super) fn order(&mut self, order: Order, now: Instant) -> Option<Question> {
        self.0.retain(|_, entry| !entry.has_ended() || now < entry.due);
        if let Some(entry) = self.0.get_mut(&order.uid).filter(|entry| entry.order == order) {
            entry.wanted = now;
            return None;
        }
        let (progress, due) = (Progress::Asked, now + POLL);
        let entry = Entry { order: order.clone(), progress, wanted: now, due, unknown: 0, postponed: 0 };
        self.0.insert(order.uid.clone(), entry);
        Some(Question::Submit(order))
    }

    /// What is to be asked by now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Question> {
        self.0.retain(|_, entry| entry.has_ended() || now < entry.wanted + WANTED);
        let due = self.0.values_mut().filter(|entry| !entry.has_ended() && entry.due <= now);
        due.map(|entry| {
            let submit = !entry.is_submitted() || entry.unknown > 1;
            entry.due = now + POLL;
            if !submit {
                return Question::Poll(entry.order.clone());
            }
            (entry.progress, entry.unknown) = (Progress::Asked, 0);
            Question::Submit(entry.order.clone())
        })
        .collect()
    }

    /// Everything is asked for again, on a new connection.
    pub(super) fn reconnected(&mut self, now: Instant) {
        for entry in self.0.values_mut().filter(|entry| entry.is_submitted()) {
            (entry.unknown, entry.due) = (2, now);
        }
    }

    /// The router says how far a build is.
    pub(super) fn polled(&mut self, uid: &str, state: BuildState) {
        let Some(entry) = self.0.get_mut(uid).filter(|entry| entry.is_submitted()) else { return };
        match state {
            // Its answer may be on its way: the second time it is not.
            BuildState::None => entry.unknown += 1,
            BuildState::Waiting => (entry.progress, entry.unknown) = (Progress::Waiting, 0),
            BuildState::Running => (entry.progress, entry.unknown) = (Progress::Running, 0),
        }
    }

    /// The router says how a build has ended.
    pub(super) fn answered(&mut self, uid: &str, answer: &Answer, now: Instant) {
        let Some(entry) = self.0.get_mut(uid).filter(|entry| !entry.has_ended()) else { return };
        entry.progress = ending(answer);
        entry.unknown = 0;
        let pause = if let Progress::Postponed { .. } = entry.progress {
            entry.postponed += 1;
            PAUSES.0.saturating_mul(1 << (entry.postponed - 1).min(16)).min(PAUSES.1)
        } else {
            KEPT
        };
        entry.due = now + pause;
    }

    /// How far each build is, with its object's UID and attempt.
    pub(super) fn seen(&self) -> HashMap<String, (String, Progress)> {
        let of = |(uid, entry): (&String, &Entry)| {
            (uid.clone(), (entry.order.attempt.clone(), entry.progress.clone()))
        };
        self.0.iter().map(of).collect()
    }
}

fn ending(answer: &Answer) -> Progress {
    let status = &answer.status;
    if status.ok {
        return match serde_json::from_value::<BuildResponse>(answer.response.clone()) {
            Ok(built) => Progress::Built { version: built.image_tag },
            Err(error) => {
                Progress::Postponed { why: format!("the router's answer is not understood: {error}") }
            }
        };
    }
    let word = status.reason.as_deref().unwrap_or_default();
    let why = format!("{} {word}: {}", status.status_code, status.message);
    let reason = Reason::find(status.status_code, word);
    // A worker that failed or left, and a router that failed, say nothing of the repository.
    let passes = reason.is_some_and(Reason::is_retryable) || matches!(status.status_code, 500 | 506 | 510);
    if passes { Progress::Postponed { why } } else { Progress::Failed { why: with_log(why, answer) } }
}

fn with_log(why: String, answer: &Answer) -> String {
    let logs = answer.context.get("logs").and_then(serde_json::Value::as_str).unwrap_or_default();
    let skip = logs.lines().count().saturating_sub(LAST_LINES);
    let end = logs.lines().skip(skip).collect::<Vec<_>>().join("\n");
    let skip = end.chars().count().saturating_sub(LAST_CHARS);
    let end: String = end.chars().skip(skip).collect();
    if end.is_empty() { why } else { format!("{why}\n{end}") }
}
