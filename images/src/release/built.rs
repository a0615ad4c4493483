//! The output of a build driver: a layout directory with one image, read without following any symlink.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use trackyard_protocol::version::Digest;

use super::error::ReleaseError;
use crate::blob::{self, Blob, Expected};
use crate::document::{self, Descriptor, Document, Index, Parsed};
use crate::error::ImageError;
use crate::image;
use crate::options::ImageOptions;
use crate::source::Source;
use crate::source::layout::Layout;

/// The repository path of a layout that is the location itself.
const ROOT: &str = ".";
const MAX_LAYOUT_FILE_BYTES: u64 = 4096;

/// A blob of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuiltBlob {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// One whole image that is not released yet.
pub(crate) struct BuiltImage {
    layout: Arc<Layout>,
    options: ImageOptions,
    pub(crate) digest: Digest,
    pub(crate) manifest: Document,
    /// The manifest's media type.
    pub(crate) media_type: String,
    /// The layers without duplicates.
    pub(crate) layers: Vec<BuiltBlob>,
    pub(crate) config: BuiltBlob,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutFile {
    image_layout_version: String,
}

impl BuiltImage {
    /// Reads index, manifest and configuration, and checks that workers could run the image. Layers are checked while
    /// they are sent.
    pub(crate) async fn open(dir: &Path, options: &ImageOptions) -> Result<Self, ReleaseError> {
        read(dir, options).await.map_err(ReleaseError::from_layout)
    }

    /// Streams a blob and verifies it on the way.
    pub(crate) fn read(&self, blob: &BuiltBlob) -> Blob {
        let what = format!("blob {} of the built image", blob.digest);
        stream(&self.layout, what, blob, &self.options)
    }
}

async fn read(dir: &Path, options: &ImageOptions) -> Result<BuiltImage, ImageError> {
    // Retries are pointless: a truncated local file stays truncated.
    let options = ImageOptions { max_attempts: 1, ..options.clone() };
    let name = dir.to_str().ok_or_else(|| {
        ImageError::configuration(format!("directory {}", dir.display()), "it must be UTF-8")
    })?;
    let layout = Arc::new(Layout::without_symlinks(name, &options)?);
    check_layout_version(&layout).await?;
    let entry = only_image(layout.index(ROOT).await?, "index.json")?;
    let (entry, manifest) = read_entry(&layout, entry).await?;
    let what = format!("manifest {}", entry.digest);
    let Parsed::Manifest(parsed) = manifest.parse(&what)? else {
        return Err(ImageError::malformed(what, "it is an index inside an index"));
    };
    image::check_manifest(&what, &parsed)?;
    let config = blob_from(&parsed.config);
    let bytes =
        blob::collect(stream(&layout, format!("the configuration of {what}"), &config, &options)).await?;
    image::assemble(&what, entry.digest.clone(), &parsed, &bytes, document::architecture())?;
    let mut layers: Vec<BuiltBlob> = Vec::with_capacity(parsed.layers.len());
    for layer in parsed.layers.iter().map(blob_from) {
        if !layers.contains(&layer) {
            layers.push(layer);
        }
    }
    Ok(BuiltImage {
        layout,
        options,
        digest: entry.digest,
        manifest,
        media_type: entry.media_type,
        layers,
        config,
    })
}

async fn check_layout_version(layout: &Layout) -> Result<(), ImageError> {
    let bytes = layout.read("oci-layout".to_owned(), MAX_LAYOUT_FILE_BYTES).await?;
    let file: LayoutFile =
        serde_json::from_slice(&bytes).map_err(|e| ImageError::malformed("oci-layout", e))?;
    if file.image_layout_version == "1.0.0" {
        return Ok(());
    }
    Err(ImageError::malformed("oci-layout", "its version is not 1.0.0"))
}

/// Reads the manifest of an entry, through one nested index if the entry is one.
async fn read_entry(layout: &Layout, entry: Descriptor) -> Result<(Descriptor, Document), ImageError> {
    let document = document(layout, &entry).await?;
    let what = format!("index {}", entry.digest);
    match document.parse(&what)? {
        Parsed::Manifest(_) => Ok((entry, document)),
        Parsed::Index(index) => {
            let entry = only_image(index, &what)?;
            let document = self::document(layout, &entry).await?;
            Ok((entry, document))
        }
    }
}

async fn document(layout: &Layout, entry: &Descriptor) -> Result<Document, ImageError> {
    let bytes = layout.document(ROOT, &entry.digest).await?.bytes;
    let document = Document { media_type: Some(entry.media_type.clone()), bytes };
    document.verify(&format!("manifest {} of the built image", entry.digest), &entry.digest)?;
    Ok(document)
}

/// Returns the only image of an index. Attestations are skipped, and one image may have several names.
fn only_image(index: Index, what: &str) -> Result<Descriptor, ImageError> {
    let mut images = index.manifests.into_iter().filter(|entry| !entry.is_attestation());
    let first = images.next().ok_or_else(|| ImageError::malformed(what, "it names no image"))?;
    if images.all(|other| other.digest == first.digest) {
        return Ok(first);
    }
    Err(ImageError::malformed(what, "it names more than one image; build for one platform at a time"))
}

fn blob_from(descriptor: &Descriptor) -> BuiltBlob {
    BuiltBlob { digest: descriptor.digest.clone(), size: descriptor.size }
}

fn stream(layout: &Arc<Layout>, what: String, blob: &BuiltBlob, options: &ImageOptions) -> Blob {
    let expected = Expected { what, digest: blob.digest.clone(), size: blob.size };
    let layout: Arc<dyn Source> = Arc::<Layout>::clone(layout);
    blob::stream(layout, ROOT, expected, options)
}
