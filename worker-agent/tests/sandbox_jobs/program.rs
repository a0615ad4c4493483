//! Compiles small programs in C for what no tool of busybox does.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::machine::Machine;

/// Makes a layer with `bin/NAME`, compiled from `source` and linked statically.
pub(crate) fn program(machine: &Machine, name: &str, source: &str) -> PathBuf {
    let layer = machine.layer(&format!("program-{name}"));
    fs::create_dir_all(layer.join("bin")).unwrap();
    let file = layer.join(format!("{name}.c"));
    fs::write(&file, source).unwrap();
    let cc = Command::new("cc")
        .args(["-static", "-o"])
        .arg(layer.join("bin").join(name))
        .arg(file)
        .status()
        .unwrap();
    assert!(cc.success(), "cc cannot link a static program: apt-get install gcc libc6-dev");
    layer
}
