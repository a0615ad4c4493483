//! A look at a Dockerfile, before it is built: what of it only some drivers can do. Pure, but for the reading.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};

use super::{DriverKind, Error};

/// The file.
pub(super) const NAME: &str = "Dockerfile";
/// The largest that is read.
const MAX_BYTES: u64 = 1 << 20;

/// What only some drivers can do.
struct Feature {
    name: &'static str,
    unable: &'static [DriverKind],
    is_in: fn(&str) -> bool,
}

const OLD: &[DriverKind] = &[DriverKind::Img, DriverKind::Buildah];

const FEATURES: [Feature; 7] = [
    Feature { name: "a heredoc", unable: OLD, is_in: is_heredoc },
    Feature { name: "COPY --chmod", unable: &[DriverKind::Img], is_in: |line| copies_with(line, "--chmod") },
    Feature { name: "COPY --link", unable: OLD, is_in: |line| copies_with(line, "--link") },
    Feature { name: "COPY --parents", unable: OLD, is_in: |line| copies_with(line, "--parents") },
    Feature { name: "RUN --network", unable: OLD, is_in: |line| has(line, "RUN", "--network") },
    // Its helper for archives is not there when it is built as its own authors build it.
    Feature { name: "ADD of an archive", unable: &[DriverKind::Img], is_in: adds_archive },
    Feature { name: "a # syntax= line", unable: &[DriverKind::Img], is_in: is_syntax_line },
];

/// Refuses what `driver` cannot build. No link in the context is followed.
pub(super) fn check(context: &Path, driver: DriverKind) -> Result<(), Error> {
    check_text(&read(context)?, driver)
}

/// Refuses a text for what `driver` cannot build.
pub(crate) fn check_text(text: &str, driver: DriverKind) -> Result<(), Error> {
    for (number, line) in text.lines().enumerate() {
        let found = FEATURES.iter().find(|feature| feature.unable.contains(&driver) && (feature.is_in)(line));
        if let Some(Feature { name: feature, .. }) = found {
            let able = DriverKind::Buildkit;
            return Err(Error::Unsupported { driver, feature, line: number + 1, able });
        }
    }
    Ok(())
}

fn read(context: &Path) -> Result<String, Error> {
    let io = |error: rustix::io::Errno| Error::Io { what: "read the Dockerfile", source: error.into() };
    let dir = openat(CWD, context, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let rules = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = openat2(dir.map_err(io)?, NAME, flags, Mode::empty(), rules);
    let file = file.map_err(|_| Error::NoDockerfile)?;
    if !FileType::from_raw_mode(fstat(&file).map_err(io)?.st_mode).is_file() {
        return Err(Error::NoDockerfile);
    }
    let mut bytes = Vec::new();
    File::from(file).take(MAX_BYTES).read_to_end(&mut bytes).map_err(Error::io("read the Dockerfile"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn is_heredoc(line: &str) -> bool {
    let instruction = ["RUN", "COPY", "ADD"].iter().any(|word| starts_with(line, word));
    let mark = line.split_once("<<").map(|(_, after)| after.trim_start_matches('-'));
    instruction
        && mark.is_some_and(|mark| {
            mark.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '"' || c == '\'')
        })
}

fn adds_archive(line: &str) -> bool {
    let archive = |word: &str| {
        let name = word.trim_matches(|c: char| "\"',[]".contains(c)).to_ascii_lowercase();
        let ends = [".tar", ".tgz", ".tbz2", ".txz", ".tzst"];
        !name.contains("://") && (name.contains(".tar.") || ends.iter().any(|end| name.ends_with(end)))
    };
    let words: Vec<&str> =
        line.split_ascii_whitespace().skip(1).filter(|word| !word.starts_with("--")).collect();
    // The last word is the target.
    starts_with(line, "ADD")
        && words.split_last().is_some_and(|(_, sources)| sources.iter().any(|word| archive(word)))
}

fn copies_with(line: &str, flag: &str) -> bool {
    has(line, "COPY", flag) || has(line, "ADD", flag)
}

fn has(line: &str, instruction: &str, flag: &str) -> bool {
    let flags = line.split_ascii_whitespace().skip(1).take_while(|word| word.starts_with("--"));
    starts_with(line, instruction) && flags.into_iter().any(|word| word.split('=').next() == Some(flag))
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
    fn what_img_cannot_do(#[case] text: &str, #[case] expected: Option<(&str, usize)>) {
        let context = tempfile::tempdir().unwrap();
        std::fs::write(context.path().join(NAME), text).unwrap();
        let found = match check(context.path(), DriverKind::Img) {
            Err(Error::Unsupported { feature, line, able: DriverKind::Buildkit, .. }) => {
                Some((feature, line))
            }
            other => other.map(|()| None).unwrap(),
        };
        assert_eq!(found, expected);
        check(context.path(), DriverKind::Buildkit).unwrap();
    }

    #[test]
    fn a_link_is_no_dockerfile() {
        let context = tempfile::tempdir().unwrap();
        assert!(matches!(check(context.path(), DriverKind::Img), Err(Error::NoDockerfile)));
        std::os::unix::fs::symlink("/etc/passwd", context.path().join(NAME)).unwrap();
        assert!(matches!(check(context.path(), DriverKind::Img), Err(Error::NoDockerfile)));
    }
}
