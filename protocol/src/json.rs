//! Fast JSON for messages whose fields are known. A job takes seven messages, and serde's generic handling of their fields
//! took half of the router thread's time.
//!
//! serde_json stays the reference: [`write`] writes the same bytes; [`read`] and [`check`] accept nothing that serde_json
//! refuses, and leave to it whatever is not as plain as a peer of this version writes it.

mod check;
pub(crate) mod read;
pub(crate) mod write;

pub(crate) use check::is_value;
pub(crate) use read::{Field, Reader, name};
pub(crate) use write::{ToJson, fields, object, write_as_object, write_as_plain_text};
