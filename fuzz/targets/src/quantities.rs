//! Sizes, durations and processors, as text and in JSON, and whole sets of limits.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::quantity::{Bytes, Cpus, HumanDuration};

/// What was taken is the same when it is written and read again.
pub fn run(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        again::<Bytes>(text.parse().ok());
        again::<HumanDuration>(text.parse().ok());
        again::<Cpus>(text.parse().ok());
    }
    again::<Bytes>(serde_json::from_slice(bytes).ok());
    again::<HumanDuration>(serde_json::from_slice(bytes).ok());
    again::<Cpus>(serde_json::from_slice(bytes).ok());
    if let Ok(limits) = serde_json::from_slice::<Limits>(bytes) {
        let text = serde_json::to_string(&limits).expect("limits can be written");
        assert_eq!(serde_json::from_str::<Limits>(&text).ok().as_ref(), Some(&limits));
        assert!(limits.cpu_time() >= limits.at_most(&Limits::default()).cpu_time());
    }
    if let Ok(limits) = serde_json::from_slice::<BuildLimits>(bytes) {
        let text = serde_json::to_string(&limits).expect("limits can be written");
        assert_eq!(serde_json::from_str::<BuildLimits>(&text).ok(), Some(limits));
    }
}

fn again<T: FromStr + Display + Debug + PartialEq>(value: Option<T>) {
    if let Some(value) = value {
        assert_eq!(value.to_string().parse().ok().as_ref(), Some(&value));
    }
}
