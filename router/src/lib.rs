//! The router: takes jobs from clients, gives them to workers and answers.

pub mod config;
pub mod dispatch;
pub mod versions;
