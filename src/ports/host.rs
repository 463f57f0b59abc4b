//! The name of this machine.

/// The most characters of a name that is shown.
const MOST: usize = 64;

/// The machine's name, or that of the container or pod. Characters that do not belong into a name are left out.
#[must_use]
pub fn host_name() -> String {
    let system = rustix::system::uname();
    shown(&system.nodename().to_string_lossy())
}

fn shown(name: &str) -> String {
    let of_a_name = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = name.chars().filter(of_a_name).take(MOST).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_short_and_on_one_line() {
        assert_eq!(shown("worker-1.example"), "worker-1.example");
        assert_eq!(shown("a\n\u{1b}[31m b"), "a31mb");
        assert_eq!(shown(&"x".repeat(300)), "x".repeat(MOST));
        assert_eq!(shown(" "), "unknown");
        assert_eq!(shown(&host_name()), host_name());
    }
}
