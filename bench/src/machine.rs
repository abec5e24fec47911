//! What the numbers were measured on.

use std::fs;
use std::process::Command;

use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub kernel: String,
    /// What each program says of itself.
    pub programs: Vec<String>,
}

impl Machine {
    pub fn read() -> Self {
        let line = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let info = line("/proc/cpuinfo");
        let model = info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
        let programs = [("/usr/sbin/nginx", "-v"), ("/usr/sbin/haproxy", "-v")];
        Self {
            processor: model.map_or_else(String::new, |(_, name)| name.to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: line("/proc/sys/kernel/osrelease").trim().to_owned(),
            programs: programs.iter().filter_map(|(program, flag)| says(program, flag)).collect(),
        }
    }
}

fn says(program: &str, flag: &str) -> Option<String> {
    let output = Command::new(program).arg(flag).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().map(str::to_owned)
}
