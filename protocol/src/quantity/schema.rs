//! The schemas of quantities in a CRD. They refuse what cannot be read, with the same message in the API server and in
//! `trackyard lint`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Bytes, Cpus, HumanDuration};

macro_rules! schema {
    ($type:ident, $schema:tt) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
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

schema!(HumanDuration, {
    "type": "string",
    "maxLength": 32,
    "x-kubernetes-validations": [{
        "rule": "self != '' && self.matches('^([0-9]{1,5}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$')",
        "message": "a duration is whole numbers each with one of h m s ms, largest first, such as 20s or 1m30s"
    }]
});

schema!(Bytes, {
    "x-kubernetes-int-or-string": true,
    "x-kubernetes-validations": [{
        "rule": "string(self).matches('^([0-9]{1,18}|[0-9]{1,7}(Ki|Mi|Gi|Ti|k|M|G|T))$')",
        "message": "a size is a whole number with one of Ki Mi Gi Ti k M G T or nothing, such as 512Mi"
    }]
});

schema!(Cpus, {
    "x-kubernetes-int-or-string": true,
    "x-kubernetes-validations": [{
        "rule": "string(self).matches('^0*[1-9][0-9]{0,5}m?$')",
        "message": "processors are a whole number, or thousandths such as 500m; more than none"
    }]
});
