//! Finds the cgroup hierarchies of this machine and the worker's own group in each. Parsing is pure.

use std::fs;
use std::path::{Path, PathBuf};

use trackyard_builder::confine::CgroupMount;

use crate::sandbox::error::SandboxError;

/// Name of the leaf that holds the worker: on version 2 a group with processes cannot have limited groups below it.
pub(super) const AGENT_LEAF: &str = "agent";

/// The mount that is preferred when a hierarchy is mounted more than once.
const DEFAULT_MOUNT: &str = "/sys/fs/cgroup";

/// The version of the cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Its controllers. Empty for a hierarchy that only groups processes.
    pub(crate) controllers: Vec<String>,
    /// The directory that it is mounted at.
    pub(crate) mount_point: PathBuf,
    /// The directory of the worker's own group: the group that is limited as a whole, not the leaf in it.
    pub(crate) own: PathBuf,
    /// True if this process is in the leaf below `own`.
    pub(crate) in_leaf: bool,
}

/// All hierarchies of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) version: Version,
    pub(crate) hierarchies: Vec<Hierarchy>,
}

impl Hierarchy {
    /// Moves `own` from a worker's leaf to that worker's group. A process is in such a leaf if it is the worker's
    /// child, or was started in the worker's container.
    fn leave_leaf(&mut self) {
        if self.own.ends_with(AGENT_LEAF) && self.own != self.mount_point {
            self.in_leaf = self.own.pop();
        }
    }

    /// Returns how the hierarchy is mounted.
    pub(crate) fn mounted(&self, version: Version) -> CgroupMount {
        let (kind, options) = match (version, self.controllers.is_empty()) {
            (Version::V2, _) | (Version::V1, true) => ("cgroup2", "rw".to_owned()),
            (Version::V1, false) => (
                "cgroup",
                self.controllers.iter().map(|name| mount_option(name)).collect::<Vec<_>>().join(","),
            ),
        };
        CgroupMount { kind, options, mount_point: self.mount_point.clone() }
    }
}

/// Returns the mount option of a controller. A hierarchy without a controller is mounted by its name.
fn mount_option(controller: &str) -> String {
    if controller.starts_with("name=") { format!("none,{controller}") } else { controller.to_owned() }
}

impl Layout {
    /// Returns the hierarchies in which this process sees more than its own group and the groups below.
    pub(crate) fn above_own(&self) -> impl Iterator<Item = &Hierarchy> {
        self.hierarchies.iter().filter(|hierarchy| hierarchy.own != hierarchy.mount_point)
    }

    /// Reads the hierarchies of the machine that this process runs on.
    pub(crate) fn read() -> Result<Self, SandboxError> {
        let read =
            |path: &str| fs::read_to_string(path).map_err(SandboxError::cgroup(format!("read {path}")));
        let layout = Self::parse(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?);
        layout.ok_or_else(|| {
            SandboxError::host("no cgroups are mounted", "mount cgroup2 at /sys/fs/cgroup (systemd does)")
        })
    }

    /// Parses `/proc/self/cgroup` and `/proc/self/mountinfo`. Returns `None` if no cgroup is mounted.
    ///
    /// The machine has version 2 if no mounted version 1 hierarchy has the memory controller.
    pub(crate) fn parse(own: &str, mounts: &str) -> Option<Self> {
        let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::parse).collect();
        let mut hierarchies: Vec<Hierarchy> =
            own.lines().filter_map(|line| hierarchy(line, &mounts)).collect();
        let has_memory = hierarchies.iter().any(|h| h.controllers.iter().any(|c| c == "memory"));
        let version = if has_memory { Version::V1 } else { Version::V2 };
        if version == Version::V2 {
            hierarchies.retain(|h| h.controllers.is_empty());
            hierarchies.iter_mut().for_each(Hierarchy::leave_leaf);
        }
        (!hierarchies.is_empty()).then_some(Self { version, hierarchies })
    }

    /// Returns the hierarchy that has this controller. On version 2 one hierarchy has all controllers.
    pub(crate) fn with(&self, controller: &str) -> Option<&Hierarchy> {
        match self.version {
            Version::V1 => self.hierarchies.iter().find(|h| h.controllers.iter().any(|c| c == controller)),
            Version::V2 => self.hierarchies.first(),
        }
    }
}

