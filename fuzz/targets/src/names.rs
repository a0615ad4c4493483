//! Every checked name, made of any text.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use trackyard_protocol::channel::{Channel, Topic};
use trackyard_protocol::name::{Error, ExerciseSlug, JobId, PoolName, TrackSlug, WorkerName};
use trackyard_protocol::request::Action;
use trackyard_protocol::token::{Epoch, Incarnation, JobKey, Token};
use trackyard_protocol::uri::{InputUri, Location, is_plain_path};
use trackyard_protocol::version::{ContainerVersion, Digest, PinnedVersion};

/// What was taken is safe as a path's component and on a command line, and is the same when read again.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let components = [
        name::<TrackSlug>(text),
        name::<ExerciseSlug>(text),
        name::<JobId>(text),
        name::<WorkerName>(text),
        name::<PoolName>(text),
        name::<ContainerVersion>(text),
    ];
    if components.contains(&true) {
        assert!(is_plain_path(text) && !text.contains('/') && !text.starts_with(['-', '.']));
    }
    name::<Digest>(text);
    name::<PinnedVersion>(text);
    name::<Topic>(text);
    name::<Epoch>(text);
    name::<Incarnation>(text);
    name::<JobKey>(text);
    value::<Token>(text);
    again::<Channel>(text.parse().ok());
    again::<Action>(text.parse().ok());
    if let Some(uri) = value::<InputUri>(text) {
        let path = match uri.location() {
            Location::S3 { prefix, .. } => prefix,
            Location::File { path } => path.strip_prefix('/').unwrap_or_default(),
        };
        assert!(is_plain_path(path));
    }
}

fn name<T: FromStr<Err = Error> + Display + Debug + PartialEq>(text: &str) -> bool {
    value::<T>(text).is_some_and(|value| value.to_string() == text)
}

fn value<T: FromStr<Err = Error> + Display + Debug + PartialEq>(text: &str) -> Option<T> {
    let value = text.parse::<T>().map_err(|error| assert!(error.to_string().len() < 4096, "{error}")).ok();
    again(value)
}

fn again<T: FromStr + Display + Debug + PartialEq>(value: Option<T>) -> Option<T> {
    value.inspect(|value| assert_eq!(value.to_string().parse().ok().as_ref(), Some(value)))
}
