//! The security mechanism of a port.

use crate::{curve, greeting};

/// The security mechanism of a port, shared by all its connections.
pub enum Security {
    /// No security.
    Null,
    /// Both ends prove their keys, and all messages are encrypted.
    Curve(curve::ServerKeys),
}

impl Security {
    /// Returns its name in greetings.
    pub(crate) const fn mechanism(&self) -> &'static greeting::Mechanism {
        match self {
            Self::Null => &greeting::NULL,
            Self::Curve(_) => &greeting::CURVE,
        }
    }
}
