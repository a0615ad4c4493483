//! Versions come and go, and the other things that an administrator asks for.

use std::collections::BTreeSet;

use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::Place;

use crate::dispatch::action::Turn;
use crate::dispatch::event::pairs;
use crate::dispatch::ids::LaneId;
use crate::dispatch::{Deployment, Dispatch, Ending, Settings};

impl Dispatch {
    /// Takes over the deployed versions: jobs that wait for one that is gone are answered, workers are told.
    pub(crate) fn deploy(&mut self, deployment: Deployment, turn: &mut Turn<'_>) {
        let new = deployment.0;
        let old = self.deployed.take().unwrap_or_default();
        let lanes: Vec<LaneId> =
            pairs(&new).map(|(place, version)| self.lanes.enter(place, Some(version))).collect();
        let kept: BTreeSet<LaneId> = lanes.into_iter().collect();
        for lane in &kept {
            self.set_deployed(*lane, true);
        }
        let before = pairs(&old).filter_map(|(place, version)| self.lanes.find(place, Some(version)));
        let gone: Vec<LaneId> = before.filter(|lane| !kept.contains(lane)).collect();
        let places: BTreeSet<&Place> = new.keys().chain(old.keys()).collect();
        let changed: Vec<&Place> = places.into_iter().filter(|p| old.get(*p) != new.get(*p)).collect();
        let told = self.covering(&changed);
        self.deployed = Some(new);
        for lane in gone {
            self.undeploy(lane, turn);
        }
        self.tell_desired(&told, turn);
    }

    fn set_deployed(&mut self, lane: LaneId, deployed: bool) {
        if let Some(lane) = self.lanes.lane_mut(lane) {
            lane.deployed = deployed;
        }
    }

    fn undeploy(&mut self, lane: LaneId, turn: &mut Turn<'_>) {
        self.set_deployed(lane, false);
        let message = "the version was unloaded while the job waited";
        self.finish_waiting(lane, Ending::new(Reason::NotDeployed, message), turn);
        self.lanes.release(lane);
    }

    /// New settings; workers are told what concerns them.
    pub(crate) fn set(&mut self, settings: Settings, turn: &mut Turn<'_>) {
        let old = std::mem::replace(&mut self.settings, settings);
        if !self.recovering && (&old.pools, &old.expected) != (&self.settings.pools, &self.settings.expected)
        {
            self.refuse_unserved(turn);
        }
        let new = &self.settings;
        let same = (&old.images, &old.inputs, old.heartbeat, old.silence)
            == (&new.images, &new.inputs, new.heartbeat, new.silence);
        if same {
            return;
        }
        for (id, _, peer) in self.workers.connected() {
            self.welcome(id, peer, turn);
        }
    }

    pub(crate) fn restart_workers(&mut self, turn: &mut Turn<'_>) {
        let all: Vec<_> = self.workers.connected().map(|(id, _, peer)| (id, peer)).collect();
        for (id, peer) in all {
            self.restart_worker(id, peer, turn);
        }
    }

    /// The router shuts down: what waits is refused, what runs may finish.
    pub(crate) fn drain(&mut self, turn: &mut Turn<'_>) {
        self.draining = true;
        for lane in self.lanes.waiting_lanes() {
            self.finish_waiting(lane, Ending::new(Reason::RouterDraining, ""), turn);
        }
    }
}
