//! When waiting is of no use: no worker serves the track, or none will have the version ready.

use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::Place;

use crate::dispatch::action::Turn;
use crate::dispatch::ids::LaneId;
use crate::dispatch::{Dispatch, Ending};

impl Dispatch {
    /// True if a job of the track may wait: a connected worker covers it, or one is expected, or a pool may start one.
    pub(crate) fn is_servable(&self, place: &Place) -> bool {
        self.workers.pools.is_served(place.channel, self.lanes.track_id(place))
            || self.settings.expected.contains(place)
            || self.settings.cold_start(place).is_some()
            || self.returning.iter().any(|r| place.is_covered_by(r.channel, &r.topics))
    }

    /// Answers the jobs for which nobody may come.
    pub(crate) fn refuse_unserved(&mut self, turn: &mut Turn<'_>) {
        for lane in self.lanes.waiting_lanes() {
            if let Some(place) = self.lanes.place(lane).filter(|place| !self.is_servable(place)) {
                let ending = Ending::no_worker(place);
                self.finish_waiting(lane, ending, turn);
            }
        }
    }

    /// Fewer workers may mean that all that are left have failed a version.
    pub(crate) fn refuse_all_failed(&mut self, turn: &mut Turn<'_>) {
        for lane in self.lanes.waiting_lanes() {
            self.refuse_failed(lane, turn);
        }
    }

    /// Answers a lane's waiting jobs if no worker will ever have its version ready.
    pub(crate) fn refuse_failed(&mut self, lane: LaneId, turn: &mut Turn<'_>) {
        if let Some(failure) = self.failure_everywhere(lane) {
            self.finish_waiting(lane, failure, turn);
        }
    }

    /// The workers' error, once all that could serve a version have failed it for good.
    pub(crate) fn failure_everywhere(&self, id: LaneId) -> Option<Ending> {
        let lane = self.lanes.lane(id).filter(|lane| lane.ready.is_empty() && !lane.failed.is_empty())?;
        let channel = self.lanes.track(lane.track)?.place.channel;
        let serving = self.workers.connected().filter(|(_, worker, _)| {
            worker.serves(channel, lane.track) && (!worker.draining || worker.returning)
        });
        let mut found = None;
        for (_, worker, _) in serving {
            let failure = worker.failed.get(&id).filter(|failure| !failure.retrying)?;
            found.get_or_insert((worker, failure));
        }
        let (worker, failure) = found.filter(|_| !self.recovering)?;
        let reason = Reason::find(failure.status_code, &failure.reason);
        let reason = reason.filter(|reason| matches!(reason.code(), 511 | 512));
        let mut ending = Ending::new(reason.unwrap_or(Reason::NotUnpacked), failure.message.clone());
        ending.error_detail = Some(format!("{} on worker {}", failure.reason, worker.about.name));
        Some(ending)
    }
}
