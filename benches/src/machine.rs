//! Describes the machine and the versions of a measurement: figures without these are worthless.

use std::{env, fs, process::Command, time::SystemTime};

use super::{options::Options, table::Table};

/// The text for unknown values.
const UNKNOWN: &str = "unknown";

/// Bytes in a GiB, in KiB as `/proc/meminfo` counts.
const KIB_PER_GIB: u64 = 1024 * 1024;

/// Date, machine and versions, as a table.
pub fn describe(options: &Options) -> String {
    let mut table = Table::new(["", "measured with"]);
    for (what, told) in [
        ("date", humantime::format_rfc3339_seconds(SystemTime::now()).to_string()),
        ("machine", machine()),
        ("load average before", word(&read("/proc/loadavg"), 0)),
        ("revoker", format!("{} ({})", env!("CARGO_PKG_VERSION"), revision())),
        ("Rust", output("rustc", &["--version"])),
        ("RabbitMQ", broker()),
        ("size", format!("{} of the full one, {} times", options.scale, options.repetitions)),
    ] {
        table.row([what.to_owned(), told]);
    }
    table.to_string()
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let gib = word(&memory, 0).parse::<u64>().map_or(0, |kib| kib.div_ceil(KIB_PER_GIB));
    let model = field(&read("/proc/cpuinfo"), "model name");
    let kernel = word(&read("/proc/sys/kernel/osrelease"), 0);
    format!("{model}, {cores} cores, {gib} GiB, Linux {kernel}")
}

fn revision() -> String {
    let commit = output("git", &["rev-parse", "--short", "HEAD"]);
    let changed = !output("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    if changed { format!("{commit} with changes") } else { commit }
}

/// The private node's version. The version of a given broker is unknown.
fn broker() -> String {
    match env::var("REVOKER_TEST_BROKER_DIR") {
        Ok(dir) => output("scripts/broker", &["version", &dir]),
        Err(_) => "a broker that was given".to_owned(),
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> String {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    let value = pairs.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim()).next();
    value.unwrap_or(UNKNOWN).to_owned()
}

fn word(text: &str, index: usize) -> String {
    text.split_whitespace().nth(index).unwrap_or(UNKNOWN).to_owned()
}

/// The output of a command; [`UNKNOWN`] if it fails.
fn output(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).output().ok();
    let output = output.filter(|output| output.status.success());
    output.map_or_else(
        || UNKNOWN.to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
