//! What one job may use.

mod list;

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize};

use crate::for_each_limit;
use crate::json::ToJson;
use crate::quantity::HumanDuration;

/// Defines [`Limits`] and [`LimitOverrides`] from the list of limits.
macro_rules! define_limits {
    ($(
        $(#[$doc:meta])*
        $name:ident: $type:ty = $default:expr, ceiling $flag:ident $variable:literal $(, at least $min:literal)?;
    )*) => {
        /// The limits of one job, all set. Each is inclusive: a job may use exactly as much. A worker ignores limits that
        /// it does not know, which a newer router may send.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Limits {
            /// Wall-clock time of the container.
            pub wall: HumanDuration,
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { wall: HumanDuration::from_secs(20), $($name: $default,)* }
            }
        }

        impl Limits {
            /// Returns the lower of each: what a worker with ceilings of its own applies. The ceiling of `wall` is that of
            /// `wall_max`.
            #[must_use]
            pub fn at_most(&self, ceiling: &Self) -> Self {
                Self { wall: self.wall.min(ceiling.wall_max), $($name: self.$name.min(ceiling.$name),)* }
            }

            /// Refuses limits with which no job could run.
            ///
            /// # Errors
            /// Says which limit is wrong, and why.
            pub fn check(&self) -> Result<(), &'static str> {
                if self.wall > self.wall_max {
                    return Err("wall is above wall_max");
                }
                if self.wall.0.is_zero() {
                    return Err("wall must be more than 0s");
                }
                $($({
                    const MIN: u8 = $min;
                    if self.$name < <$type>::from(MIN) {
                        return Err(concat!(stringify!($name), " must be at least ", $min));
                    }
                })?)*
                Ok(())
            }
        }

        /// Some of the [`Limits`], as a configuration sets them; the others are kept.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct LimitOverrides {
            /// Wall-clock time of the container.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub wall: Option<HumanDuration>,
            $(
                $(#[$doc])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $name: Option<$type>,
            )*
        }

        impl LimitOverrides {
            /// Returns `base` with the limits that are set here.
            #[must_use]
            pub fn over(&self, base: &Limits) -> Limits {
                Limits {
                    wall: self.wall.unwrap_or(base.wall),
                    $($name: self.$name.unwrap_or(base.$name),)*
                }
            }
        }
    };
}

for_each_limit!(define_limits);

impl Limits {
    /// Returns the processor time that a job may use: `wall` × processors, or the longest [`Duration`](std::time::Duration).
    #[must_use]
    pub fn cpu_time(&self) -> std::time::Duration {
        self.wall.0.saturating_mul(self.cpus.0) / 1000
    }
}

/// Limits that many jobs share. Their JSON is written once.
#[derive(Debug, Clone, Default)]
pub struct SharedLimits(Arc<WithJson>);

#[derive(Debug, Default)]
struct WithJson {
    limits: Limits,
    json: OnceLock<Vec<u8>>,
}

impl From<Limits> for SharedLimits {
    fn from(limits: Limits) -> Self {
        Self(Arc::new(WithJson { limits, json: OnceLock::new() }))
    }
}

impl Deref for SharedLimits {
    type Target = Limits;

    fn deref(&self) -> &Limits {
        &self.0.limits
    }
}

impl PartialEq for SharedLimits {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl ToJson for SharedLimits {
    fn to_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            self.0.json.get_or_init(|| serde_json::to_vec(&self.0.limits).unwrap_or_default()),
        );
    }
}

impl<'de> Deserialize<'de> for SharedLimits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Limits::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::{Bytes, Cpus};

    #[test]
    fn overrides_change_only_named_limits() {
        let over: LimitOverrides = serde_json::from_str(r#"{"memory": "1Gi", "wall": "5s"}"#).unwrap();
        let limits = over.over(&Limits::default());
        assert_eq!(limits.memory, Bytes(1 << 30));
        assert_eq!(limits.cpu_time(), std::time::Duration::from_secs(5));
        assert_eq!(limits.pids, 512);
    }

    #[test]
    fn huge_processor_time_saturates() {
        let limits = Limits {
            wall: HumanDuration(std::time::Duration::MAX),
            cpus: Cpus(u32::MAX),
            ..Limits::default()
        };
        assert_eq!(limits.cpu_time(), std::time::Duration::MAX / 1000);
    }

    #[test]
    fn unknown_limit_is_refused() {
        let error = serde_json::from_str::<LimitOverrides>(r#"{"memroy": "1Gi"}"#).unwrap_err();
        assert!(error.to_string().contains("memroy"));
    }

    #[test]
    fn newer_limit_is_ignored() {
        let limits: SharedLimits = serde_json::from_str(r#"{"memory": "1Gi", "sockets": 7}"#).unwrap();
        assert_eq!((limits.memory, limits.pids), (Bytes(1 << 30), 512));
    }

    #[test]
    fn ceilings_only_lower() {
        let ceiling = Limits { memory: Bytes(1), pids: 9999, ..Limits::default() };
        let limits = Limits::default().at_most(&ceiling);
        assert_eq!((limits.memory, limits.pids), (Bytes(1), 512));
    }

    #[test]
    fn wall_ceiling_is_wall_max() {
        let ceiling = Limits { wall_max: HumanDuration::from_secs(30), ..Limits::default() };
        let limits = Limits { wall: HumanDuration::from_secs(40), ..Limits::default() }.at_most(&ceiling);
        assert_eq!(
            (limits.wall, limits.wall_max),
            (HumanDuration::from_secs(30), HumanDuration::from_secs(30))
        );
    }

    #[test]
    fn impossible_limits_are_named() {
        let check = |text: &str| {
            serde_json::from_str::<LimitOverrides>(text).unwrap().over(&Limits::default()).check()
        };
        assert_eq!(check("{}"), Ok(()));
        assert_eq!(check(r#"{"memory": 0}"#), Err("memory must be at least 1"));
        assert_eq!(check(r#"{"result_depth": 0}"#), Err("result_depth must be at least 1"));
        assert_eq!(check(r#"{"wall": "0s"}"#), Err("wall must be more than 0s"));
        assert_eq!(check(r#"{"wall": "2m"}"#), Err("wall is above wall_max"));
        assert_eq!(check(r#"{"stdout": 0, "stderr": 0, "tmp": 0, "input_bytes": 0}"#), Ok(()));
    }
}
