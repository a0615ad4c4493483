//! Which control groups this machine has, and where the worker's own are. Parsing is pure: text in, directories out.

use std::fs;
use std::path::{Path, PathBuf};

use trackyard_builder::confine::CgroupMount;

use crate::sandbox::error::Error;

/// On version 2 a group with processes cannot have limited groups below it, so workers are in a leaf of this name.
pub(super) const AGENT: &str = "agent";

/// Where control groups are looked for.
const USUAL: &str = "/sys/fs/cgroup";

/// The two generations of control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Its controllers; none for a hierarchy that only groups processes.
    pub(crate) controllers: Vec<String>,
    /// Where it is mounted.
    pub(crate) mount_point: PathBuf,
    /// The directory of the worker's own group in it: the one that is limited as a whole, not the leaf that it is in.
    pub(crate) own: PathBuf,
    /// True if this process is in the leaf below.
    pub(crate) in_leaf: bool,
}

/// All hierarchies of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) version: Version,
    pub(crate) hierarchies: Vec<Hierarchy>,
}

impl Hierarchy {
    /// A process that an earlier worker's leaf holds (that worker's child, or one that was started in its container)
    /// has the same group as that worker.
    fn leave_leaf(&mut self) {
        if self.own.ends_with(AGENT) && self.own != self.mount_point {
            self.in_leaf = self.own.pop();
        }
    }

    /// How it is mounted.
    pub(crate) fn mounted(&self, version: Version) -> CgroupMount {
        let (kind, options) = match (version, self.controllers.is_empty()) {
            (Version::V2, _) | (Version::V1, true) => ("cgroup2", "rw".to_owned()),
            (Version::V1, false) => {
                ("cgroup", self.controllers.iter().map(|name| option(name)).collect::<Vec<_>>().join(","))
            }
        };
        CgroupMount { kind, options, mount_point: self.mount_point.clone() }
    }
}

/// A hierarchy without a controller is mounted by its name.
fn option(controller: &str) -> String {
    if controller.starts_with("name=") { format!("none,{controller}") } else { controller.to_owned() }
}

impl Layout {
    /// The hierarchies in which this process sees more than its own group and what is below.
    pub(crate) fn above_own(&self) -> impl Iterator<Item = &Hierarchy> {
        self.hierarchies.iter().filter(|hierarchy| hierarchy.own != hierarchy.mount_point)
    }

    /// The hierarchies of the machine this process runs on.
    pub(crate) fn read() -> Result<Self, Error> {
        let read = |path: &str| fs::read_to_string(path).map_err(Error::cgroup(format!("read {path}")));
        let layout = Self::parse(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?);
        layout.ok_or_else(|| {
            Error::host("no control groups are mounted", "mount cgroup2 at /sys/fs/cgroup (systemd does)")
        })
    }

    /// Reads `/proc/self/cgroup` and `/proc/self/mountinfo`. None where no control group is mounted.
    ///
    /// It is version 2 where no mounted version 1 hierarchy has the memory controller.
    pub(crate) fn parse(own: &str, mounts: &str) -> Option<Self> {
        let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::parse).collect();
        let mut hierarchies: Vec<Hierarchy> =
            own.lines().filter_map(|line| hierarchy(line, &mounts)).collect();
        let has_memory = |h: &Hierarchy| h.controllers.iter().any(|c| c == "memory");
        let version = if hierarchies.iter().any(has_memory) { Version::V1 } else { Version::V2 };
        if version == Version::V2 {
            hierarchies.retain(|h| h.controllers.is_empty());
            hierarchies.iter_mut().for_each(Hierarchy::leave_leaf);
        }
        (!hierarchies.is_empty()).then_some(Self { version, hierarchies })
    }

    /// The hierarchy that has this controller; on version 2 all controllers are in the one.
    pub(crate) fn with(&self, controller: &str) -> Option<&Hierarchy> {
        match self.version {
            Version::V1 => self.hierarchies.iter().find(|h| h.controllers.iter().any(|c| c == controller)),
            Version::V2 => self.hierarchies.first(),
        }
    }
}

