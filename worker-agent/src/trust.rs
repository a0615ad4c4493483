//! What a worker lets its router decide. A router on loopback is trusted; any other only chooses among what the
//! worker's own flags allow, so that a stolen router reads no more than its jobs could.

use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::limits::{LimitOverrides, Limits};
use trackyard_protocol::quantity::{Bytes, Cpus, Span};
use trackyard_protocol::source::{ImageSource, ImageSourceKind, InputPolicy};

use trackyard_builder::fetch::{self, RepositoryUrl};

use crate::args::Allowed;
use crate::args::router_url::{host_of, is_loopback};

/// Bytes of a build's log, so that it fits into a message even if every character of it must be escaped.
const MAX_LOG: u64 = 768 << 10;

/// Whose word counts.
#[derive(Debug, Clone)]
pub struct Trust {
    router_is_trusted: bool,
    allowed: Allowed,
    ceilings: LimitOverrides,
}

/// Why a router's image source is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this worker does not allow images from {place:?}, which its router names; start it with --allow-registry {place}"
)]
pub struct Refused {
    /// The place, cut to 200 characters.
    pub place: String,
}

impl Trust {
    /// The trust in a router that is reached at all of `addresses` (`tcp://host:port`).
    #[must_use]
    pub fn new(addresses: &[&str], allowed: Allowed, ceilings: LimitOverrides) -> Self {
        let local = |address: &&str| host_of(address).is_some_and(is_loopback);
        let router_is_trusted = !addresses.is_empty() && addresses.iter().all(local);
        Self { router_is_trusted, allowed, ceilings }
    }

    /// True if the router's configuration is taken as it is.
    #[must_use]
    pub const fn router_is_trusted(&self) -> bool {
        self.router_is_trusted
    }

    /// Checks where images come from.
    ///
    /// # Errors
    /// If the router is not trusted and the place is not allowed.
    pub fn images<'a>(&self, named: &'a ImageSource) -> Result<&'a ImageSource, Refused> {
        let is_path = named.location.starts_with('/');
        let fits = is_path == (named.kind == ImageSourceKind::Layout);
        if self.router_is_trusted || (fits && self.allowed.registries.contains(&named.location)) {
            return Ok(named);
        }
        Err(Refused { place: named.location.chars().take(200).collect() })
    }

    /// Checks where a build's repository is.
    ///
    /// # Errors
    /// If the URL is not one, or the router is not trusted and the place is not allowed.
    pub fn repository(&self, named: &str) -> Result<RepositoryUrl, fetch::Error> {
        let url: RepositoryUrl = named.parse()?;
        let below = |allowed: &String| {
            let rest = named.strip_prefix(allowed.as_str());
            rest.is_some_and(|rest| rest.is_empty() || allowed.ends_with(['/', ':']) || rest.starts_with('/'))
        };
        if self.router_is_trusted || self.allowed.repositories.iter().any(below) {
            return Ok(url);
        }
        let why = "this builder does not allow it; start it with --allow-repository";
        Err(fetch::Error::BadUrl { url: url.to_string(), why })
    }

    /// Where submissions may come from.
    #[must_use]
    pub fn inputs(&self, named: &InputPolicy) -> InputPolicy {
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
            allowed_folders: own.folders,
        }
    }

    /// The limits that a build gets.
    #[must_use]
    pub fn builds(&self, asked: &BuildLimits) -> BuildLimits {
        let log = Bytes(asked.log.0.min(MAX_LOG));
        let asked = BuildLimits { log, ..*asked };
        if self.router_is_trusted { asked } else { asked.at_most(&BuildLimits::default()) }
    }

    /// The limits that a job gets.
    #[must_use]
    pub fn limits(&self, asked: &Limits) -> Limits {
        let base = if self.router_is_trusted { open() } else { Limits::default() };
        asked.at_most(&self.ceilings.over(&base))
    }
}

