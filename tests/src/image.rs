//! Builds tiny tooling images from Debian's static busybox and a script.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::binaries::system;

/// Returns the directory of a channel's tooling inside an image.
#[must_use]
pub fn home(channel: &str) -> &'static str {
    match channel {
        "static_analyzers" => "opt/analyzer",
        "representers" => "opt/representer",
        _ => "opt/test-runner",
    }
}

/// Returns the digest of some bytes as `sha256:<64 hex>`.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A file of a layer: its path, mode and content.
pub type File<'a> = (&'a str, u32, &'a [u8]);

/// A packed layer.
pub struct Layer {
    /// The gzipped tar.
    pub blob: Vec<u8>,
    /// The digest of the plain tar.
    pub diff_id: String,
}

impl Layer {
    /// Packs files into a layer, with the directories that they need.
    #[must_use]
    pub fn of(files: &[File<'_>]) -> Arc<Self> {
        let mut tar = Builder::new(Vec::new());
        let mut dirs = BTreeSet::new();
        for (path, mode, content) in files {
            add_dirs(&mut tar, &mut dirs, path);
            let mut header = header(EntryType::Regular, *mode, content.len());
            tar.append_data(&mut header, path, *content).expect("a file in a tar");
        }
        Self::pack(tar)
    }

    /// Packs files into a layer with their paths unchanged, even if they are invalid in a tar.
    #[must_use]
    pub fn raw(files: &[File<'_>]) -> Arc<Self> {
        let mut tar = Builder::new(Vec::new());
        for (path, mode, content) in files {
            let mut header = header(EntryType::Regular, *mode, content.len());
            if let Some(name) = header.as_gnu_mut().and_then(|gnu| gnu.name.get_mut(..path.len())) {
                name.copy_from_slice(path.as_bytes());
            }
            header.set_cksum();
            tar.append(&header, *content).expect("an entry in a tar");
        }
        Self::pack(tar)
    }

    /// Packs a layer with one symlink.
    #[must_use]
    pub fn link(path: &str, target: &str) -> Arc<Self> {
        let mut tar = Builder::new(Vec::new());
        let mut header = header(EntryType::Symlink, 0o777, 0);
        tar.append_link(&mut header, path, target).expect("a link in a tar");
        Self::pack(tar)
    }

    fn pack(tar: Builder<Vec<u8>>) -> Arc<Self> {
        let tar = tar.into_inner().expect("the end of a tar");
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&tar).expect("gzip in memory");
        Arc::new(Self { blob: gzip.finish().expect("gzip in memory"), diff_id: digest(&tar) })
    }
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size.try_into().expect("a size"));
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn add_dirs(tar: &mut Builder<Vec<u8>>, made: &mut BTreeSet<String>, path: &str) {
    for (end, _) in path.match_indices('/') {
        let dir = path.get(..end).unwrap_or_default().to_owned();
        if made.insert(dir.clone()) {
            let mut header = header(EntryType::Directory, 0o755, 0);
            tar.append_data(&mut header, format!("{dir}/"), std::io::empty()).expect("a directory in a tar");
        }
    }
}

fn busybox() -> Arc<Layer> {
    static BASE: OnceLock<Arc<Layer>> = OnceLock::new();
    Arc::clone(BASE.get_or_init(|| {
        let program = system("busybox", "busybox-static");
        let bytes = fs::read(&program).expect("read busybox");
        let list = Command::new(&program).arg("--list").output().expect("busybox's programs").stdout;
        let mut tar = Builder::new(Vec::new());
        let mut dirs = BTreeSet::new();
        add_dirs(&mut tar, &mut dirs, "bin/busybox");
        let mut file = header(EntryType::Regular, 0o755, bytes.len());
        tar.append_data(&mut file, "bin/busybox", bytes.as_slice()).expect("busybox in a tar");
        for name in String::from_utf8_lossy(&list).lines().filter(|name| *name != "busybox") {
            let mut link = header(EntryType::Symlink, 0o777, 0);
            tar.append_link(&mut link, format!("bin/{name}"), "busybox").expect("a link in a tar");
        }
        Layer::pack(tar)
    }))
}

/// An image: its layers and the values of its configuration.
#[derive(Clone)]
pub struct Image {
    layers: Vec<Arc<Layer>>,
    environment: Vec<String>,
    settings: Vec<(String, Value)>,
}

impl Image {
    /// Creates an image of busybox alone, without an entry script.
    #[must_use]
    pub fn bare() -> Self {
        Self { layers: vec![busybox()], environment: vec!["PATH=/bin".to_owned()], settings: Vec::new() }
    }

    /// Creates an image of busybox and the channel's `bin/run.sh`; `script` is its text without the first line.
    #[must_use]
    pub fn tooling(channel: &str, script: &str) -> Self {
        let path = format!("{}/bin/run.sh", home(channel));
        Self::bare().layer(Layer::of(&[(&path, 0o755, format!("#!/bin/sh\n{script}\n").as_bytes())]))
    }

    /// Adds a layer on top.
    #[must_use]
    pub fn layer(mut self, layer: Arc<Layer>) -> Self {
        self.layers.push(layer);
        self
    }

    /// Adds an environment variable, `NAME=value`.
    #[must_use]
    pub fn variable(mut self, variable: &str) -> Self {
        self.environment.push(variable.to_owned());
        self
    }

    /// Adds an entry of the configuration, such as `WorkingDir`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: Value) -> Self {
        self.settings.push((name.to_owned(), value));
        self
    }

    /// Returns the layers, the lowest first.
    #[must_use]
    pub fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }

    /// Returns the configuration as JSON.
    ///
    /// # Panics
    /// On an architecture other than x86_64 and aarch64.
    #[must_use]
    pub fn config(&self) -> Value {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => panic!("no OCI name for the architecture {other}"),
        };
        let diff_ids: Vec<&str> = self.layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let environment = ("Env".to_owned(), json!(self.environment));
        let config: Map<String, Value> = self.settings.iter().cloned().chain([environment]).collect();
        json!({
            "architecture": architecture, "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        })
    }
}
