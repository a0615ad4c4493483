//! Workers: which are connected, what each has ready, and which attempts each holds.

mod adoption;
mod attempt;
mod bounds;
mod desired;
mod hello;
mod messages;
mod ranking;
mod worker;
mod worker_loss;

pub(super) use attempt::{Attempt, AttemptState, Attempts};
pub(super) use bounds::HELLO_REQUEST_INTERVAL;
pub(super) use worker::{RestartingWorker, VersionFailure, Worker, WorkerInfo, Workers};
