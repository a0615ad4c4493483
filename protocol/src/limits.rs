//! What one job may use.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize};

use crate::json::ToJson;
use crate::quantity::{Bytes, Cpus, HumanDuration};

/// The limits of one job, all set. Each is inclusive: a job may use exactly as much. A worker ignores those that it does
/// not know, of a newer router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Wall-clock time of the container.
    pub wall: HumanDuration,
    /// The longest `wall` that a request's `execution_timeout` may ask for.
    pub wall_max: HumanDuration,
    /// Processors.
    pub cpus: Cpus,
    /// Memory with everything that is charged to it (tmpfs too); there is no swap.
    pub memory: Bytes,
    /// Processes and threads.
    pub pids: u32,
    /// Standard output.
    pub stdout: Bytes,
    /// Standard error.
    pub stderr: Bytes,
    /// One file (`RLIMIT_FSIZE`).
    pub file_size: Bytes,
    /// The directory that holds the submission.
    pub job_folder: Bytes,
    /// Files and directories in the job directory.
    pub job_inodes: u32,
    /// `/tmp`.
    pub tmp: Bytes,
    /// The result file.
    pub result: Bytes,
    /// Nesting of the result, where it is JSON.
    pub result_depth: u16,
    /// Files of the submission.
    pub input_files: u32,
    /// Bytes of the submission, all files together.
    pub input_bytes: Bytes,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: HumanDuration::from_secs(20),
            wall_max: HumanDuration::from_secs(60),
            cpus: Cpus(1000),
            memory: Bytes(3 << 30),
            pids: 512,
            stdout: Bytes(1 << 20),
            stderr: Bytes(1 << 20),
            file_size: Bytes(256 << 20),
            job_folder: Bytes(64 << 20),
            job_inodes: 8192,
            tmp: Bytes(512 << 20),
            result: Bytes(500 << 10),
            result_depth: 128,
            input_files: 500,
            input_bytes: Bytes(10 << 20),
        }
    }
}

impl Limits {
    /// The processor time a job may use: `wall` × processors, or as much as a [`Duration`] holds.
    #[must_use]
    pub fn cpu_time(&self) -> std::time::Duration {
        self.wall.0.saturating_mul(self.cpus.0) / 1000
    }

    /// The lower of each: what a worker with ceilings of its own applies.
    #[must_use]
    pub fn at_most(&self, ceiling: &Self) -> Self {
        Self {
            wall: self.wall.min(ceiling.wall_max),
            wall_max: self.wall_max.min(ceiling.wall_max),
            cpus: self.cpus.min(ceiling.cpus),
            memory: self.memory.min(ceiling.memory),
            pids: self.pids.min(ceiling.pids),
            stdout: self.stdout.min(ceiling.stdout),
            stderr: self.stderr.min(ceiling.stderr),
            file_size: self.file_size.min(ceiling.file_size),
            job_folder: self.job_folder.min(ceiling.job_folder),
            job_inodes: self.job_inodes.min(ceiling.job_inodes),
            tmp: self.tmp.min(ceiling.tmp),
            result: self.result.min(ceiling.result),
            result_depth: self.result_depth.min(ceiling.result_depth),
            input_files: self.input_files.min(ceiling.input_files),
            input_bytes: self.input_bytes.min(ceiling.input_bytes),
        }
    }
}

/// Limits that many jobs share, with their JSON, which is written once.
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

macro_rules! overrides {
    ($($field:ident: $type:ty),* $(,)?) => {
        /// A part of [`Limits`], as a configuration sets it; what is not set is kept.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct LimitOverrides {
            $(
                #[doc = concat!("Sets `", stringify!($field), "` of [`Limits`].")]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
        }

        impl LimitOverrides {
            /// `base` with what is set here.
            #[must_use]
            pub fn over(&self, base: &Limits) -> Limits {
                Limits { $($field: self.$field.unwrap_or(base.$field)),* }
            }
        }
    };
}

overrides! {
    wall: HumanDuration, wall_max: HumanDuration, cpus: Cpus, memory: Bytes, pids: u32, stdout: Bytes, stderr: Bytes,
    file_size: Bytes, job_folder: Bytes, job_inodes: u32, tmp: Bytes, result: Bytes, result_depth: u16,
    input_files: u32, input_bytes: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_change_only_what_they_name() {
        let over: LimitOverrides = serde_json::from_str(r#"{"memory": "1Gi", "wall": "5s"}"#).unwrap();
        let limits = over.over(&Limits::default());
        assert_eq!(limits.memory, Bytes(1 << 30));
        assert_eq!(limits.cpu_time(), std::time::Duration::from_secs(5));
        assert_eq!(limits.pids, 512);
    }

    #[test]
    fn processor_time_beyond_all_bounds_is_the_most_that_there_is() {
        let limits = Limits {
            wall: HumanDuration(std::time::Duration::MAX),
            cpus: Cpus(u32::MAX),
            ..Limits::default()
        };
        assert_eq!(limits.cpu_time(), std::time::Duration::MAX / 1000);
    }

    #[test]
    fn an_unknown_limit_is_refused_by_name() {
        let error = serde_json::from_str::<LimitOverrides>(r#"{"memroy": "1Gi"}"#).unwrap_err();
        assert!(error.to_string().contains("memroy"));
    }

    #[test]
    fn a_limit_of_a_newer_router_is_ignored() {
        let limits: SharedLimits = serde_json::from_str(r#"{"memory": "1Gi", "sockets": 7}"#).unwrap();
        assert_eq!((limits.memory, limits.pids), (Bytes(1 << 30), 512));
    }

    #[test]
    fn ceilings_lower_and_never_raise() {
        let ceiling = Limits { memory: Bytes(1), pids: 9999, ..Limits::default() };
        let limits = Limits::default().at_most(&ceiling);
        assert_eq!((limits.memory, limits.pids), (Bytes(1), 512));
    }
}
