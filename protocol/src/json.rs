//! JSON whose fields are known, quickly. A job's way has seven messages, and serde asks each field anew what it is: that
//! was half of all that the router's thread did.
//!
//! Nothing here says what JSON is: [`write`] gives the bytes that serde_json gives, and [`read`] leaves to serde_json
//! whatever is not written as plainly as a peer of this version writes it.

pub(crate) mod read;
pub(crate) mod write;

pub(crate) use read::{Field, Reader};
pub(crate) use write::{Object, ToJson, write_as_plain_text};
