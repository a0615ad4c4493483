//! What builds: img, BuildKit or buildah.
