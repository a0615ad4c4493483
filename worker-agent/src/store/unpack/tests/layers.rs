//! Layers as image builders write them, alone and on top of others.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rstest::rstest;

use super::fixtures::{Tar, show, unpack_into};
use crate::store::unpack::{LayerLimits, UnpackError, UnpackOutcome};

fn tar() -> Tar {
    Tar::default()
}

/// Unpacks `lower`, then `upper` on top of it.
fn on_top(lower: Tar, upper: Tar) -> (tempfile::TempDir, PathBuf, UnpackOutcome) {
    let dir = tempfile::tempdir().unwrap();
    let [below, root] = ["below", "root"].map(|name| dir.path().join(name));
    unpack_into(&below, lower, Some(&[]), &LayerLimits::default()).unwrap();
    let outcome = unpack_into(&root, upper, Some(&[&below]), &LayerLimits::default()).unwrap();
    (dir, root, outcome)
}

#[test]
fn owners_modes_and_times_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let layer = tar()
        .with(b'5', "./", |h| h.set_mode(0o711))
        .with(b'5', "d", |h| {
            h.set_mode(0o2775);
            h.set_uid(7);
            h.set_gid(65_535);
        })
        .pax(&[("mtime", b"1234.5")])
        .with(b'0', "d/suid", |h| {
            h.set_mode(0o4755);
            h.set_uid(8);
        })
        .symlink("d/link", "suid");
    unpack_into(&root, layer, None, &LayerLimits::default()).unwrap();
    let shown = |name: &str| {
        let meta = fs::symlink_metadata(root.join(name)).unwrap();
        (meta.mode() & 0o7777, meta.uid(), meta.gid(), meta.mtime(), meta.mtime_nsec())
    };
    assert_eq!(shown("d"), (0o2775, 7, 65_535, 1_000_000_000, 0));
    assert_eq!(shown("d/suid"), (0o4755, 8, 0, 1234, 500_000_000));
    assert_eq!(shown("d/link").3, 1_000_000_000);
    assert_eq!((shown(".").0, shown(".").3), (0o711, 1_000_000_000));
}

#[test]
fn hard_links_share_their_file() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let layer = tar().dir("d").file("d/a", "1").hardlink("b", "./d/a").symlink("s", "d").hardlink("c", "s/a");
    unpack_into(&root, layer, None, &LayerLimits::default()).unwrap();
    let inode = |name: &str| fs::metadata(root.join(name)).unwrap().ino();
    assert_eq!((inode("b"), inode("c")), (inode("d/a"), inode("d/a")));
}

#[rstest]
#[case::whiteout(tar().file(".wh.gone", ""), &["gone whiteout 0"])]
#[case::whiteout_then_dir(
    tar().file(".wh.d", "").dir("d").file("d/new", "1"),
    &["d/ opaque", "d/new: 1"]
)]
#[case::whiteout_then_file(tar().file(".wh.a", "").file("a", "1"), &["a: 1"])]
#[case::whiteout_last(
    tar().dir("d").file("d/new", "1").file(".wh.d", ""),
    &["d/ opaque", "d/new: 1"]
)]
#[case::whiteout_then_child(
    tar().file(".wh.d", "").file("d/new", "1"),
    &["d/ opaque", "d/new: 1"]
)]
#[case::opaque_first(
    tar().dir("d").file("d/.wh..wh..opq", "").file("d/new", "1"),
    &["d/ opaque", "d/new: 1"]
)]
#[case::opaque_last(
    tar().dir("d").file("d/new", "1").file("d/.wh.x", "").file("d/.wh..wh..opq", ""),
    &["d/ opaque", "d/new: 1"]
)]
#[case::opaque_again(
    tar().dir("d").file("d/.wh..wh..opq", "").file("d/a", "1").file("d/.wh..wh..opq", "").file("d/b", "2"),
    &["d/ opaque", "d/a: 1", "d/b: 2"]
)]
#[case::whiteout_in_opaque(
    tar().dir("d").file("d/.wh..wh..opq", "").file("d/.wh.x", ""),
    &["d/ opaque"]
)]
#[case::whiteout_in_a_file(tar().file("a", "1").file("a/.wh.b", ""), &["a: 1"])]
#[case::old_marks(tar().dir("d").file("d/.wh..wh.plnk", ""), &["d/"])]
#[case::dir_replaces_file(tar().file("d", "1").dir("d"), &["d/ opaque"])]
#[case::file_replaces_dir(tar().dir("d").file("d/a", "1").file("d", "2"), &["d: 2"])]
fn whiteouts_hide_lower_nodes_only(#[case] layer: Tar, #[case] expected: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let outcome = unpack_into(&root, layer, None, &LayerLimits::default());
    assert!(matches!(outcome, Ok(UnpackOutcome { used_lower: false })), "{outcome:?}");
    assert_eq!(show(&root), expected);
}

