//! What a worker lets its router decide. A router on loopback is trusted. Any other can only choose among what the
//! worker's flags allow, so that a stolen router reads no more than its jobs could.

use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::quantity::Bytes;
use trackyard_protocol::source::{ImageSource, ImageSourceKind, InputPolicy};

use trackyard_builder::fetch::{FetchError, RepositoryUrl};

use crate::args::Allowed;
use crate::args::ceilings::Ceilings;
use crate::args::router_url::{host_of, is_loopback};

/// Maximum size of a build's log. It fits into a message even if every character must be escaped.
const MAX_LOG_BYTES: Bytes = Bytes(768 << 10);

/// Whether the router is trusted, and what it may decide if not.
#[derive(Debug, Clone)]
pub struct Trust {
    router_is_trusted: bool,
    allowed: Allowed,
    ceilings: Ceilings,
}

/// Why a router's image source is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this worker does not allow images from {location:?}, which its router names; start it with --allow-registry {location}"
)]
pub struct ImageSourceRefused {
    /// The location, cut to 200 characters.
    pub location: String,
}

impl Trust {
    /// Returns the trust in a router that is reached at all of `addresses` (`tcp://host:port`).
    #[must_use]
    pub fn new(addresses: &[&str], allowed: Allowed, ceilings: Ceilings) -> Self {
        let router_is_trusted = !addresses.is_empty()
            && addresses.iter().all(|address| host_of(address).is_some_and(is_loopback));
        Self { router_is_trusted, allowed, ceilings }
    }

    /// Returns whether the router's configuration is used unchanged.
    #[must_use]
    pub const fn router_is_trusted(&self) -> bool {
        self.router_is_trusted
    }

    /// Checks the image source of the router.
    ///
    /// # Errors
    /// If the router is not trusted and the location is not allowed.
    pub fn image_source<'a>(&self, named: &'a ImageSource) -> Result<&'a ImageSource, ImageSourceRefused> {
        let is_path = named.location.starts_with('/');
        let fits = is_path == (named.kind == ImageSourceKind::Layout);
        if self.router_is_trusted || (fits && self.allowed.registries.contains(&named.location)) {
            return Ok(named);
        }
        Err(ImageSourceRefused { location: named.location.chars().take(200).collect() })
    }

    /// Checks the URL of a build's repository.
    ///
    /// # Errors
    /// If the URL is malformed, or the router is not trusted and the URL is not allowed.
    pub fn repository(&self, named: &str) -> Result<RepositoryUrl, FetchError> {
        let url: RepositoryUrl = named.parse()?;
        if self.router_is_trusted || self.allowed.repositories.iter().any(|prefix| is_below(named, prefix)) {
            return Ok(url);
        }
        let why = "this builder does not allow it; start it with --allow-repository";
        Err(FetchError::BadUrl { url: url.to_string(), why })
    }

    /// Returns the sources from which submissions may come.
    #[must_use]
    pub fn input_policy(&self, named: &InputPolicy) -> InputPolicy {
        let own = self.allowed.clone();
        if self.router_is_trusted {
            return InputPolicy {
                endpoint: own.s3_endpoint.or_else(|| named.endpoint.clone()),
                path_style: own.s3_path_style || named.path_style,
                ..named.clone()
            };
        }
        InputPolicy {
            buckets: own.buckets,
            endpoint: own.s3_endpoint,
            path_style: own.s3_path_style,
            allowed_folders: own.dirs,
        }
    }

    /// Returns the limits of a build.
    #[must_use]
    pub fn build_limits(&self, requested: &BuildLimits) -> BuildLimits {
        let base = if self.router_is_trusted { *requested } else { BuildLimits::default() };
        let limits = requested.at_most(&self.ceilings.over_builds(&base));
        BuildLimits { log: limits.log.min(MAX_LOG_BYTES), ..limits }
    }

    /// Returns the limits of a job.
    #[must_use]
    pub fn job_limits(&self, requested: &Limits) -> Limits {
        let base = if self.router_is_trusted { requested } else { &Limits::default() };
        requested.at_most(&self.ceilings.over(base))
    }
}

