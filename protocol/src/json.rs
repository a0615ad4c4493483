//! JSON whose fields are known, quickly. A job's way has seven messages, and serde asks each field anew what it is: that
//! was half of all that the router's thread did.
//!
//! What JSON is, serde_json says: [`write`] gives the bytes that it gives, [`read`] and [`check`] take nothing that it
//! would not take, and leave to it whatever is not written as plainly as a peer of this version writes it.

mod check;
pub(crate) mod read;
pub(crate) mod write;

pub(crate) use check::is_value;
pub(crate) use read::{Field, Reader, name};
pub(crate) use write::{ToJson, fields, object, write_as_object, write_as_plain_text};
