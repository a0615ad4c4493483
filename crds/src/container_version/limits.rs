//! The limits of a version's jobs.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use trackyard_protocol::for_each_limit;
use trackyard_protocol::limits::LimitOverrides;
use trackyard_protocol::quantity::HumanDuration;

/// Compares only two durations; another rule refuses values that are not durations.
const WALLS: &str = "!has(self.wall) || !has(self.wallMax) || !self.wall.matches('^[0-9]+[hms]') || \
    !self.wallMax.matches('^[0-9]+[hms]') || duration(self.wall) <= duration(self.wallMax)";

/// Defines [`Limits`] from the list of limits.
macro_rules! define_limits {
    ($(
        $(#[$doc:meta])*
        $name:ident: $type:ty = $default:expr, ceiling $flag:ident $variable:literal $(, at least $min:literal)?;
    )*) => {
        /// What a job may use. What is not set is as the router's configuration says.
        #[derive(Debug, Clone, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        #[x_kube(validation = Rule::new(WALLS).message("limits.wall is at most limits.wallMax"))]
        pub struct Limits {
            /// Wall-clock time of the container.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub wall: Option<HumanDuration>,
            $(
                $(#[$doc])*
                #[serde(skip_serializing_if = "Option::is_none")]
                $(#[schemars(range(min = $min))])?
                pub $name: Option<$type>,
            )*
        }

        impl From<&Limits> for LimitOverrides {
            fn from(limits: &Limits) -> Self {
                Self { wall: limits.wall, $($name: limits.$name,)* }
            }
        }
    };
}

for_each_limit!(define_limits);