/// Returns whether `url` is `prefix`, or below it.
fn is_below(url: &str, prefix: &str) -> bool {
    let rest = url.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || prefix.ends_with(['/', ':']) || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::path::PathBuf;
    use trackyard_protocol::quantity::HumanDuration;

    const HERE: &[&str] = &["tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556"];
    const AWAY: &[&str] = &["tcp://10.0.0.7:5555", "tcp://10.0.0.7:5556"];

    fn allowed() -> Allowed {
        Allowed {
            registries: vec!["registry.example:5000".to_owned(), "/srv/images".to_owned()],
            buckets: vec!["mine".to_owned()],
            dirs: vec![PathBuf::from("/srv/in")],
            ..Allowed::default()
        }
    }

    fn trust(addresses: &[&str]) -> Trust {
        Trust::new(addresses, allowed(), Ceilings::default())
    }

    fn source(kind: ImageSourceKind, location: &str) -> ImageSource {
        ImageSource {
            kind,
            location: location.to_owned(),
            repositories: trackyard_protocol::source::default_repositories(),
        }
    }

    #[rstest]
    #[case(HERE, true)]
    #[case(AWAY, false)]
    #[case(&["tcp://127.0.0.1:5555", "tcp://10.0.0.7:5556"], false)]
    #[case(&["ipc:///tmp/x"], false)]
    #[case(&[], false)]
    fn only_a_router_on_loopback_is_trusted(#[case] at: &[&str], #[case] expected: bool) {
        assert_eq!(trust(at).router_is_trusted(), expected);
    }

    #[rstest]
    #[case(HERE, ImageSourceKind::Registry, "evil.example", true)]
    #[case(AWAY, ImageSourceKind::Registry, "evil.example", false)]
    #[case(AWAY, ImageSourceKind::Registry, "registry.example:5000", true)]
    #[case(AWAY, ImageSourceKind::Registry, "registry.example:5001", false)]
    #[case(AWAY, ImageSourceKind::Layout, "/srv/images", true)]
    #[case(AWAY, ImageSourceKind::Layout, "/srv/images/../../etc", false)]
    #[case(AWAY, ImageSourceKind::Registry, "/srv/images", false)]
    fn images(
        #[case] at: &[&str],
        #[case] kind: ImageSourceKind,
        #[case] location: &str,
        #[case] taken: bool,
    ) {
        assert_eq!(trust(at).image_source(&source(kind, location)).is_ok(), taken);
    }

    #[test]
    fn remote_router_cannot_choose_inputs() {
        let named = InputPolicy {
            buckets: vec!["theirs".to_owned()],
            endpoint: Some("http://evil.example".to_owned()),
            path_style: true,
            allowed_folders: vec![PathBuf::from("/etc")],
        };
        let inputs = trust(AWAY).input_policy(&named);
        assert_eq!(inputs.buckets, ["mine"]);
        assert_eq!((inputs.endpoint, inputs.path_style), (None, false));
        assert_eq!(inputs.allowed_folders, [PathBuf::from("/srv/in")]);
        assert_eq!(trust(HERE).input_policy(&named), named);
    }

    #[rstest]
    #[case::here(HERE, 100_000)]
    #[case::away(AWAY, Limits::default().pids)]
    fn job_ceilings_hold_for_every_router(#[case] at: &[&str], #[case] pids: u32) {
        let requested = Limits { memory: Bytes(1 << 40), pids: 100_000, ..Limits::default() };
        let without = trust(at).job_limits(&requested);
        assert_eq!((without.pids, without.memory == requested.memory), (pids, at == HERE));
        let ceilings = Ceilings { max_memory: Some(Bytes(8 << 30)), ..Ceilings::default() };
        let limited = Trust::new(at, Allowed::default(), ceilings).job_limits(&requested);
        assert_eq!((limited.memory, limited.pids), (Bytes(8 << 30), pids));
    }

    #[rstest]
    #[case(HERE)]
    #[case(AWAY)]
    fn builds_have_their_own_ceilings(#[case] at: &[&str]) {
        // Except for memory, which is that of a slot.
        let ceilings = Ceilings {
            max_memory: Some(Bytes(8 << 30)),
            max_pids: Some(7),
            max_build_pids: Some(9000),
            max_build_wall: Some(HumanDuration::from_secs(60)),
            ..Ceilings::default()
        };
        let requested = BuildLimits { memory: Bytes(1 << 40), pids: 10_000, ..BuildLimits::default() };
        let limits = Trust::new(at, allowed(), ceilings).build_limits(&requested);
        assert_eq!(
            (limits.memory, limits.pids, limits.wall),
            (Bytes(8 << 30), 9000, HumanDuration::from_secs(60))
        );
        assert_eq!(limits.disk, requested.disk);
    }

    #[rstest]
    #[case("https://example.org/ours/ruby", true)]
    #[case("https://example.org/ours/../theirs", false)]
    #[case("https://example.org/oursandmore", false)]
    #[case("https://example.org/theirs", false)]
    #[case("https://example.org.evil/ours/ruby", false)]
    #[case("file:///etc", false)]
    fn remote_router_can_name_only_allowed_repositories(#[case] url: &str, #[case] allowed_away: bool) {
        let repositories = vec!["https://example.org/ours".to_owned()];
        let own = Allowed { repositories, ..allowed() };
        let away = Trust::new(AWAY, own.clone(), Ceilings::default());
        assert_eq!(away.repository(url).is_ok(), allowed_away);
        assert_eq!(Trust::new(HERE, own, Ceilings::default()).repository(url).is_ok(), !url.contains(".."));
    }

    #[test]
    fn remote_router_cannot_raise_build_limits() {
        // No router can raise the log's.
        let huge = Bytes(u64::MAX);
        let requested = BuildLimits { memory: huge, disk: huge, log: huge, ..BuildLimits::default() };
        let of = |addresses| Trust::new(addresses, allowed(), Ceilings::default()).build_limits(&requested);
        assert_eq!(of(AWAY), BuildLimits { log: BuildLimits::default().log, ..BuildLimits::default() });
        assert_eq!((of(HERE).memory, of(HERE).log), (huge, MAX_LOG_BYTES));
    }
}
