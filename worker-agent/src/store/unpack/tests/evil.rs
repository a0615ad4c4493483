//! Hostile layers.

use std::fs;
use std::path::Path;

use rstest::rstest;

use super::fixtures::{Tar, show, unpack_into};
use crate::store::unpack::{LayerLimits, Rejection, UnpackError, unpack};

fn tar() -> Tar {
    Tar::default()
}

fn rejection_name(error: UnpackError) -> &'static str {
    match error {
        UnpackError::Rejected(rejection) => rejection.into(),
        other => panic!("{other}"),
    }
}

/// Unpacks beside a file. That file must not change, and no other one may appear beside it.
fn unpack_beside(tar: Tar, limits: &LayerLimits) -> Result<Vec<String>, &'static str> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("outside"), "untouched").unwrap();
    let root = dir.path().join("root");
    let result = unpack_into(&root, tar, Some(&[]), limits);
    let tree = show(&root);
    fs::remove_dir_all(&root).unwrap();
    assert_eq!(show(dir.path()), ["outside: untouched"]);
    assert!(!Path::new("/trackyard-escaped").exists());
    result.map(|_| tree).map_err(rejection_name)
}

#[rstest]
#[case::absolute(tar().file("/trackyard-escaped", "x"), "absolute")]
#[case::parent(tar().file("../outside", "x"), "parent_component")]
#[case::hidden_parent(tar().file("a/./../../outside", "x"), "parent_component")]
#[case::empty_name(tar().file("", "x"), "path")]
#[case::root_file(tar().file("./.", "x"), "path")]
#[case::nul(tar().pax(&[("path", b"a\0b")]).file("a", "x"), "path")]
#[case::long_name(tar().pax(&[("path", &[b'x'; 300])]).file("a", "x"), "path")]
#[case::long_path(tar().pax(&[("path", "x/".repeat(2500).as_bytes())]).file("a", "x"), "path")]
#[case::deep(tar().pax(&[("path", "x/".repeat(200).as_bytes())]).file("a", "x"), "path")]
#[case::link_out(tar().hardlink("a", "../outside"), "parent_component")]
#[case::link_absolute(tar().hardlink("a", "/etc/passwd"), "absolute")]
#[case::link_to_nothing(tar().hardlink("a", "b"), "link_target")]
#[case::link_to_dir(tar().dir("b").hardlink("a", "b"), "link_target")]
#[case::link_through_symlink(tar().symlink("s", "..").hardlink("a", "s/outside"), "link_target")]
#[case::block_device(tar().entry(b'4', "sda", "", b""), "device")]
#[case::char_device(tar().entry(b'3', "a", "", b""), "device")]
#[case::fifo(tar().entry(b'6', "a", "", b""), "fifo")]
#[case::sparse(tar().entry(b'S', "a", "", b""), "sparse")]
#[case::pax_sparse(tar().pax(&[("GNU.sparse.major", b"1")]).file("a", "x"), "sparse")]
#[case::unknown_type(tar().entry(b'Z', "a", "", b""), "entry_type")]
#[case::owner(tar().with(b'0', "a", |h| h.set_uid(65_536)), "owner")]
#[case::huge_owner(tar().with(b'0', "a", |h| h.set_gid(u64::from(u32::MAX))), "owner")]
#[case::bare_whiteout(tar().dir("a").file("a/.wh.", ""), "whiteout")]
#[case::whiteout_of_here(tar().file("a/.wh..", ""), "whiteout")]
#[case::whiteout_of_parent(tar().file("a/.wh...", ""), "whiteout")]
#[case::below_whiteout(tar().file("a/.wh.b/c", ""), "whiteout")]
#[case::file_as_dir(tar().file("a", "x").file("a/b", "x"), "not_a_directory")]
#[case::symlink_loop(tar().symlink("a", "b").symlink("b", "a").file("a/c", "x"), "unplaceable")]
#[case::empty_symlink(tar().symlink("a", ""), "path")]
#[case::wrong_sum(Tar(vec![b'x'; 1024]), "tar")]
#[case::huge_size(tar().with(b'0', "a", |h| h.set_size(u64::MAX)), "size")]
#[case::wrong_pax(tar().entry(b'x', "p", "", b"99 path=a\n").file("a", ""), "tar")]
#[case::dangling_pax(tar().pax(&[("path", b"b")]), "truncated")]
#[case::negative_size(tar().with(b'0', "a", |h| h.as_old_mut().size = *b"-00000000001"), "tar")]
fn hostile_entries_are_refused(#[case] tar: Tar, #[case] expected: &str) {
    assert_eq!(unpack_beside(tar, &LayerLimits::default()).unwrap_err(), expected);
}

