//! The most that a worker lets any job have, whatever its router says.

use clap::Args;
use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::limits::{LimitOverrides, Limits};
use trackyard_protocol::quantity::{Bytes, Cpus, HumanDuration};

/// One flag for each limit that costs the machine something.
#[derive(Debug, Clone, Default, Args)]
#[command(
    next_help_heading = "Ceilings: the most that any job gets. If absent, a router on loopback decides, and any other up to \
                         the limit's default"
)]
pub struct Ceilings {
    /// Wall-clock time
    #[arg(long, env = "TRACKYARD_MAX_WALL", value_name = "TIME")]
    pub max_wall: Option<HumanDuration>,
    /// Processors, such as 2 or 500m
    #[arg(long, env = "TRACKYARD_MAX_CPUS", value_name = "CPUS")]
    pub max_cpus: Option<Cpus>,
    /// Memory, of a build too
    #[arg(long, env = "TRACKYARD_MAX_MEMORY", value_name = "SIZE")]
    pub max_memory: Option<Bytes>,
    /// Processes and threads
    #[arg(long, env = "TRACKYARD_MAX_PIDS", value_name = "COUNT")]
    pub max_pids: Option<u32>,
    /// Standard output, and standard error
    #[arg(long, env = "TRACKYARD_MAX_OUTPUT", value_name = "SIZE")]
    pub max_output: Option<Bytes>,
    /// One file
    #[arg(long, env = "TRACKYARD_MAX_FILE_SIZE", value_name = "SIZE")]
    pub max_file_size: Option<Bytes>,
    /// The directory that holds the submission
    #[arg(long, env = "TRACKYARD_MAX_JOB_FOLDER", value_name = "SIZE")]
    pub max_job_folder: Option<Bytes>,
    /// Files and directories in that directory
    #[arg(long, env = "TRACKYARD_MAX_JOB_INODES", value_name = "COUNT")]
    pub max_job_inodes: Option<u32>,
    /// /tmp
    #[arg(long, env = "TRACKYARD_MAX_TMP", value_name = "SIZE")]
    pub max_tmp: Option<Bytes>,
    /// The result
    #[arg(long, env = "TRACKYARD_MAX_RESULT", value_name = "SIZE")]
    pub max_result: Option<Bytes>,
    /// Files of a submission
    #[arg(long, env = "TRACKYARD_MAX_INPUT_FILES", value_name = "COUNT")]
    pub max_input_files: Option<u32>,
    /// Bytes of a submission
    #[arg(long, env = "TRACKYARD_MAX_INPUT_BYTES", value_name = "SIZE")]
    pub max_input_bytes: Option<Bytes>,
    /// Wall-clock time of a build
    #[arg(long, env = "TRACKYARD_MAX_BUILD_WALL", value_name = "TIME")]
    pub max_build_wall: Option<HumanDuration>,
    /// Processes and threads of a build
    #[arg(long, env = "TRACKYARD_MAX_BUILD_PIDS", value_name = "COUNT")]
    pub max_build_pids: Option<u32>,
    /// What a build's files may grow by
    #[arg(long, env = "TRACKYARD_MAX_BUILD_DISK", value_name = "SIZE")]
    pub max_build_disk: Option<Bytes>,
}

impl Ceilings {
    /// `base` with the ceilings that are set.
    #[must_use]
    pub fn over(&self, base: &Limits) -> Limits {
        let set = LimitOverrides {
            wall_max: self.max_wall,
            cpus: self.max_cpus,
            memory: self.max_memory,
            pids: self.max_pids,
            stdout: self.max_output,
            stderr: self.max_output,
            file_size: self.max_file_size,
            job_folder: self.max_job_folder,
            job_inodes: self.max_job_inodes,
            tmp: self.max_tmp,
            result: self.max_result,
            input_files: self.max_input_files,
            input_bytes: self.max_input_bytes,
            ..LimitOverrides::default()
        };
        set.over(base)
    }

    /// `base` with the ceilings of builds that are set. A build runs in a slot, so it has the memory of one.
    #[must_use]
    pub fn over_builds(&self, base: &BuildLimits) -> BuildLimits {
        BuildLimits {
            wall_max: self.max_build_wall.unwrap_or(base.wall_max),
            memory: self.max_memory.unwrap_or(base.memory),
            pids: self.max_build_pids.unwrap_or(base.pids),
            disk: self.max_build_disk.unwrap_or(base.disk),
            ..*base
        }
    }
}
