//! The one list of limits. A new limit is one entry here and what enforces it: the configuration, the messages, the CRD and
//! the worker's flags follow.

/// Passes all limits but `wall` to the macro `$define`, in the order in which they are written. `wall` is apart because it has
/// no ceiling of its own: `wall_max` bounds it.
///
/// An entry has the documentation, the name, the type, the default, the worker's flag and environment variable for a
/// ceiling, and `at least 1` if no job could run with 0.
#[macro_export]
macro_rules! for_each_limit {
    ($define:ident) => {
        $define! {
            /// Longest `wall` that a request's `execution_timeout` may ask for.
            wall_max: $crate::quantity::HumanDuration = $crate::quantity::HumanDuration::from_secs(60),
                ceiling max_wall "TRACKYARD_MAX_WALL";
            /// Processors, such as `2` or `500m`.
            cpus: $crate::quantity::Cpus = $crate::quantity::Cpus(1000),
                ceiling max_cpus "TRACKYARD_MAX_CPUS";
            /// Memory, with everything that is charged to it, such as the files in `/tmp`; there is no swap.
            memory: $crate::quantity::Bytes = $crate::quantity::Bytes(3 << 30),
                ceiling max_memory "TRACKYARD_MAX_MEMORY", at least 1;
            /// Processes and threads.
            pids: u32 = 512,
                ceiling max_pids "TRACKYARD_MAX_PIDS", at least 1;
            /// Size of the standard output.
            stdout: $crate::quantity::Bytes = $crate::quantity::Bytes(1 << 20),
                ceiling max_stdout "TRACKYARD_MAX_STDOUT";
            /// Size of the standard error.
            stderr: $crate::quantity::Bytes = $crate::quantity::Bytes(1 << 20),
                ceiling max_stderr "TRACKYARD_MAX_STDERR";
            /// Size of one file (`RLIMIT_FSIZE`).
            file_size: $crate::quantity::Bytes = $crate::quantity::Bytes(256 << 20),
                ceiling max_file_size "TRACKYARD_MAX_FILE_SIZE", at least 1;
            /// Size of the job directory, which holds the submission.
            job_folder: $crate::quantity::Bytes = $crate::quantity::Bytes(64 << 20),
                ceiling max_job_folder "TRACKYARD_MAX_JOB_FOLDER", at least 1;
            /// Files and directories in the job directory.
            job_inodes: u32 = 8192,
                ceiling max_job_inodes "TRACKYARD_MAX_JOB_INODES", at least 1;
            /// Size of `/tmp`.
            tmp: $crate::quantity::Bytes = $crate::quantity::Bytes(512 << 20),
                ceiling max_tmp "TRACKYARD_MAX_TMP";
            /// Size of the result file.
            result: $crate::quantity::Bytes = $crate::quantity::Bytes(500 << 10),
                ceiling max_result "TRACKYARD_MAX_RESULT", at least 1;
            /// Nesting depth of a result in JSON.
            result_depth: u16 = 128,
                ceiling max_result_depth "TRACKYARD_MAX_RESULT_DEPTH", at least 1;
            /// Files of the submission.
            input_files: u32 = 500,
                ceiling max_input_files "TRACKYARD_MAX_INPUT_FILES", at least 1;
            /// Bytes of the submission, all files together.
            input_bytes: $crate::quantity::Bytes = $crate::quantity::Bytes(10 << 20),
                ceiling max_input_bytes "TRACKYARD_MAX_INPUT_BYTES";
        }
    };
}
