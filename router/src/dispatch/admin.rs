//! What an administrator asks for: deployed versions, settings, restarts of workers, drain.

use std::collections::BTreeSet;

use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::Tooling;

use crate::dispatch::action::Effects;
use crate::dispatch::ids::LaneId;
use crate::dispatch::{DeployedVersions, Dispatch, Ending, Settings};

impl Dispatch {
    /// Applies the deployed versions: answers jobs that wait for a removed one, and sends the new list to workers.
    pub(crate) fn on_deployed(&mut self, new: DeployedVersions, effects: &mut Effects<'_>) {
        let old = self.deployed.take().unwrap_or_default();
        let lanes: Vec<LaneId> =
            new.iter().map(|(tooling, version)| self.lanes.get_or_create(tooling, Some(version))).collect();
        let kept: BTreeSet<LaneId> = lanes.into_iter().collect();
        for lane in &kept {
            self.set_deployed(*lane, true);
        }
        let previous = old.iter().filter_map(|(tooling, version)| self.lanes.find(tooling, Some(version)));
        let removed: Vec<LaneId> = previous.filter(|lane| !kept.contains(lane)).collect();
        let toolings: BTreeSet<&Tooling> = new.0.keys().chain(old.0.keys()).collect();
        let changed: Vec<&Tooling> =
            toolings.into_iter().filter(|p| old.0.get(*p) != new.0.get(*p)).collect();
        let affected = self.workers_covering(&changed);
        self.deployed = Some(new);
        for lane in removed {
            self.undeploy(lane, effects);
        }
        self.send_desired(&affected, effects);
    }

    fn set_deployed(&mut self, lane: LaneId, deployed: bool) {
        if let Some(lane) = self.lanes.lane_mut(lane) {
            lane.deployed = deployed;
        }
    }

    fn undeploy(&mut self, lane: LaneId, effects: &mut Effects<'_>) {
        self.set_deployed(lane, false);
        let message = "the version was unloaded while the job waited";
        self.finish_waiting(lane, Ending::new(Reason::NotDeployed, message), effects);
        self.lanes.remove_if_unused(lane);
    }

    /// Applies new settings and sends workers what concerns them.
    pub(crate) fn on_settings(&mut self, settings: Settings, effects: &mut Effects<'_>) {
        let old = std::mem::replace(&mut self.settings, settings);
        if !self.recovering && (&old.pools, &old.expected) != (&self.settings.pools, &self.settings.expected)
        {
            self.refuse_unserved(effects);
        }
        let new = &self.settings;
        let is_unchanged = (&old.images, &old.inputs, old.heartbeat, old.silence)
            == (&new.images, &new.inputs, new.heartbeat, new.silence);
        if is_unchanged {
            return;
        }
        for (id, _, peer) in self.workers.connected() {
            self.send_welcome(id, peer, effects);
        }
    }

    /// Asks every connected worker to drain and bootstrap again.
    pub(crate) fn restart_workers(&mut self, effects: &mut Effects<'_>) {
        let all: Vec<_> = self.workers.connected().map(|(id, _, peer)| (id, peer)).collect();
        for (id, peer) in all {
            self.restart_worker(id, peer, effects);
        }
    }

    /// Prepares for shutdown: waiting jobs are refused, running jobs may finish.
    pub(crate) fn on_drain(&mut self, effects: &mut Effects<'_>) {
        self.draining = true;
        for lane in self.lanes.waiting_lanes() {
            self.finish_waiting(lane, Ending::new(Reason::RouterDraining, ""), effects);
        }
    }
}
