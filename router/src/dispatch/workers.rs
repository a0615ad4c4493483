//! Workers: who is connected, what each has ready, and which attempts each holds.

mod adoption;
pub(super) mod attempt;
mod bounds;
mod desired;
mod hello;
mod messages;
mod ranking;
mod worker;
mod worker_loss;

pub(super) use bounds::HELLO_REQUEST_INTERVAL;
pub(super) use worker::{About, Failure, Returning, Worker, Workers};
