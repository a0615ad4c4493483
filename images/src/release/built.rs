//! What a build driver left: a layout directory with one image, read without following any symlink.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use trackyard_protocol::version::Digest;

use super::error::ReleaseError;
use crate::blob::{self, Blob, Expected};
use crate::document::{self, Descriptor, Document, Index, Parsed};
use crate::error::Error;
use crate::image;
use crate::layout::Layout;
use crate::options::Options;
use crate::source::Source;

/// The layout is the directory itself.
const HERE: &str = ".";
const MAX_MARK: u64 = 4096;

/// A blob of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuiltBlob {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// One whole image, not yet released.
pub(crate) struct Built {
    layout: Arc<Layout>,
    options: Options,
    pub(crate) digest: Digest,
    pub(crate) manifest: Document,
    /// The manifest's media type.
    pub(crate) media_type: String,
    /// Each once.
    pub(crate) layers: Vec<BuiltBlob>,
    pub(crate) config: BuiltBlob,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mark {
    image_layout_version: String,
}

impl Built {
    /// Reads index, manifest and configuration, and checks that workers could run what they say. Layers are checked
    /// while they are sent.
    pub(crate) async fn open(dir: &Path, options: &Options) -> Result<Self, ReleaseError> {
        read(dir, options).await.map_err(ReleaseError::of_layout)
    }

    /// The blob's bytes, verified while they stream.
    pub(crate) fn read(&self, blob: &BuiltBlob) -> Blob {
        let what = format!("blob {} of the built image", blob.digest);
        stream(&self.layout, what, blob, &self.options)
    }
}

async fn read(dir: &Path, options: &Options) -> Result<Built, Error> {
    // A local file that is cut short stays so.
    let options = Options { attempts: 1, ..options.clone() };
    let name = dir
        .to_str()
        .ok_or_else(|| Error::configuration(format!("directory {}", dir.display()), "a path in UTF-8"))?;
    let layout = Arc::new(Layout::without_symlinks(name, &options)?);
    check_mark(&layout).await?;
    let entry = choose(layout.index(HERE).await?, "index.json")?;
    let (entry, manifest) = open_entry(&layout, entry).await?;
    let what = format!("manifest {}", entry.digest);
    let Parsed::Manifest(parsed) = manifest.parse(&what)? else {
        return Err(Error::malformed(what, "an index inside an index"));
    };
    image::check_manifest(&what, &parsed)?;
    let config = blob_of(&parsed.config);
    let bytes =
        blob::collect(stream(&layout, format!("the configuration of {what}"), &config, &options)).await?;
    image::assemble(&what, entry.digest.clone(), &parsed, &bytes, document::architecture())?;
    let mut layers: Vec<BuiltBlob> = Vec::with_capacity(parsed.layers.len());
    for layer in parsed.layers.iter().map(blob_of) {
        if !layers.contains(&layer) {
            layers.push(layer);
        }
    }
    Ok(Built {
        layout,
        options,
        digest: entry.digest,
        manifest,
        media_type: entry.media_type,
        layers,
        config,
    })
}

async fn check_mark(layout: &Layout) -> Result<(), Error> {
    let bytes = layout.read("oci-layout".to_owned(), MAX_MARK).await?;
    let mark: Mark = serde_json::from_slice(&bytes).map_err(|e| Error::malformed("oci-layout", e))?;
    if mark.image_layout_version == "1.0.0" {
        return Ok(());
    }
    Err(Error::malformed("oci-layout", "its version is not 1.0.0"))
}

/// The document of an entry; where that is an index, the one of its image.
async fn open_entry(layout: &Layout, entry: Descriptor) -> Result<(Descriptor, Document), Error> {
    let document = document(layout, &entry).await?;
    let what = format!("index {}", entry.digest);
    match document.parse(&what)? {
        Parsed::Manifest(_) => Ok((entry, document)),
        Parsed::Index(index) => {
            let entry = choose(index, &what)?;
            let document = self::document(layout, &entry).await?;
            Ok((entry, document))
        }
    }
}

async fn document(layout: &Layout, entry: &Descriptor) -> Result<Document, Error> {
    let bytes = layout.document(HERE, &entry.digest).await?.bytes;
    let document = Document { media_type: Some(entry.media_type.clone()), bytes };
    document.verify(&format!("manifest {} of the built image", entry.digest), &entry.digest)?;
    Ok(document)
}

/// The one image of an index. Attestations beside it are left behind; the same image under two names is one.
fn choose(index: Index, what: &str) -> Result<Descriptor, Error> {
    let mut images = index.manifests.into_iter().filter(|entry| !entry.is_attestation());
    let first = images.next().ok_or_else(|| Error::malformed(what, "it names no image"))?;
    if images.all(|other| other.digest == first.digest) {
        return Ok(first);
    }
    Err(Error::malformed(what, "it names more than one image; build for one platform at a time"))
}

fn blob_of(descriptor: &Descriptor) -> BuiltBlob {
    BuiltBlob { digest: descriptor.digest.clone(), size: descriptor.size }
}

fn stream(layout: &Arc<Layout>, what: String, blob: &BuiltBlob, options: &Options) -> Blob {
    let expected = Expected { what, digest: blob.digest.clone(), size: blob.size };
    let layout: Arc<dyn Source> = Arc::<Layout>::clone(layout);
    blob::stream(layout, HERE, expected, options)
}
