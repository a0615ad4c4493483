//! Checks the names of entries, which are hostile.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::LayerLimits;
use super::rejection::{Rejection, quoted};

/// Splits a path into its parent and its last component. Returns `None` for the root.
pub(crate) fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    Some((path.parent()?, path.file_name()?))
}

/// Returns an entry's name as a relative path of plain components. The root's path is empty.
pub(crate) fn checked_path(name: &[u8], limits: &LayerLimits) -> Result<PathBuf, Rejection> {
    let refused = |rule| Err(Rejection::Path(quoted(name), rule));
    if name.is_empty() || name.contains(&0) {
        return refused("it is empty or has a NUL in it");
    }
    if name.len() > limits.path {
        return refused("it is too long");
    }
    if name.starts_with(b"/") {
        return Err(Rejection::Absolute(quoted(name)));
    }
    let mut path = PathBuf::new();
    for (depth, part) in name.split(|b| *b == b'/').filter(|p| !matches!(*p, b"" | b".")).enumerate() {
        if part == b".." {
            return Err(Rejection::ParentComponent(quoted(name)));
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
        let checked = checked_path(name.as_bytes(), &LayerLimits::default()).ok();
        assert_eq!(checked.as_deref(), path.map(Path::new));
    }
}
