//! What the documentation says can be pasted works when it is pasted: each page is followed in a directory, a network and
//! a home of its own, from a clone of this working tree. `e2e::docs` says how a page steers this.
//!
//! What differs from a reader's machine: nothing is compiled (`PROGRAMS`), `sudo` runs what it is given, and there is no
//! internet.
#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::binaries::require_root;
use e2e::cluster::{self, Cluster};
use e2e::docs::check::{dead_links, fault};
use e2e::docs::page::{Page, repository};
use e2e::docs::scratch::{Network, Scratch};
use e2e::docs::tutorial::follow;
use e2e::platform::{BUCKET, Platform};
use e2e::registry::{PASSWORD, USER};
use e2e::s3::CREDENTIALS;
use e2e::serial::exclusive;
use serde_json::json;

/// The pages whose blocks are checked; the tests below also follow some of them.
const PAGES: [&str; 9] = [
    "README.md",
    "docs/quickstart.md",
    "docs/add-a-track.md",
    "docs/try-in-a-cluster.md",
    "docs/tooling.md",
    "docs/install.md",
    "docs/builders.md",
    "docs/reference.md",
    "docs/architecture.md",
];

#[test]
fn every_block_is_checked_or_excused() {
    let faults = |name: &str| {
        let found = Page::open(name).blocks.iter().filter_map(fault).collect::<Vec<_>>();
        found.into_iter().map(|fault| format!("{name}, {fault}")).collect::<Vec<_>>()
    };
    assert_eq!(PAGES.into_iter().flat_map(faults).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn no_link_is_dead() {
    let open = |name: &str| fs::read_to_string(repository().join(name)).ok();
    let dead = |name: &str| {
        let found = dead_links(&Page::open(name), &repository(), open);
        found.into_iter().map(|fault| format!("{name}, {fault}")).collect::<Vec<_>>()
    };
    assert_eq!(PAGES.into_iter().flat_map(dead).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn readme_numbers_match_the_pages() {
    let text = |name: &str| fs::read_to_string(repository().join(name)).unwrap();
    let readme = text("README.md");
    let reliability = text("docs/reliability.md");
    // The number before each text, which only README.md writes with commas.
    for what in [" jobs in ", " jobs, 0 violations"] {
        let line = reliability.lines().find(|line| line.starts_with("Seed") && line.contains(what)).unwrap();
        let number = line.split(what).next().unwrap().rsplit(' ').next().unwrap();
        assert!(readme.contains(&with_commas(number)), "README.md has another number than {number}{what}");
    }
    let faults = reliability.split("### The real processes").nth(1).unwrap();
    let kinds = faults.split("| verdict |").next().unwrap().matches("\n| ").count() - 2;
    assert!(readme.contains(&format!("{kinds} kinds of faults")), "not {kinds} kinds of faults");
    let attacks = text("docs/hostile-suite.md").lines().filter(|line| starts_with_number(line)).count();
    assert!(readme.contains(&format!("{attacks} groups of attacks")), "not {attacks} groups of attacks");
    let benchmarks = text("docs/benchmarks.md");
    let ratio = benchmarks.split("no limits: ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(readme.contains(&format!("takes {ratio} times")), "not {ratio} times");
}

fn starts_with_number(row: &str) -> bool {
    row.strip_prefix("| ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn with_commas(number: &str) -> String {
    let digits: Vec<char> = number.chars().collect();
    let groups: Vec<String> = digits.rchunks(3).rev().map(|group| group.iter().collect()).collect();
    groups.join(",")
}

/// Follows a page that needs only this machine.
fn follow_locally(name: &str, page: &str, starts_in_a_clone: bool) {
    require_root();
    // The demo checks what workers with its names left behind.
    let _guard = exclusive();
    let scratch = Scratch::new();
    let network = Network::new(name);
    if starts_in_a_clone {
        scratch.clone_source();
    }
    follow(&Page::open(page), &scratch, network.enter_network(), |_| None);
}

#[test]
fn readme() {
    follow_locally("readme", "README.md", false);
}

#[test]
fn add_a_track() {
    follow_locally("track", "docs/add-a-track.md", true);
}

#[test]
fn tooling() {
    follow_locally("tooling", "docs/tooling.md", true);
}

#[test]
fn try_in_a_cluster() {
    require_root();
    let _guard = exclusive();
    let scratch = Scratch::new();
    scratch.clone_source();
    let down = StopOnDrop(scratch.path("work/trackyard/tests/cluster/down.sh"), scratch.path("home"));
    // The cluster creates a network of its own.
    follow(&Page::open("docs/try-in-a-cluster.md"), &scratch, vec!["env".to_owned()], |_| None);
    drop(down);
}

/// Stops the page's cluster if the test fails before the page does.
struct StopOnDrop(PathBuf, PathBuf);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        let mut command = std::process::Command::new(&self.0);
        let _ = command.arg("try").env("HOME", &self.1).output();
    }
}

#[test]
fn quickstart() {
    require_root();
    let _guard = exclusive();
    let scratch = Scratch::new();
    let platform = Platform::serve(Cluster::local("follows a page in its network", &[]));
    let reader = ReaderSetup::new(&scratch, &platform);
    follow(&Page::open("docs/quickstart.md"), &scratch, platform.cluster.enter_network(), |name| {
        reader.value(name)
    });
}

/// The setup of a reader of the quickstart: a registry, a bucket, and programs that reach a cluster.
struct ReaderSetup {
    registry: String,
    docker: PathBuf,
    authority: PathBuf,
    endpoint: String,
}

impl ReaderSetup {
    fn new(scratch: &Scratch, platform: &Platform) -> Self {
        let address = platform.cluster.address();
        let registry = platform.registry.location();
        let reader = Self {
            docker: scratch.path("docker.json"),
            authority: platform.registry.authority(),
            endpoint: format!("http://{address}:9000"),
            registry,
        };
        let login = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let docker = json!({"auths": {&reader.registry: {"auth": login}}});
        fs::write(&reader.docker, docker.to_string()).unwrap();
        reader.trust(&scratch.path("home/.config/containers/certs.d"));
        let kubeconfig = kubeconfig(&platform.cluster);
        reader.let_nodes_pull(kubeconfig.parent().unwrap());
        // Registry and bucket have private addresses here; the page tells its reader to set these values for them.
        let egress = json!([{"to": [{"ipBlock": {"cidr": format!("{address}/32")}}],
            "ports": [{"port": 5443}, {"port": 9000}]}]);
        let values = scratch.path("egress.json");
        fs::write(&values, json!({"networkPolicy": {"agentEgress": egress}}).to_string()).unwrap();
        let of =
            |program: PathBuf| format!("{} \"$@\" --kubeconfig {}", program.display(), kubeconfig.display());
        let kubectl = format!(
            "exec {} kubectl --kubeconfig {} \"$@\"",
            cluster::program("kube").display(),
            kubeconfig.display()
        );
        scratch.program("kubectl", &kubectl);
        let helm = of(cluster::program("helm"));
        let helm = format!(
            "case \"$1 $2\" in 'install trackyard') set -- \"$@\" --values {} ;; esac\nexec {helm}",
            values.display()
        );
        scratch.program("helm", &helm);
        reader
    }

    /// Makes skopeo trust the registry.
    fn trust(&self, dir: &Path) {
        let dir = dir.join(&self.registry);
        fs::create_dir_all(&dir).unwrap();
        fs::copy(&self.authority, dir.join("ca.crt")).unwrap();
    }

    fn let_nodes_pull(&self, cluster: &Path) {
        let dir = cluster.join("etc/registries").join(&self.registry);
        fs::create_dir_all(&dir).unwrap();
        let at = &self.registry;
        let authority = self.authority.display();
        let hosts = format!(
            "server = \"https://{at}\"\n[host.\"https://{at}\"]\n  capabilities = [\"pull\", \"resolve\"]\n  \
             ca = \"{authority}\"\n"
        );
        fs::write(dir.join("hosts.toml"), hosts).unwrap();
    }

    fn value(&self, name: &str) -> Option<String> {
        let own = CREDENTIALS
            .into_iter()
            .find(|(variable, _)| *variable == name)
            .map(|(_, value)| value.to_owned());
        own.or_else(|| match name {
            "REGISTRY" => Some(self.registry.clone()),
            "DOCKER_CONFIG_FILE" => Some(self.docker.display().to_string()),
            "AUTHORITIES" => Some(self.authority.display().to_string()),
            "BUCKET" => Some(BUCKET.to_owned()),
            "S3_ENDPOINT" => Some(self.endpoint.clone()),
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            _ => None,
        })
    }
}

/// Returns the kubeconfig of a cluster's administrator.
fn kubeconfig(cluster: &Cluster) -> PathBuf {
    let command = cluster.command(Path::new("true"));
    let value = command.get_envs().find(|(name, _)| *name == "KUBECONFIG").and_then(|(_, value)| value);
    PathBuf::from(value.expect("a cluster's administrator"))
}