/// Parses a line of `/proc/self/cgroup`, such as `4:memory:/a/b` or `0::/`, and finds its mount.
fn hierarchy(line: &str, mounts: &[Mount<'_>]) -> Option<Hierarchy> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let controllers: Vec<String> =
        controllers.split(',').filter(|c| !c.is_empty()).map(ToOwned::to_owned).collect();
    // The last mount hides the earlier ones. A mount elsewhere (a container may also have the machine's root) is not
    // the one that `runc` takes.
    let matching = || mounts.iter().filter(|mount| mount.has(&controllers));
    let mount = matching()
        .rfind(|mount| Path::new(mount.point).starts_with(DEFAULT_MOUNT))
        .or_else(|| matching().next_back())?;
    let mount_point = PathBuf::from(unescape(mount.point));
    // In a container only a part of the tree may be mounted. A group outside that part is taken as its top.
    let below = Path::new(path).strip_prefix(unescape(mount.root)).unwrap_or(Path::new(""));
    let below = if path.contains("/..") { Path::new("") } else { below };
    Some(Hierarchy { controllers, own: mount_point.join(below), mount_point, in_leaf: false })
}

struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    is_v2: bool,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let root = fields.next()?;
        let point = fields.next()?;
        let mut after = after.split(' ');
        let is_v2 = match after.next()? {
            "cgroup" => false,
            "cgroup2" => true,
            _ => return None,
        };
        Some(Self { root, point, is_v2, options: after.nth(1)? })
    }

    fn has(&self, controllers: &[String]) -> bool {
        if controllers.is_empty() {
            return self.is_v2;
        }
        !self.is_v2 && controllers.iter().all(|name| self.options.split(',').any(|option| option == name))
    }
}

/// Undoes the kernel's escapes, such as `\040` for a space.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID_MOUNTS: &str = "\
33 22 0:29 / /sys/fs/cgroup ro shared:9 - tmpfs tmpfs ro,mode=755
34 33 0:30 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw
35 33 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
36 33 0:32 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
37 33 0:33 /docker/1 /sys/fs/cgroup/my\\040memory rw - cgroup cgroup rw,memory";

    #[test]
    fn hybrid_is_version_1() {
        let own = "9:name=systemd:/\n4:memory:/docker/1/worker\n2:cpu,cpuacct:/x\n0::/";
        let layout = Layout::parse(own, HYBRID_MOUNTS).unwrap();
        assert_eq!(layout.version, Version::V1);
        assert_eq!(layout.hierarchies.len(), 4);
        let own_of = |controller| layout.with(controller).map(|h| h.own.to_str().unwrap());
        assert_eq!(own_of("memory"), Some("/sys/fs/cgroup/my memory/worker"));
        assert_eq!(own_of("cpuacct"), Some("/sys/fs/cgroup/cpu,cpuacct/x"));
        assert_eq!(own_of("pids"), None);
    }

    #[test]
    fn a_group_outside_the_mount_is_its_top() {
        let layout = Layout::parse("4:memory:/../other", HYBRID_MOUNTS).unwrap();
        assert_eq!(layout.with("memory").unwrap().own, Path::new("/sys/fs/cgroup/my memory"));
    }

    #[test]
    fn hierarchies_above_the_own_group() {
        let own = "4:memory:/docker/1\n2:cpu,cpuacct:/x\n0::/";
        let layout = Layout::parse(own, HYBRID_MOUNTS).unwrap();
        let above: Vec<_> = layout.above_own().map(|h| h.mount_point.to_str().unwrap()).collect();
        assert_eq!(above, ["/sys/fs/cgroup/cpu,cpuacct"]);
    }

    #[test]
    fn the_last_of_two_mounts_counts() {
        let mounts = "34 33 0:30 / /old rw - cgroup2 cgroup2 rw\n35 33 0:30 / /new rw - cgroup2 cgroup2 rw";
        assert_eq!(Layout::parse("0::/", mounts).unwrap().hierarchies[0].own, Path::new("/new"));
    }

    #[test]
    fn the_default_mount_is_preferred() {
        let mounts = "34 33 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
                      35 33 0:30 / /host/sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        let layout = Layout::parse("0::/pod", mounts).unwrap();
        assert_eq!(layout.hierarchies[0].own, Path::new("/sys/fs/cgroup/pod"));
    }

    #[test]
    fn version_2_has_one_hierarchy() {
        let mounts = "34 33 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate";
        let layout = Layout::parse("0::/system.slice/worker.service", mounts).unwrap();
        assert_eq!(layout.version, Version::V2);
        assert_eq!(layout.with("pids").unwrap().own, Path::new("/sys/fs/cgroup/system.slice/worker.service"));
    }

    #[test]
    fn a_worker_leaf_belongs_to_its_parent() {
        let mounts = "34 33 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        let found = |own: &str, mounts: &str| {
            let hierarchy = Layout::parse(own, mounts).unwrap().hierarchies.remove(0);
            (hierarchy.own.display().to_string(), hierarchy.in_leaf)
        };
        assert_eq!(found("0::/pod/c/agent", mounts), ("/sys/fs/cgroup/pod/c".to_owned(), true));
        assert_eq!(found("0::/agent", mounts), ("/sys/fs/cgroup".to_owned(), true));
        assert_eq!(found("0::/pod/an-agent", mounts), ("/sys/fs/cgroup/pod/an-agent".to_owned(), false));
        // As it is once the own group has been mounted without a cgroup namespace.
        let mounts = "34 33 0:30 /pod/c /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        assert_eq!(found("0::/pod/c/agent", mounts), ("/sys/fs/cgroup".to_owned(), true));
    }

    #[test]
    fn a_machine_without_control_groups() {
        assert_eq!(Layout::parse("", ""), None);
        assert_eq!(Layout::parse("0::/", "garbage - \n- -"), None);
    }
}
