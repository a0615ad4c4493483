//! Sizes, processors and durations as fields: the type that the rest of Trackyard uses, with a schema that refuses what
//! it cannot read, in the same words on the API server as in `trackyard lint`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use trackyard_protocol::quantity::{Bytes, Cpus, HumanDuration};

/// Makes a field type of one of the protocol's.
macro_rules! scalar {
    ($(#[$doc:meta])* $name:ident($inner:ty), $schema:tt) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

scalar!(
    /// A length of time, such as `20s` or `1m30s`.
    Duration(HumanDuration), {
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [{
            "rule": "self != '' && self.matches('^([0-9]{1,5}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$')",
            "message": "a duration is whole numbers each with one of h m s ms, largest first, such as 20s or 1m30s"
        }]
    }
);

scalar!(
    /// A number of bytes, such as `512Mi`.
    Size(Bytes), {
        "x-kubernetes-int-or-string": true,
        "x-kubernetes-validations": [{
            "rule": "string(self).matches('^([0-9]{1,18}|[0-9]{1,7}(Ki|Mi|Gi|Ti|k|M|G|T))$')",
            "message": "a size is a whole number with one of Ki Mi Gi Ti k M G T or nothing, such as 512Mi"
        }]
    }
);

scalar!(
    /// A number of processors, such as `2` or `500m`.
    Processors(Cpus), {
        "x-kubernetes-int-or-string": true,
        "x-kubernetes-validations": [{
            "rule": "string(self).matches('^0*[1-9][0-9]{0,5}m?$')",
            "message": "processors are a whole number, or thousandths such as 500m; more than none"
        }]
    }
);

impl Duration {
    /// So many seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(HumanDuration::from_secs(seconds))
    }
}