/// A line of `/proc/self/cgroup`, such as `4:memory:/a/b` or `0::/`, joined to its mount.
fn hierarchy(line: &str, mounts: &[Mount<'_>]) -> Option<Hierarchy> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let controllers: Vec<String> =
        controllers.split(',').filter(|c| !c.is_empty()).map(ToOwned::to_owned).collect();
    // The last one mounted is the one that is seen. One elsewhere, as where a container has the machine's root too, is
    // not the one that `runc` takes.
    let usual = |mount: &&Mount<'_>| mount.holds(&controllers) && Path::new(mount.point).starts_with(USUAL);
    let mount =
        mounts.iter().rfind(usual).or_else(|| mounts.iter().rfind(|mount| mount.holds(&controllers)))?;
    let mount_point = PathBuf::from(unescape(mount.point));
    // In a container only a part of the tree may be mounted; outside of it, the mounted part's top is ours.
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
        let (root, point) = (fields.next()?, fields.next()?);
        let mut after = after.split(' ');
        let is_v2 = match after.next()? {
            "cgroup" => false,
            "cgroup2" => true,
            _ => return None,
        };
        Some(Self { root, point, is_v2, options: after.nth(1)? })
    }

    fn holds(&self, controllers: &[String]) -> bool {
        let named = |controller: &String| self.options.split(',').any(|option| option == controller);
        if controllers.is_empty() { self.is_v2 } else { !self.is_v2 && controllers.iter().all(named) }
    }
}

/// Undoes the kernel's `\040` for a blank and the like.
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
    fn hybrid_is_version_1_with_every_hierarchy() {
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
    fn a_group_outside_the_mounted_part_is_the_top() {
        let layout = Layout::parse("4:memory:/../other", HYBRID_MOUNTS).unwrap();
        assert_eq!(layout.with("memory").unwrap().own, Path::new("/sys/fs/cgroup/my memory"));
    }

    #[test]
    fn what_is_above_the_own_group_is_named() {
        let own = "4:memory:/docker/1\n2:cpu,cpuacct:/x\n0::/";
        let layout = Layout::parse(own, HYBRID_MOUNTS).unwrap();
        let above: Vec<_> = layout.above_own().map(|h| h.mount_point.to_str().unwrap()).collect();
        assert_eq!(above, ["/sys/fs/cgroup/cpu,cpuacct"]);
    }

    #[test]
    fn of_two_mounts_the_later_is_seen() {
        let mounts = "34 33 0:30 / /old rw - cgroup2 cgroup2 rw\n35 33 0:30 / /new rw - cgroup2 cgroup2 rw";
        assert_eq!(Layout::parse("0::/", mounts).unwrap().hierarchies[0].own, Path::new("/new"));
    }

    #[test]
    fn a_mount_elsewhere_is_not_preferred_to_the_usual() {
        let mounts = "34 33 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
                      35 33 0:30 / /host/sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        let layout = Layout::parse("0::/pod", mounts).unwrap();
        assert_eq!(layout.hierarchies[0].own, Path::new("/sys/fs/cgroup/pod"));
    }

    #[test]
    fn version_2_has_one_hierarchy_for_all() {
        let mounts = "34 33 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate";
        let layout = Layout::parse("0::/system.slice/worker.service", mounts).unwrap();
        assert_eq!(layout.version, Version::V2);
        assert_eq!(layout.with("pids").unwrap().own, Path::new("/sys/fs/cgroup/system.slice/worker.service"));
    }

    #[test]
    fn a_process_in_a_workers_leaf_has_that_workers_group() {
        let mounts = "34 33 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        let found = |own: &str, mounts: &str| {
            let hierarchy = Layout::parse(own, mounts).unwrap().hierarchies.remove(0);
            (hierarchy.own.display().to_string(), hierarchy.in_leaf)
        };
        assert_eq!(found("0::/pod/c/agent", mounts), ("/sys/fs/cgroup/pod/c".to_owned(), true));
        assert_eq!(found("0::/agent", mounts), ("/sys/fs/cgroup".to_owned(), true));
        assert_eq!(found("0::/pod/an-agent", mounts), ("/sys/fs/cgroup/pod/an-agent".to_owned(), false));
        // As it is after the own group was mounted, without a namespace of control groups.
        let mounts = "34 33 0:30 /pod/c /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        assert_eq!(found("0::/pod/c/agent", mounts), ("/sys/fs/cgroup".to_owned(), true));
    }

    #[test]
    fn no_control_groups_is_none() {
        assert_eq!(Layout::parse("", ""), None);
        assert_eq!(Layout::parse("0::/", "garbage - \n- -"), None);
    }
}
