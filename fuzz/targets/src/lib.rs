//! The fuzz targets: a function of bytes for each part that reads bytes from outside, or decides about them. A target
//! panics if the product panics, or if a property does not hold.
//!
//! `make fuzz` runs them by libFuzzer. A test runs them over the corpus in the repository.

#![expect(clippy::panic, reason = "a target panics when it finds something")]

macro_rules! targets {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $($(#[$doc])* pub mod $name;)*

        /// All targets, by name.
        pub const TARGETS: &[(&str, fn(&[u8]))] = &[$((stringify!($name), $name::run)),*];
    };
}

targets! {
    batches,
    client_frames,
    client_request,
    deployed,
    dispatch,
    dockerfile,
    docker_config,
    git,
    image,
    image_document,
    image_names,
    input_plan,
    keys,
    layer,
    layout_index,
    manifest_verdict,
    names,
    oci_spec,
    quantities,
    registry_answer,
    results,
    router_config,
    router_messages,
    unpack,
    worker_messages,
    zmtp_session,
}

mod harness;
mod tree;
