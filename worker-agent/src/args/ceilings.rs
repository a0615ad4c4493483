//! The ceilings that a worker sets for all jobs, whatever its router sends.

use clap::Args;
use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::for_each_limit;
use trackyard_protocol::limits::{LimitOverrides, Limits};
use trackyard_protocol::quantity::{Bytes, Cpus, HumanDuration};

/// The name of a flag's value in help texts.
trait ValueName {
    const NAME: &str;
}

impl ValueName for Bytes {
    const NAME: &str = "SIZE";
}

impl ValueName for Cpus {
    const NAME: &str = "CPUS";
}

impl ValueName for HumanDuration {
    const NAME: &str = "TIME";
}

impl ValueName for u32 {
    const NAME: &str = "COUNT";
}

impl ValueName for u16 {
    const NAME: &str = "COUNT";
}

/// Defines [`Ceilings`], with one flag for each limit of the list.
macro_rules! define_ceilings {
    ($(
        $(#[$doc:meta])*
        $name:ident: $type:ty = $default:expr, ceiling $flag:ident $variable:literal $(, at least $min:literal)?;
    )*) => {
        /// Ceilings for the limits of jobs and builds.
        #[derive(Debug, Clone, Default, Args)]
        #[command(
            next_help_heading = "Ceilings: the maximum that any job gets. Without a flag, a router on loopback decides, and any \
                                 other router up to the limit's default"
        )]
        pub struct Ceilings {
            $(
                $(#[$doc])*
                #[arg(long, env = $variable, value_name = <$type as ValueName>::NAME)]
                pub $flag: Option<$type>,
            )*
            /// Wall-clock time of a build
            #[arg(long, env = "TRACKYARD_MAX_BUILD_WALL", value_name = "TIME")]
            pub max_build_wall: Option<HumanDuration>,
            /// Processes and threads of a build
            #[arg(long, env = "TRACKYARD_MAX_BUILD_PIDS", value_name = "COUNT")]
            pub max_build_pids: Option<u32>,
            /// Bytes by which a build's files may grow
            #[arg(long, env = "TRACKYARD_MAX_BUILD_DISK", value_name = "SIZE")]
            pub max_build_disk: Option<Bytes>,
        }

        impl Ceilings {
            /// Returns `base` with the ceilings that are set.
            #[must_use]
            pub fn over(&self, base: &Limits) -> Limits {
                LimitOverrides { wall: None, $($name: self.$flag,)* }.over(base)
            }
        }
    };
}

for_each_limit!(define_ceilings);

impl Ceilings {
    /// Returns `base` with the ceilings of builds that are set. A build runs in a slot, so the ceiling of its memory is that
    /// of a job.
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
