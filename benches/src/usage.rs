//! The resources that a process has used, as Linux counts them in `/proc`.

use std::{fs, time::Duration};

use super::Fallible;

/// Ticks per second of the times in `/proc/<pid>/stat`: `USER_HZ`, which is 100 on Linux, independent of the kernel's
/// own clock (proc(5)).
const TICKS_PER_SECOND: u32 = 100;

/// The positions of the times in `/proc/<pid>/stat`, counted after the command's name (proc(5), 14 and 15).
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;

/// The resources that a process has used since its start.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// CPU time of all its threads, in user and kernel mode.
    pub cpu: Duration,
    /// The most memory that it ever had resident, in KiB.
    pub peak_rss: u64,
}

/// A process that is measured.
pub trait Measured {
    /// The resources that it has used so far.
    ///
    /// # Errors
    ///
    /// It has ended.
    fn usage(&mut self) -> Fallible<Usage>;
}

impl Usage {
    /// The usage of a running process.
    ///
    /// # Errors
    ///
    /// There is no such process, or the system is not Linux.
    pub fn of(pid: u32) -> Fallible<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name may contain spaces and parentheses.
        let (_, fields) = stat.rsplit_once(") ").ok_or("/proc/<pid>/stat has no name")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks = |index: usize| -> Fallible<u32> {
            Ok(fields.get(index).ok_or("/proc/<pid>/stat is too short")?.parse()?)
        };
        let cpu = Duration::from_secs((ticks(USER_TIME)? + ticks(SYSTEM_TIME)?).into())
            / TICKS_PER_SECOND;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        Ok(Self { cpu, peak_rss: peak.ok_or("/proc/<pid>/status tells no VmHWM")?.parse()? })
    }
}
