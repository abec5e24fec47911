//! Processes of the bench: started on a core, ended with the value that holds them, measured through `/proc`.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};

/// The core of the proxies, and the core of clients and origin.
pub const PROXY_CORE: u32 = 0;
pub const LOAD_CORE: u32 = 1;

const PATIENCE: Duration = Duration::from_secs(20);

/// A child that is asked to end, and then made to, when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Running {
    /// Starts `command` on `core`; its output goes to `<folder>/<name>.log`.
    ///
    /// # Errors
    /// `taskset` or the program is missing.
    pub fn start(core: u32, name: &str, folder: &Path, command: &[&OsStr]) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = fs::File::create(&log)?;
        let mut pinned = pinned(core, command);
        pinned.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = pinned.spawn().with_context(|| format!("starting {name}"))?;
        Ok(Self { child, name: name.to_owned(), log })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until somebody accepts on `address`.
    ///
    /// # Errors
    /// The process ended, or nothing listened in time.
    pub fn wait_for(&mut self, address: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                // The folder goes with the bench, so what the process said is told here.
                bail!("{} ended with {status}: {}", self.name, fs::read_to_string(&self.log)?);
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("{} does not listen on {address}", self.name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A load generator: it says when it is ready, waits to be told, and answers with a line.
#[derive(Debug)]
pub struct Dialogue {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Dialogue {
    /// # Errors
    /// It can't be started, or ended before it was ready.
    pub fn start(core: u32, command: &[&OsStr]) -> Result<Self> {
        let mut child = pinned(core, command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let mut dialogue = Self { child, input, output };
        let line = dialogue.line()?;
        if line != "ready" {
            bail!("the load generator said `{line}`");
        }
        Ok(dialogue)
    }

    /// Lets it work and gives its answer.
    ///
    /// # Errors
    /// It ended without one.
    pub fn go(&mut self) -> Result<String> {
        let input = self.input.as_mut().context("no input")?;
        input.write_all(b"go\n")?;
        input.flush()?;
        self.line()
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("the load generator ended: {}", self.child.wait()?);
        }
        Ok(line.trim().to_owned())
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        self.input = None;
        end(&mut self.child);
    }
}

fn pinned(core: u32, command: &[&OsStr]) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", &core.to_string()]).args(command);
    pinned
}

/// Keeps this thread on `core`, and those that it starts from now on.
///
/// # Errors
/// `taskset` or the core is missing.
pub fn pin(core: u32) -> Result<()> {
    let thread = fs::read_link("/proc/thread-self")?;
    let thread = thread.file_name().context("/proc/thread-self")?;
    let output = Command::new("taskset").args(["-p", "-c", &core.to_string()]).arg(thread).output()?;
    if !output.status.success() {
        bail!("taskset: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn end(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// A binary of this package, beside the running one.
///
/// # Errors
/// It isn't there.
pub fn sibling(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if !path.exists() {
        bail!("{} is not built; build the whole package", path.display());
    }
    Ok(path)
}

/// An address on loopback that nobody listens on now. Pingora, nginx and HAProxy can't report a port of their own.
///
/// # Errors
/// No port is free.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// Thousands of connections need as many descriptors, here and in all children.
///
/// # Errors
/// The hard limit is lower and can't be raised.
pub fn allow_files(count: u64) -> Result<()> {
    let now = rustix::process::getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= count) {
        return Ok(());
    }
    let maximum = now.maximum.map(|maximum| maximum.max(count));
    setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum })
        .with_context(|| format!("{count} open files are not allowed; raise the limit (ulimit -n)"))
}

/// CPU time of the processes and all their descendants, in nanoseconds, from the scheduler's own count.
///
/// # Errors
/// `/proc` can't be read.
pub fn cpu_ns(pids: &[u32]) -> Result<u64> {
    let mut sum = 0;
    for pid in tree(pids)? {
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end between listing and reading.
            let Ok(stat) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            sum += stat.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).context("schedstat")?;
        }
    }
    Ok(sum)
}

/// CPU time of the threads of this name, in nanoseconds; all threads without a name.
///
/// # Errors
/// `/proc` can't be read.
pub fn thread_ns(pids: &[u32], name: &str) -> Result<u64> {
    let mut sum = 0;
    for pid in tree(pids)? {
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let task = task?.path();
            let Ok(comm) = fs::read_to_string(task.join("comm")) else { continue };
            let Ok(stat) = fs::read_to_string(task.join("schedstat")) else { continue };
            if name.is_empty() || comm.trim_end() == name {
                sum += stat.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).context("schedstat")?;
            }
        }
    }
    Ok(sum)
}

/// Resident memory of the processes and all their descendants, in bytes.
///
/// # Errors
/// `/proc` can't be read.
pub fn resident_bytes(pids: &[u32]) -> Result<u64> {
    let mut sum = 0;
    for pid in tree(pids)? {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        sum += line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024;
    }
    Ok(sum)
}

/// The processes and all that descend from them.
fn tree(pids: &[u32]) -> Result<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        // The name stands in parentheses and may hold anything.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        children.entry(parent.unwrap_or_default()).or_default().push(pid);
    }
    let mut found = pids.to_vec();
    let mut at = 0;
    while let Some(pid) = found.get(at) {
        found.extend(children.get(pid).into_iter().flatten().copied().collect::<Vec<_>>());
        at += 1;
    }
    Ok(found)
}
