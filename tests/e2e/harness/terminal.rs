//! A command of the product in a terminal of its own, which tmux plays: what a person sees, and which keys are typed.

use std::{fs, path::PathBuf, process::Command};

use super::{canary, wait::eventually, worker::Launch};

/// The end of the script: it stays on the screen.
const ENDED: &str = "ended with exit code ";

/// A terminal in which a command runs. Dropped, it is closed, and the test fails if a canary was ever written to it.
pub struct Terminal {
    folder: tempfile::TempDir,
}

impl Terminal {
    /// Starts the command in a terminal of so many columns and lines.
    pub fn start(launch: &Launch, (columns, lines): (u16, u16)) -> Self {
        let terminal = Self { folder: tempfile::tempdir().unwrap() };
        // The settings of the terminal before and after tell whether it is as it was.
        let script = format!(
            "read _\nstty -g >before\nsh -c 'echo $$ >pid; exec \"$0\" \"$@\"' {}\ncode=$?\nstty -g >after\n\
             echo '{ENDED}'$code\nexec cat\n",
            launch.shell_words()
        );
        fs::write(terminal.path("script"), script).unwrap();
        let (columns, lines) = (columns.to_string(), lines.to_string());
        terminal.tmux(&["new-session", "-d", "-x", &columns, "-y", &lines, "sh script"]);
        let copy = format!("cat >'{}'", terminal.path("raw").display());
        terminal.tmux(&["pipe-pane", "-O", &copy]);
        terminal.keys(&["Enter"]);
        terminal
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command of tmux on a server of this terminal's own. Returns its output.
    fn tmux(&self, words: &[&str]) -> String {
        let mut tmux = Command::new("tmux");
        tmux.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        tmux.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8");
        tmux.current_dir(self.folder.path()).arg("-S").arg(self.path("socket"));
        let out = tmux.args(["-f", "/dev/null", "-u"]).args(words).output();
        let out = out.expect("tmux is installed: see scripts/install");
        assert!(out.status.success(), "tmux {words:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    /// What a person sees now.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Types keys by their names in tmux: `Enter`, `Down`, `x`.
    pub fn keys(&self, keys: &[&str]) {
        let words: Vec<&str> = ["send-keys"].into_iter().chain(keys.iter().copied()).collect();
        self.tmux(&words);
    }

    /// Waits until the screen shows every one of these texts. Returns the screen.
    pub async fn until(&self, parts: &[&str]) -> String {
        eventually(&format!("a screen with {parts:?}"), async || {
            let screen = self.screen();
            if parts.iter().all(|part| screen.contains(part)) { Ok(screen) } else { Err(screen) }
        })
        .await
    }

    /// Sends the command a signal, named as `kill` names it.
    pub fn signal(&self, signal: &str) {
        let pid = fs::read_to_string(self.path("pid")).unwrap();
        let status = Command::new("kill").args(["-s", signal, pid.trim()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end of the command. Returns its exit code, and asserts that the terminal is as it was before.
    pub async fn ended(&self) -> i32 {
        let screen = self.until(&[ENDED]).await;
        let code = screen.lines().find_map(|line| line.strip_prefix(ENDED)?.trim().parse().ok());
        let settings = |name| fs::read_to_string(self.path(name)).unwrap();
        assert_eq!(settings("after"), settings("before"), "the terminal's settings");
        let modes = self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]);
        assert_eq!(modes.trim(), "0 1", "the alternate screen is left, and the cursor is shown");
        code.expect("the code stands there")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let raw = fs::read(self.path("raw")).unwrap_or_default();
        if std::thread::panicking() {
            let _ =
                Command::new("tmux").arg("-S").arg(self.path("socket")).arg("kill-server").status();
            return;
        }
        self.tmux(&["kill-server"]);
        assert!(!raw.is_empty(), "nothing of the terminal was kept");
        canary::assert_clean("a terminal", &raw);
    }
}