/// Ceilings that lower nothing.
const fn open() -> Limits {
    let time = Span(std::time::Duration::MAX);
    let size = Bytes(u64::MAX);
    Limits {
        wall: time,
        wall_max: time,
        cpus: Cpus(u32::MAX),
        memory: size,
        pids: u32::MAX,
        stdout: size,
        stderr: size,
        file_size: size,
        job_folder: size,
        job_inodes: u32::MAX,
        tmp: size,
        result: size,
        result_depth: u16::MAX,
        input_files: u32::MAX,
        input_bytes: size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::path::PathBuf;

    const HERE: &[&str] = &["tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556"];
    const AWAY: &[&str] = &["tcp://10.0.0.7:5555", "tcp://10.0.0.7:5556"];

    fn allowed() -> Allowed {
        Allowed {
            registries: vec!["registry.example:5000".to_owned(), "/srv/images".to_owned()],
            buckets: vec!["mine".to_owned()],
            folders: vec![PathBuf::from("/srv/in")],
            ..Allowed::default()
        }
    }

    fn trust(addresses: &[&str]) -> Trust {
        Trust::new(addresses, allowed(), LimitOverrides::default())
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
    fn only_a_router_that_is_wholly_on_loopback_is_trusted(#[case] at: &[&str], #[case] expected: bool) {
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
    fn images(#[case] at: &[&str], #[case] kind: ImageSourceKind, #[case] place: &str, #[case] taken: bool) {
        assert_eq!(trust(at).images(&source(kind, place)).is_ok(), taken);
    }

    #[test]
    fn a_router_elsewhere_names_no_bucket_folder_or_endpoint() {
        let named = InputPolicy {
            buckets: vec!["theirs".to_owned()],
            endpoint: Some("http://evil.example".to_owned()),
            path_style: true,
            allowed_folders: vec![PathBuf::from("/etc")],
        };
        let inputs = trust(AWAY).inputs(&named);
        assert_eq!(inputs.buckets, ["mine"]);
        assert_eq!((inputs.endpoint, inputs.path_style), (None, false));
        assert_eq!(inputs.allowed_folders, [PathBuf::from("/srv/in")]);
        assert_eq!(trust(HERE).inputs(&named), named);
    }

    #[test]
    fn ceilings_hold_for_every_router_and_defaults_for_one_elsewhere() {
        let asked = Limits { memory: Bytes(1 << 40), pids: 100_000, ..Limits::default() };
        assert_eq!(trust(HERE).limits(&asked), asked);
        assert_eq!(trust(AWAY).limits(&asked), Limits::default());
        let ceilings = LimitOverrides { memory: Some(Bytes(1 << 30)), ..LimitOverrides::default() };
        let limited = Trust::new(HERE, Allowed::default(), ceilings).limits(&asked);
        assert_eq!((limited.memory, limited.pids), (Bytes(1 << 30), 100_000));
    }

    #[rstest]
    #[case("https://example.org/ours/ruby", true)]
    #[case("https://example.org/ours/../theirs", false)]
    #[case("https://example.org/oursandmore", false)]
    #[case("https://example.org/theirs", false)]
    #[case("https://example.org.evil/ours/ruby", false)]
    #[case("file:///etc", false)]
    fn a_router_elsewhere_names_only_allowed_repositories(#[case] url: &str, #[case] allowed_away: bool) {
        let repositories = vec!["https://example.org/ours".to_owned()];
        let own = Allowed { repositories, ..allowed() };
        let away = Trust::new(AWAY, own.clone(), LimitOverrides::default());
        assert_eq!(away.repository(url).is_ok(), allowed_away);
        assert_eq!(
            Trust::new(HERE, own, LimitOverrides::default()).repository(url).is_ok(),
            !url.contains("..")
        );
    }

    #[test]
    fn a_router_elsewhere_raises_no_limit_of_a_build_and_nobody_the_log() {
        let huge = Bytes(u64::MAX);
        let asked = BuildLimits { memory: huge, disk: huge, log: huge, ..BuildLimits::default() };
        let of = |addresses| Trust::new(addresses, allowed(), LimitOverrides::default()).builds(&asked);
        assert_eq!(of(AWAY), BuildLimits { log: BuildLimits::default().log, ..BuildLimits::default() });
        assert_eq!((of(HERE).memory, of(HERE).log), (huge, Bytes(MAX_LOG)));
    }
}
