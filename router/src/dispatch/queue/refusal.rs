//! Jobs that must not wait: no worker serves their track, or none will have their version ready.

use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::Tooling;

use crate::dispatch::action::Effects;
use crate::dispatch::ids::LaneId;
use crate::dispatch::{Dispatch, Ending};

impl Dispatch {
    /// Returns true if a job of the track may wait: a connected worker serves it, one is expected or restarts, or a pool
    /// may start one.
    pub(crate) fn is_servable(&self, tooling: &Tooling) -> bool {
        self.workers.ranking.is_served(tooling.channel, self.lanes.track_id(tooling))
            || self.settings.expected.contains(tooling)
            || self.settings.cold_start(tooling).is_some()
            || self.restarting.iter().any(|worker| tooling.is_covered_by(worker.channel, &worker.topics))
    }

    /// Ends the waiting jobs of tracks that no worker will serve.
    pub(crate) fn refuse_unserved(&mut self, effects: &mut Effects<'_>) {
        for lane in self.lanes.waiting_lanes() {
            if let Some(tooling) = self.lanes.tooling(lane).filter(|tooling| !self.is_servable(tooling)) {
                let ending = Ending::no_worker(tooling);
                self.finish_waiting(lane, ending, effects);
            }
        }
    }

    /// Ends the waiting jobs of all versions that the remaining workers have failed.
    pub(crate) fn refuse_all_failed(&mut self, effects: &mut Effects<'_>) {
        for lane in self.lanes.waiting_lanes() {
            self.refuse_failed(lane, effects);
        }
    }

    /// Ends a lane's waiting jobs if no worker will ever have its version ready.
    pub(crate) fn refuse_failed(&mut self, lane: LaneId, effects: &mut Effects<'_>) {
        if let Some(failure) = self.failure_on_all_workers(lane) {
            self.finish_waiting(lane, failure, effects);
        }
    }

    /// Returns the workers' error, once all that serve a version's track have failed it for good.
    pub(crate) fn failure_on_all_workers(&self, id: LaneId) -> Option<Ending> {
        let lane = self.lanes.lane(id).filter(|lane| lane.ready.is_empty() && !lane.failed.is_empty())?;
        let channel = self.lanes.track(lane.track)?.tooling.channel;
        let serving = self.workers.connected().filter(|(_, worker, _)| {
            worker.serves(channel, lane.track) && (!worker.draining || worker.restarting)
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
        ending.error_detail = Some(format!("{} on worker {}", failure.reason, worker.info.name));
        Some(ending)
    }
}
