//! Secrets typed by whoever sits there.

use std::io::{BufRead, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// The terminal does not show what is typed, until this is dropped.
pub(crate) struct Unseen(Termios);

impl Unseen {
    /// Before anything is asked, so that nothing is shown however fast somebody types.
    pub(crate) fn begin() -> anyhow::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }

    pub(crate) fn ask(&self, prompt: &str) -> anyhow::Result<String> {
        let mut terminal = std::io::stderr().lock();
        terminal.write_all(prompt.as_bytes())?;
        terminal.flush()?;
        let mut line = String::new();
        std::io::stdin().lock().take(4096).read_line(&mut line)?;
        terminal.write_all(b"\n")?;
        let end = line.trim_end_matches(['\r', '\n']).len();
        line.truncate(end);
        Ok(line)
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}
