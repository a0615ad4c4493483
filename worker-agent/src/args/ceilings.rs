//! The most that a worker lets any job have, whatever its router says.

use clap::Args;
use trackyard_protocol::limits::LimitOverrides;
use trackyard_protocol::quantity::{Bytes, Cpus, Span};

/// One flag for each limit that costs the machine something.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Ceilings")]
pub struct Ceilings {
    /// Wall-clock time
    #[arg(long, env = "TRACKYARD_MAX_WALL", value_name = "TIME")]
    pub max_wall: Option<Span>,
    /// Processors, such as 2 or 500m
    #[arg(long, env = "TRACKYARD_MAX_CPUS", value_name = "CPUS")]
    pub max_cpus: Option<Cpus>,
    /// Memory
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
    /// The folder that holds the submission
    #[arg(long, env = "TRACKYARD_MAX_JOB_FOLDER", value_name = "SIZE")]
    pub max_job_folder: Option<Bytes>,
    /// /tmp
    #[arg(long, env = "TRACKYARD_MAX_TMP", value_name = "SIZE")]
    pub max_tmp: Option<Bytes>,
    /// Files of a submission
    #[arg(long, env = "TRACKYARD_MAX_INPUT_FILES", value_name = "COUNT")]
    pub max_input_files: Option<u32>,
    /// Bytes of a submission
    #[arg(long, env = "TRACKYARD_MAX_INPUT_BYTES", value_name = "SIZE")]
    pub max_input_bytes: Option<Bytes>,
}

impl Ceilings {
    /// The ceilings as limits; what is not set stays open.
    #[must_use]
    pub fn overrides(&self) -> LimitOverrides {
        LimitOverrides {
            wall_max: self.max_wall,
            cpus: self.max_cpus,
            memory: self.max_memory,
            pids: self.max_pids,
            stdout: self.max_output,
            stderr: self.max_output,
            file_size: self.max_file_size,
            job_folder: self.max_job_folder,
            tmp: self.max_tmp,
            input_files: self.max_input_files,
            input_bytes: self.max_input_bytes,
            ..LimitOverrides::default()
        }
    }
}