#[test]
fn missing_parents_need_lower_layers() {
    let dir = tempfile::tempdir().unwrap();
    let layer = tar().file("bin/tool", "x");
    let alone = unpack_into(&dir.path().join("root"), layer, None, &LayerLimits::default());
    assert!(matches!(alone, Err(UnpackError::NeedsLower)), "{alone:?}");
}

#[rstest]
#[case::symlink(
    tar().dir("usr").dir("usr/bin").symlink("bin", "usr/bin"),
    tar().file("bin/tool", "x"),
    &["usr/", "usr/bin/", "usr/bin/tool: x"]
)]
#[case::symlinks_in_turn(
    tar().dir("a").symlink("b", "/a").symlink("c", "../../b").symlink("a/up", ".."),
    tar().file("c/up/c/tool", "x"),
    &["a/", "a/tool: x"]
)]
#[case::own_symlink_to_lower_dir(
    tar().dir("data"),
    tar().symlink("d", "data").file("d/new", "x"),
    &["d -> data", "data/", "data/new: x"]
)]
#[case::removed_symlink(
    tar().dir("usr").symlink("bin", "usr"),
    tar().file(".wh.bin", "").file("bin/tool", "x"),
    &["bin/ opaque", "bin/tool: x"]
)]
#[case::hidden_symlink(
    tar().dir("d").dir("t").symlink("d/s", "/t"),
    tar().dir("d").file("d/.wh..wh..opq", "").file("d/s/new", "x"),
    &["d/ opaque", "d/s/", "d/s/new: x"]
)]
#[case::link_to_lower_file(
    tar().dir("d").file("d/a", "1"),
    tar().hardlink("b", "d/a"),
    &["b: 1", "d/", "d/a: 1"]
)]
#[case::link_through_lower_symlink(
    tar().dir("d").file("d/a", "1").symlink("s", "d"),
    tar().hardlink("b", "s/a"),
    &["b: 1", "d/", "d/a: 1"]
)]
fn layers_resolve_against_lower_ones(#[case] lower: Tar, #[case] upper: Tar, #[case] expected: &[&str]) {
    let (_dir, root, _) = on_top(lower, upper);
    assert_eq!(show(&root), expected);
}

#[test]
fn parents_are_copied_from_below() {
    let lower = tar().pax(&[("SCHILY.xattr.user.x", b"1")]).with(b'5', "home", |h| {
        h.set_mode(0o2770);
        h.set_uid(1000);
    });
    let (_dir, root, outcome) = on_top(lower, tar().file("home/a", "1"));
    assert!(outcome.used_lower);
    let meta = fs::metadata(root.join("home")).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.mtime()), (0o2770, 1000, 1_000_000_000));
    assert_eq!(super::fixtures::xattr(&root.join("home"), "user.x").as_deref(), Some(&b"1"[..]));
}

#[rstest]
#[case::removed_in_between(tar().file(".wh.a", ""))]
#[case::hidden_in_between(tar().file(".wh..wh..opq", ""))]
fn hidden_nodes_are_not_found(#[case] middle: Tar) {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    unpack_into(&path("low"), tar().file("a", "1"), Some(&[]), &LayerLimits::default()).unwrap();
    unpack_into(&path("middle"), middle, None, &LayerLimits::default()).unwrap();
    let lowers: [&Path; 2] = [&path("middle"), &path("low")];
    let linked = unpack_into(&path("root"), tar().hardlink("b", "a"), Some(&lowers), &LayerLimits::default());
    assert!(matches!(linked, Err(UnpackError::Rejected(_))), "{linked:?}");
}
