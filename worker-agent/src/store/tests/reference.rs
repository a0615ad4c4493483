//! Compares an image unpacked by umoci, node by node, with an overlay of our layers.

use std::fs;
use std::path::Path;
use std::process::Command;

use trackyard_images::{ImageOptions, Images};
use trackyard_protocol::source::{ImageSource, ImageSourceKind, default_repositories};
use trackyard_protocol::version::ContainerVersion;

use crate::store::Store;

const VERSION: &str = "git-0123456789abcdef0123456789abcdef01234567";

/// Makes a layer of this machine's files and some odd ones, and a layer that changes, removes and hides files.
const MAKE_IMAGE: &str = r#"
set -eu
umoci init --layout image
umoci new --image "image:$VERSION"
umoci unpack --image "image:$VERSION" bundle
cd bundle/rootfs
mkdir -p usr/bin usr/share etc opt/test-runner/bin tmp var/hidden
ln -s usr/bin bin
cp -a /usr/share/perl /usr/share/doc/tar /usr/share/doc/coreutils usr/share/ 2>/dev/null || true
cp -a /etc/passwd /etc/alternatives etc/
cp /usr/bin/env usr/bin/env
ln usr/bin/env usr/bin/env-again
chmod 4755 usr/bin/env
chmod 1777 tmp
chown 1000:2000 opt/test-runner
chown -h 1000:2000 bin
printf 'x%.0s' $(seq 200) > "usr/share/$(printf 'n%.0s' $(seq 120))"
printf 'a\nb' > "usr/share/$(printf 'new\nline')"
printf 'utf8' > usr/share/ünï
touch -d @-5.25 var/old
touch -d @1.123456789 var/new
echo 1 > var/hidden/a
echo 1 > var/removed
echo 1 > etc/settings
cd ../..
umoci repack --image "image:$VERSION" bundle
rm -rf bundle
umoci unpack --image "image:$VERSION" bundle
cd bundle/rootfs
rm -rf var/removed var/hidden
mkdir var/hidden
echo 2 > var/hidden/b
rm -rf usr/share/perl
echo perl > usr/share/perl
rm etc/settings
mkdir etc/settings
ln usr/bin/env usr/bin/env-third
chmod 700 tmp
echo run > opt/test-runner/bin/run.sh
cd ../..
umoci repack --image "image:$VERSION" bundle
rm -rf bundle
umoci unpack --image "image:$VERSION" bundle
"#;

const LIST: &str = r#"
set -eu
list() {
    cd "$1"
    find . -mindepth 1 -printf '%P %y %m %U:%G %T@ %l\n' | sed 's/^/node /'
    find . -type f -printf '%n %s ' -exec sha256sum {} \;
}
"#;

/// Runs a script in `dir`. Its mounts are gone when it ends.
fn run(dir: &Path, script: &str, layers: &str) -> String {
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .current_dir(dir)
        .env("VERSION", VERSION)
        .env("LAYERS", layers)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "this test needs root, umoci and overlayfs (make setup): {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn unpacks_the_same_tree_as_umoci() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), MAKE_IMAGE, "");
    let reference = run(dir.path(), &format!("{LIST} list bundle/rootfs"), "");

    fs::create_dir(dir.path().join("images")).unwrap();
    fs::rename(dir.path().join("image"), dir.path().join("images/odd")).unwrap();
    let source = ImageSource {
        kind: ImageSourceKind::Layout,
        location: dir.path().join("images").display().to_string(),
        repositories: default_repositories(),
    };
    let images = Images::connect(&source, &ImageOptions::default()).await.unwrap();
    let version: ContainerVersion = VERSION.parse().unwrap();
    let digest = images.resolve("odd", &version).await.unwrap();
    let store = Store::open(&dir.path().join("work")).unwrap();
    let prepared = store.prepare(&images, "odd", &digest).await.unwrap();
    assert_eq!(prepared.layers.len(), 2);

    let layers: Vec<_> = prepared.layers.iter().rev().map(|layer| layer.display().to_string()).collect();
    let mount = "mkdir merged; mount -t overlay overlay -o \"ro,lowerdir=$LAYERS\" merged;";
    let ours = run(dir.path(), &format!("{LIST} {mount} list merged"), &layers.join(":"));
    assert!(reference.lines().count() > 100, "the image is too small to prove anything");
    assert_eq!(sorted(&ours), sorted(&reference));
}
