//! What a port asks of its peers.

use crate::{curve, greeting};

/// What a port asks of its peers; shared by all its connections.
pub enum Security {
    /// None.
    Null,
    /// Both ends prove their keys, and everything is encrypted.
    Curve(curve::Server),
}

impl Security {
    /// Its name in greetings.
    pub(crate) const fn mechanism(&self) -> &'static greeting::Mechanism {
        match self {
            Self::Null => &greeting::NULL,
            Self::Curve(_) => &greeting::CURVE,
        }
    }
}
