//! The configuration that `runc` reads. The input has a line with channel and exercise, a line with the limits, and
//! then a line for each variable of the image's environment.

use serde_json::Value;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::name::ExerciseSlug;
use trackyard_worker::fuzzing::spec;
use trackyard_worker::sandbox::EntryScript;

/// Asserts that the container is confined, whatever an image, a request and a configuration say.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.split('\n');
    let (channel, exercise) = lines.next().unwrap_or_default().split_once(' ').unwrap_or_default();
    let entry = EntryScript::candidates(channel.parse().unwrap_or(Channel::TestRunners)).next();
    let Some((entry, exercise)) = entry.zip(ExerciseSlug::new(exercise).ok()) else { return };
    let limits: Limits = serde_json::from_str(lines.next().unwrap_or_default()).unwrap_or_default();
    let env: Vec<String> = lines.map(ToOwned::to_owned).collect();
    let argv = entry.argv(&exercise);
    let spec = spec(argv.clone(), entry.working_dir(), &env, &limits).expect("the spec can be made");
    let at = |path: &str| spec.pointer(path).unwrap_or(&Value::Null);
    assert_eq!(*at("/process/args"), Value::from(argv), "no argument is added or split");
    assert_eq!((at("/process/noNewPrivileges"), at("/root/readonly")), (&true.into(), &true.into()));
    assert_eq!((at("/process/user/uid"), at("/linux/uidMappings/0/containerID")), (&0.into(), &0.into()));
    for (set, held) in at("/process/capabilities").as_object().expect("capabilities are set") {
        assert_eq!(held.as_array().map(Vec::len), Some(0), "a capability is {set}");
    }
    assert_eq!(texts(at("/process/capabilities"), "").len(), 0);
    let namespaces = at("/linux/namespaces");
    for kind in ["pid", "ipc", "uts", "mount", "network", "user", "cgroup"] {
        assert!(texts(namespaces, "type").contains(&kind), "{kind}");
    }
    assert!(texts(namespaces, "path").is_empty(), "no namespace of another process is joined");
    for map in ["/linux/uidMappings/0", "/linux/gidMappings/0"] {
        assert!(at(map).pointer("/hostID").and_then(Value::as_u64).is_some_and(|id| id >= 1 << 16), "{map}");
    }
    for mount in at("/mounts").as_array().expect("there are mounts") {
        let options = mount.pointer("/options").and_then(Value::as_array).expect("it has options");
        let is_device = mount.pointer("/destination").and_then(Value::as_str).is_some_and(|at| at.starts_with("/dev"));
        let has = |option: &str| options.contains(&option.into());
        assert!(has("nosuid") && (has("nodev") || is_device), "{mount}");
    }
    assert!(at("/linux/seccomp/defaultAction").is_string() && at("/hooks").is_null());
    let rules = at("/linux/resources/devices").as_array().map_or(&[][..], Vec::as_slice);
    assert!(at("/linux/devices").is_null() && rules.iter().all(|rule| rule.get("allow") == Some(&false.into())));
    let env = at("/process/env").as_array().expect("there is an environment");
    let well_formed = |entry: &str| entry.find('=').is_some_and(|at| at > 0) && !entry.contains('\0');
    assert!(env.iter().all(|entry| entry.as_str().is_some_and(well_formed)));
    for name in ["PATH=", "HOME="] {
        assert!(env.iter().any(|entry| entry.as_str().is_some_and(|entry| entry.starts_with(name))), "{name}");
    }
}

fn texts<'a>(items: &'a Value, field: &str) -> Vec<&'a str> {
    items.as_array().into_iter().flatten().filter_map(|item| item.get(field)?.as_str()).collect()
}
