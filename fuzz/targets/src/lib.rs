//! What is fuzzed: a function of bytes for each thing that reads bytes from outside, or decides about them. It fails
//! by panicking: where the product panics, and where a property does not hold that is written beside the call.
//!
//! libFuzzer runs them by `make fuzz`, and a test runs them over the corpus in the repository.

#![expect(clippy::panic, reason = "to panic is what a target does when it finds something")]

macro_rules! targets {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $($(#[$doc])* pub mod $name;)*

        /// Every target by its name.
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
    router_words,
    unpack,
    worker_words,
    zmtp_session,
}

mod harness;
mod tree;
