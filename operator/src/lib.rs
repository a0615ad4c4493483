//! The operator's decisions, which know neither a clock nor a cluster: how many pods a pool has, and what its children
//! are.

pub mod pool;
