//! The corpus in the repository, through the targets, without libFuzzer. What a crash was found with stays there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fuzz_targets::TARGETS;

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(dir).expect("each target has a directory of inputs in fuzz/corpus");
    read.map(|entry| entry.expect("a directory can be read").path()).collect()
}

#[test]
fn every_input_passes() {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    assert!(is_root, "layers are unpacked with their owners: run `make test`, which uses sudo for it");
    let mut failed = Vec::new();
    for (name, run) in TARGETS {
        let inputs = entries(&dir().join("corpus").join(name));
        assert!(!inputs.is_empty(), "{name} has no input: the corpus is where a fuzzer starts");
        let fails = |input: &PathBuf| {
            let bytes = fs::read(input).unwrap();
            std::panic::catch_unwind(|| run(&bytes)).is_err()
        };
        failed.extend(inputs.into_iter().filter(fails));
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn every_target_is_libfuzzers_too_and_no_input_is_of_none() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let found = |below: &str| entries(&dir().join(below)).into_iter().map(stem).collect::<BTreeSet<_>>();
    assert_eq!(found("fuzz_targets"), targets);
    assert_eq!(found("corpus"), targets);
    assert!(found("dictionaries").is_subset(&targets));
    let manifest = fs::read_to_string(dir().join("Cargo.toml")).unwrap();
    for target in &targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
    }
}
