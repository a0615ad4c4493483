//! The layers of one image, under the names that they may have here.

use std::fs::File;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use trackyard_images::Layer;
use trackyard_protocol::version::Digest;

use super::dirs::{self, Dirs};
use super::unpack::hides_below;

/// One layer of an image.
#[derive(Debug, Clone)]
pub(crate) struct Stacked {
    pub(crate) layer: Layer,
    /// Its name if it stands on its own.
    pub(crate) own: String,
    /// Its name if it is only right on top of those below it.
    pub(crate) chained: String,
}

/// From the bottom to the top.
pub(crate) fn stack(layers: &[Layer]) -> Vec<Stacked> {
    let mut chain: Option<Digest> = None;
    let one = |layer: &Layer| {
        let id = match &chain {
            None => layer.diff_id.clone(),
            Some(below) => Digest::from_sha256(&Sha256::digest(format!("{below} {}", layer.diff_id)).into()),
        };
        let chained = dirs::chained(&id);
        chain = Some(id);
        Stacked { layer: layer.clone(), own: dirs::layer(&layer.diff_id), chained }
    };
    layers.iter().map(one).collect()
}

impl Stacked {
    /// The name under which it is here, if it is.
    pub(crate) fn present<'a>(&'a self, dirs: &Dirs) -> Option<&'a str> {
        [&self.own, &self.chained].into_iter().find(|name| dirs.has(name)).map(String::as_str)
    }
}

/// The directories to mount for those of an image. A layer that comes twice is mounted once, at the top: it shows all of
/// itself there, and overlayfs refuses the same directory twice. What lies below a layer that hides all of it is left
/// out, because overlayfs does not look at that mark on a root.
pub(crate) fn to_mount(layers: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut from_the_top: Vec<PathBuf> = Vec::with_capacity(layers.len());
    for layer in layers.into_iter().rev() {
        if from_the_top.contains(&layer) {
            continue;
        }
        let hides = File::open(&layer).is_ok_and(hides_below);
        from_the_top.push(layer);
        if hides {
            break;
        }
    }
    from_the_top.reverse();
    from_the_top
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackyard_images::Compression;

    fn layer(byte: u8) -> Layer {
        let digest = Digest::from_sha256(&[byte; 32]);
        Layer { digest: digest.clone(), diff_id: digest, size: 1, compression: Compression::None }
    }

    #[test]
    fn a_chained_name_depends_on_all_layers_below() {
        let one = stack(&[layer(1), layer(2), layer(3)]);
        let other = stack(&[layer(4), layer(2), layer(3)]);
        assert_eq!(one[2].own, other[2].own);
        assert_ne!(one[2].chained, other[2].chained);
        assert_eq!(one[0].chained, format!("chained/{}", "01".repeat(32)));
    }

    #[test]
    fn a_layer_that_comes_twice_is_mounted_once_at_the_top() {
        let mounted = to_mount(["/none/a", "/none/b", "/none/a"].map(PathBuf::from).to_vec());
        assert_eq!(mounted, ["/none/b", "/none/a"].map(PathBuf::from));
    }
}