#[rstest]
#[case::through_absolute_symlink(
    tar().symlink("esc", "/").file("esc/trackyard-escaped", "x"),
    &["esc -> /", "trackyard-escaped: x"]
)]
#[case::through_parent_symlink(
    tar().dir("d").symlink("d/esc", "../../..").file("d/esc/outside", "x"),
    &["d/", "d/esc -> ../../..", "outside: x"]
)]
#[case::through_late_symlink(
    tar().file("d/a", "1").symlink("d", "..").file("d/outside", "x"),
    &["d -> ..", "outside: x"]
)]
#[case::over_symlink(
    tar().symlink("a", "../outside").file("a", "x"),
    &["a: x"]
)]
#[case::over_hardlink(
    tar().file("a", "1").hardlink("b", "a").file("b", "2"),
    &["a: 1", "b: 2"]
)]
#[case::link_to_symlink(
    tar().symlink("a", "/etc/passwd").hardlink("b", "a"),
    &["a -> /etc/passwd", "b -> /etc/passwd"]
)]
#[case::link_to_itself(tar().file("a", "1").hardlink("./a", "a"), &["a: 1"])]
#[case::proc_symlink(
    tar().symlink("a", "/proc/self/root").file("a/b", "x"),
    &["a -> /proc/self/root", "proc/", "proc/self/", "proc/self/root/", "proc/self/root/b: x"]
)]
#[case::global_header(
    tar().entry(b'g', "g", "", b"24 path=../../../escape\n").file("a", "x"),
    &["a: x"]
)]
#[case::slash_on_a_file(tar().file("a/", "x"), &["a: x"])]
fn hostile_entries_are_contained(#[case] tar: Tar, #[case] expected: &[&str]) {
    assert_eq!(unpack_beside(tar, &LayerLimits::default()).unwrap(), expected);
}

#[test]
fn overlayfs_marks_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let marks: &[(&str, &[u8])] = &[
        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.user.overlay.opaque", b"y"),
        ("SCHILY.xattr.user.kept", b"1\n2"),
    ];
    unpack_into(&root, tar().pax(marks).dir("d"), Some(&[]), &LayerLimits::default()).unwrap();
    assert_eq!(show(&root), ["d/"]);
    let kept = |name| super::fixtures::xattr(&root.join("d"), name);
    assert_eq!(kept("trusted.overlay.redirect"), None);
    assert_eq!(kept("user.overlay.opaque"), None);
    assert_eq!(kept("user.kept").as_deref(), Some(&b"1\n2"[..]));
}

#[rstest]
#[case::entries(LayerLimits { entries: 2, ..LayerLimits::default() }, "entries")]
#[case::bytes(LayerLimits { bytes: 8, ..LayerLimits::default() }, "size")]
#[case::names(LayerLimits { directory_names: 60, ..LayerLimits::default() }, "directory_names")]
#[case::headers(LayerLimits { header: 16, ..LayerLimits::default() }, "tar")]
fn limits_hold_while_unpacking(#[case] limits: LayerLimits, #[case] expected: &str) {
    let tar = tar().pax(&[("comment", b"a long comment")]).dir("a").dir("b").file("c", "123456789");
    assert_eq!(unpack_beside(tar, &limits).unwrap_err(), expected);
}

#[test]
fn parent_dirs_count_too() {
    let limits = LayerLimits { directory_names: 1000, ..LayerLimits::default() };
    let tar = tar().pax(&[("path", "x/".repeat(100).as_bytes())]).file("a", "");
    assert_eq!(unpack_beside(tar, &limits).unwrap_err(), "directory_names");
}

#[test]
fn every_cut_layer_is_noticed() {
    let whole = tar().dir("a").pax(&[("path", b"a/b")]).file("b", "content").file("c", "d").finish();
    for length in 0..whole.len() {
        let dir = tempfile::tempdir().unwrap();
        let cut = &whole[..length];
        let result =
            unpack(cut, super::fixtures::open(dir.path()), Some(Vec::new()), &LayerLimits::default());
        let between = [0, 512, 2560, 3584].contains(&length) || length >= 4096;
        match result {
            Ok(_) => assert!(between, "{length}"),
            Err(UnpackError::Rejected(Rejection::Truncated)) => {
                assert!(!between || length > 3584, "{length}");
            }
            Err(other) => panic!("{length}: {other}"),
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    /// Unpacking ends and writes nothing outside, whatever is changed in a layer.
    #[test]
    fn a_damaged_layer_stays_inside(changes in proptest::collection::vec((0..6000_usize, proptest::prelude::any::<u8>()), 1..8)) {
        let tar = tar().dir("a").symlink("a/s", "../..").pax(&[("path", b"a/s/long")]).file("b", "content");
        let mut bytes = tar.file("a/.wh.c", "").hardlink("d", "a/s/long").file("a/s/e", "x").finish();
        for (at, byte) in changes {
            if let Some(target) = bytes.get_mut(at) {
                *target = byte;
            }
            // A header with a wrong checksum is not looked at.
            let header = at / 512 * 512;
            if let Some(block) = bytes.get_mut(header..header + 512) {
                let mut fixed = tar::Header::new_old();
                fixed.as_mut_bytes().copy_from_slice(block);
                fixed.set_cksum();
                block.copy_from_slice(fixed.as_bytes());
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        drop(unpack(bytes.as_slice(), super::fixtures::open(&root), Some(Vec::new()), &LayerLimits::default()));
        fs::remove_dir_all(&root).unwrap();
        proptest::prop_assert!(show(dir.path()).is_empty());
    }
}
