//! Checks a Dockerfile before it is built for features that only some drivers support.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};

use super::{DriverError, DriverKind};

pub(super) const FILE_NAME: &str = "Dockerfile";
/// Only this much of a Dockerfile is checked.
const MAX_BYTES: u64 = 1 << 20;

/// A feature that not all drivers support.
struct Feature {
    name: &'static str,
    unsupported_by: &'static [DriverKind],
    is_used_in: fn(&str) -> bool,
}

const OLD_DRIVERS: &[DriverKind] = &[DriverKind::Img, DriverKind::Buildah];

const FEATURES: [Feature; 7] = [
    Feature { name: "a heredoc", unsupported_by: OLD_DRIVERS, is_used_in: is_heredoc },
    Feature {
        name: "COPY --chmod",
        unsupported_by: &[DriverKind::Img],
        is_used_in: |line| copies_with(line, "--chmod"),
    },
    Feature {
        name: "COPY --link",
        unsupported_by: OLD_DRIVERS,
        is_used_in: |line| copies_with(line, "--link"),
    },
    Feature {
        name: "COPY --parents",
        unsupported_by: OLD_DRIVERS,
        is_used_in: |line| copies_with(line, "--parents"),
    },
    Feature {
        name: "RUN --network",
        unsupported_by: OLD_DRIVERS,
        is_used_in: |line| has(line, "RUN", "--network"),
    },
    // img's helper for archives is missing in builds made as its authors make them.
    Feature { name: "ADD of an archive", unsupported_by: &[DriverKind::Img], is_used_in: adds_archive },
    Feature { name: "a # syntax= line", unsupported_by: &[DriverKind::Img], is_used_in: is_syntax_line },
];

/// Checks that `driver` supports the Dockerfile of `context`. No link in the context is followed.
pub(super) fn check(context: &Path, driver: DriverKind) -> Result<(), DriverError> {
    check_text(&read(context)?, driver)
}

/// Checks that `driver` supports a Dockerfile with this text.
pub(crate) fn check_text(text: &str, driver: DriverKind) -> Result<(), DriverError> {
    for (number, line) in text.lines().enumerate() {
        let found = FEATURES
            .iter()
            .find(|feature| feature.unsupported_by.contains(&driver) && (feature.is_used_in)(line));
        if let Some(Feature { name: feature, .. }) = found {
            let alternative = DriverKind::Buildkit;
            return Err(DriverError::Unsupported { driver, feature, line: number + 1, alternative });
        }
    }
    Ok(())
}

fn read(context: &Path) -> Result<String, DriverError> {
    let io = |error: rustix::io::Errno| DriverError::Io { what: "read the Dockerfile", source: error.into() };
    let dir = openat(CWD, context, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let rules = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = openat2(dir.map_err(io)?, FILE_NAME, flags, Mode::empty(), rules);
    let file = file.map_err(|_| DriverError::NoDockerfile)?;
    if !FileType::from_raw_mode(fstat(&file).map_err(io)?.st_mode).is_file() {
        return Err(DriverError::NoDockerfile);
    }
    let mut bytes = Vec::new();
    File::from(file)
        .take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(DriverError::io("read the Dockerfile"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn is_heredoc(line: &str) -> bool {
    let can_have_heredoc = ["RUN", "COPY", "ADD"].iter().any(|name| starts_with(line, name));
    let delimiter = line.split_once("<<").map(|(_, after)| after.trim_start_matches('-'));
    can_have_heredoc
        && delimiter.is_some_and(|delimiter| {
            delimiter.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '"' || c == '\'')
        })
}

fn is_archive(source: &str) -> bool {
    let name = source.trim_matches(|c: char| "\"',[]".contains(c)).to_ascii_lowercase();
    let extensions = [".tar", ".tgz", ".tbz2", ".txz", ".tzst"];
    !name.contains("://")
        && (name.contains(".tar.") || extensions.iter().any(|extension| name.ends_with(extension)))
}

fn adds_archive(line: &str) -> bool {
    let args: Vec<&str> =
        line.split_ascii_whitespace().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    // The last argument is the target.
    starts_with(line, "ADD")
        && args.split_last().is_some_and(|(_, sources)| sources.iter().any(|source| is_archive(source)))
}

fn copies_with(line: &str, flag: &str) -> bool {
    has(line, "COPY", flag) || has(line, "ADD", flag)
}

fn has(line: &str, instruction: &str, flag: &str) -> bool {
    let flags = line.split_ascii_whitespace().skip(1).take_while(|arg| arg.starts_with("--"));
    starts_with(line, instruction) && flags.into_iter().any(|arg| arg.split('=').next() == Some(flag))
}

fn starts_with(line: &str, instruction: &str) -> bool {
    line.split_ascii_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case(instruction))
}

fn is_syntax_line(line: &str) -> bool {
    let comment = line.trim_start().strip_prefix('#').map(|rest| rest.trim_start().to_ascii_lowercase());
    comment.is_some_and(|rest| {
        rest.strip_prefix("syntax").is_some_and(|rest| rest.trim_start().starts_with('='))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("FROM scratch\nRUN <<EOF", Some(("a heredoc", 2)))]
    #[case("RUN <<-\"EOF\" cat", Some(("a heredoc", 1)))]
    #[case("RUN cat <<< x && echo $((1 << 2))", None)]
    #[case("COPY --chmod=755 a b", Some(("COPY --chmod", 1)))]
    #[case("copy --link a b", Some(("COPY --link", 1)))]
    #[case("COPY --from=x --parents a b", Some(("COPY --parents", 1)))]
    #[case("COPY --chown=1:1 a b", None)]
    #[case("RUN --network=none true", Some(("RUN --network", 1)))]
    #[case("RUN tool --network", None)]
    #[case("# syntax=docker/dockerfile:1", Some(("a # syntax= line", 1)))]
    #[case("# Syntax = x", Some(("a # syntax= line", 1)))]
    #[case("# the syntax of this", None)]
    #[case("ADD base.tar.gz /", Some(("ADD of an archive", 1)))]
    #[case("add --chown=1:1 a.txt b.TGZ /x/", Some(("ADD of an archive", 1)))]
    #[case("ADD a.txt /b.tar", None)]
    #[case("COPY base.tar.gz /", None)]
    #[case("FROM scratch\nRUN --mount=type=cache,target=/c true", None)]
    fn img_refuses_unsupported_features(#[case] text: &str, #[case] expected: Option<(&str, usize)>) {
        let context = tempfile::tempdir().unwrap();
        std::fs::write(context.path().join(FILE_NAME), text).unwrap();
        let found = match check(context.path(), DriverKind::Img) {
            Err(DriverError::Unsupported { feature, line, alternative: DriverKind::Buildkit, .. }) => {
                Some((feature, line))
            }
            other => other.map(|()| None).unwrap(),
        };
        assert_eq!(found, expected);
        check(context.path(), DriverKind::Buildkit).unwrap();
    }

    #[test]
    fn a_link_is_not_a_dockerfile() {
        let context = tempfile::tempdir().unwrap();
        assert!(matches!(check(context.path(), DriverKind::Img), Err(DriverError::NoDockerfile)));
        std::os::unix::fs::symlink("/etc/passwd", context.path().join(FILE_NAME)).unwrap();
        assert!(matches!(check(context.path(), DriverKind::Img), Err(DriverError::NoDockerfile)));
    }
}
