//! Entries' names: hostile until cleaned.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::limits::LayerLimits;
use super::rejection::{Rejection, shown};

/// The parent and the last component; `None` for the root.
pub(crate) fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    Some((path.parent()?, path.file_name()?))
}

/// An entry's name as a relative path of plain components; empty for the root.
pub(crate) fn clean(name: &[u8], limits: &LayerLimits) -> Result<PathBuf, Rejection> {
    let refused = |rule| Err(Rejection::Path(shown(name), rule));
    if name.is_empty() || name.contains(&0) {
        return refused("it is empty or has a NUL in it");
    }
    if name.len() > limits.path {
        return refused("it is too long");
    }
    if name.starts_with(b"/") {
        return Err(Rejection::Absolute(shown(name)));
    }
    let mut path = PathBuf::new();
    for (depth, part) in name.split(|b| *b == b'/').filter(|p| !matches!(*p, b"" | b".")).enumerate() {
        if part == b".." {
            return Err(Rejection::ParentComponent(shown(name)));
        }
        if part.len() > 255 || depth >= limits.depth {
            return refused("a component is too long, or there are too many");
        }
        path.push(OsStr::from_bytes(part));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("./a//b/./c/", Some("a/b/c"))]
    #[case("./", Some(""))]
    #[case("a/..b", Some("a/..b"))]
    #[case("/a", None)]
    #[case("a/../b", None)]
    #[case("..", None)]
    #[case("", None)]
    #[case("a\0", None)]
    #[case(&"x".repeat(256), None)]
    #[case(&"x/".repeat(129), None)]
    fn names(#[case] name: &str, #[case] path: Option<&str>) {
        let cleaned = clean(name.as_bytes(), &LayerLimits::default()).ok();
        assert_eq!(cleaned.as_deref(), path.map(Path::new));
    }
}
