//! No core dump by default: it would write every token and secret in memory to a disk.
//!
//! Two settings of the process do this, because neither is enough alone. A limit of zero on the size of a
//! core file works on every system. But Linux ignores it if `kernel.core_pattern` pipes the dump to a
//! program (core(5)). There, a process that is not dumpable gets no dump of any kind
//! (`PR_SET_DUMPABLE` in prctl(2)). Other processes of the same user also cannot attach a debugger or read
//! its memory. Its files in `/proc` belong to root, and the user cannot open `/proc/PID/fd`. The process itself still
//! reads `/proc/self`, from which its metrics come.
//!
//! Only the soft limit is lowered, so that `process.core_dumps` can restore it.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[derive(Debug)]
pub struct CoreDumps {
    limit_before: Rlimit,
    forbidden: io::Result<()>,
}

impl CoreDumps {
    /// Forbids core dumps. It runs before the configuration is read, which holds secrets.
    pub fn forbid() -> Self {
        let limit_before = getrlimit(Resource::Core);
        let limited = setrlimit(Resource::Core, Rlimit { current: Some(0), ..limit_before });
        let forbidden = dumpable(false).and(limited.map_err(io::Error::from));
        Self { limit_before, forbidden }
    }

    /// Restores the former settings if `wanted`. Fails if the system refused to forbid or to allow them.
    pub fn allow_if(self, wanted: bool) -> io::Result<()> {
        if !wanted {
            return self.forbidden;
        }
        setrlimit(Resource::Core, self.limit_before)?;
        dumpable(true)
    }
}

#[cfg(target_os = "linux")]
fn dumpable(wanted: bool) -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};

    let behavior = if wanted { DumpableBehavior::Dumpable } else { DumpableBehavior::NotDumpable };
    Ok(set_dumpable_behavior(behavior)?)
}

#[cfg(not(target_os = "linux"))]
fn dumpable(_: bool) -> io::Result<()> {
    Ok(())
}
