//! The layers of one image, with the names that they may have in the store.

use std::fs::File;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use trackyard_images::Layer;
use trackyard_protocol::version::Digest;

use super::dirs::{self, Dirs};
use super::unpack::has_opaque_root;

/// One layer of an image.
#[derive(Debug, Clone)]
pub(crate) struct StackedLayer {
    pub(crate) layer: Layer,
    /// Its name if it does not depend on others.
    pub(crate) own: String,
    /// Its name if it is only right on top of those below it.
    pub(crate) chained: String,
}

/// Returns the layers of an image with their names, from the bottom to the top.
pub(crate) fn stack(layers: &[Layer]) -> Vec<StackedLayer> {
    let mut chain: Option<Digest> = None;
    let named = layers.iter().map(|layer| {
        let id = match &chain {
            None => layer.diff_id.clone(),
            Some(below) => Digest::from_sha256(&Sha256::digest(format!("{below} {}", layer.diff_id)).into()),
        };
        let chained = dirs::chained(&id);
        chain = Some(id);
        StackedLayer { layer: layer.clone(), own: dirs::layer(&layer.diff_id), chained }
    });
    named.collect()
}

impl StackedLayer {
    /// Returns the name under which the layer is in the store, if it is.
    pub(crate) fn present<'a>(&'a self, dirs: &Dirs) -> Option<&'a str> {
        [&self.own, &self.chained].into_iter().find(|name| dirs.has(name)).map(String::as_str)
    }
}

/// Returns the directories to mount for an image. A layer that occurs twice is mounted once, at the top: all of it
/// shows there, and overlayfs refuses the same directory twice. Layers below an opaque root are left out, because
/// overlayfs ignores that mark on a root.
pub(crate) fn mountable(layers: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut from_the_top: Vec<PathBuf> = Vec::with_capacity(layers.len());
    for layer in layers.into_iter().rev() {
        if from_the_top.contains(&layer) {
            continue;
        }
        let is_opaque = File::open(&layer).is_ok_and(has_opaque_root);
        from_the_top.push(layer);
        if is_opaque {
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
    fn chained_names_depend_on_layers_below() {
        let one = stack(&[layer(1), layer(2), layer(3)]);
        let other = stack(&[layer(4), layer(2), layer(3)]);
        assert_eq!(one[2].own, other[2].own);
        assert_ne!(one[2].chained, other[2].chained);
        assert_eq!(one[0].chained, format!("chained/{}", "01".repeat(32)));
    }

    #[test]
    fn a_repeated_layer_is_mounted_once() {
        let mounted = mountable(["/none/a", "/none/b", "/none/a"].map(PathBuf::from).to_vec());
        assert_eq!(mounted, ["/none/b", "/none/a"].map(PathBuf::from));
    }
}
