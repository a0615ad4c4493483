//! The system calls that are denied to a job: a table with a reason for each entry, and the OCI rules made from it.
//!
//! A call that the table does not name is allowed. A call of another processor mode (32-bit, x32) kills the job,
//! because the filter covers the native mode only.

use std::io;

use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompBuilder,
    LinuxSeccompOperator, LinuxSyscall, LinuxSyscallBuilder,
};
use rustix::io::Errno;
use serde::Deserialize;

const TABLE: &str = include_str!("seccomp.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Denied {
    #[expect(dead_code, reason = "required in the table, for people")]
    reason: String,
    action: Action,
    calls: Vec<String>,
    argument: Option<Argument>,
}

/// What a denied call results in.
#[derive(Deserialize, Clone, Copy)]
enum Action {
    #[serde(rename = "kill")]
    Kill,
    #[serde(rename = "EPERM")]
    NotPermitted,
    #[serde(rename = "ENOSYS")]
    NotImplemented,
    #[serde(rename = "EAFNOSUPPORT")]
    NoSuchFamily,
}

/// Limits a denial to calls with a certain argument.
#[derive(Deserialize)]
#[serde(untagged)]
enum Argument {
    Masked { index: usize, mask: u64, equals: u64 },
    NotIn { index: usize, not_in: Vec<u64> },
}

impl Argument {
    /// Returns the conditions, one for each rule: a rule of the kernel's filter cannot compare one argument twice.
    fn conditions(&self) -> Vec<(usize, LinuxSeccompOperator, u64, Option<u64>)> {
        use LinuxSeccompOperator::{ScmpCmpEq, ScmpCmpGt, ScmpCmpMaskedEq};
        match self {
            Self::Masked { index, mask, equals } => vec![(*index, ScmpCmpMaskedEq, *mask, Some(*equals))],
            Self::NotIn { index, not_in } => {
                let last = not_in.iter().copied().max().unwrap_or(0);
                let gaps = (0..last).filter(|value| !not_in.contains(value));
                gaps.map(|value| (*index, ScmpCmpEq, value, None))
                    .chain([(*index, ScmpCmpGt, last, None)])
                    .collect()
            }
        }
    }
}

/// Returns the filter as an OCI configuration.
pub(crate) fn filter() -> io::Result<LinuxSeccomp> {
    let table: Vec<Denied> = serde_json::from_str(TABLE)?;
    let mut rules = Vec::new();
    for denied in &table {
        let conditions = denied.argument.as_ref().map(Argument::conditions);
        match conditions {
            None => rules.push(rule(denied, None)?),
            Some(conditions) => {
                for condition in conditions {
                    rules.push(rule(denied, Some(argument(condition)?))?);
                }
            }
        }
    }
    LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActAllow)
        .syscalls(rules)
        .build()
        .map_err(io::Error::other)
}

fn rule(denied: &Denied, argument: Option<LinuxSeccompArg>) -> io::Result<LinuxSyscall> {
    let builder = LinuxSyscallBuilder::default().names(denied.calls.clone());
    let builder = match denied.action {
        Action::Kill => builder.action(LinuxSeccompAction::ScmpActKillProcess),
        Action::NotPermitted => errno(builder, Errno::PERM),
        Action::NotImplemented => errno(builder, Errno::NOSYS),
        Action::NoSuchFamily => errno(builder, Errno::AFNOSUPPORT),
    };
    match argument {
        Some(argument) => builder.args(vec![argument]).build(),
        None => builder.build(),
    }
    .map_err(io::Error::other)
}

fn errno(builder: LinuxSyscallBuilder, errno: Errno) -> LinuxSyscallBuilder {
    builder.action(LinuxSeccompAction::ScmpActErrno).errno_ret(errno.raw_os_error().unsigned_abs())
}

fn argument(
    (index, op, value, value_two): (usize, LinuxSeccompOperator, u64, Option<u64>),
) -> io::Result<LinuxSeccompArg> {
    let builder = LinuxSeccompArgBuilder::default().index(index).op(op).value(value);
    match value_two {
        Some(value_two) => builder.value_two(value_two).build(),
        None => builder.build(),
    }
    .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_becomes_rules() {
        let table: Vec<Denied> = serde_json::from_str(TABLE).unwrap();
        let mut calls: Vec<&String> = table.iter().flat_map(|denied| &denied.calls).collect();
        let count = calls.len();
        calls.sort();
        calls.dedup();
        assert_eq!(calls.len(), count);
        assert!(filter().unwrap().syscalls().as_ref().unwrap().len() >= table.len());
    }

    #[test]
    fn unlisted_families_are_denied() {
        let argument = Argument::NotIn { index: 0, not_in: vec![1, 2, 4] };
        let values: Vec<u64> = argument.conditions().iter().map(|condition| condition.2).collect();
        assert_eq!(values, [0, 3, 4], "0 and 3 by equality, and all above 4");
    }
}
