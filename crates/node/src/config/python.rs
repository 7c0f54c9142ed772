//! What the owner says of Python plans.

use sandbox::Level;
use serde::{Deserialize, Serialize};

/// The bounds of Python plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PythonBounds {
    /// The interpreter that rounds use, by name; without it the only one, or the one called `default`.
    #[serde(default)]
    pub python: Option<String>,
    /// A plan that cannot be confined so well is not run.
    #[serde(default = "default_level")]
    pub minimum_sandbox_level: Level,
    /// The threads that one plan may compute with; without it, its share of the machine's.
    #[serde(default)]
    pub python_threads: Option<u32>,
    /// Seconds on the clock of one plan in one round.
    #[serde(default = "default_seconds")]
    pub python_seconds: u64,
    /// Seconds of processor time of one plan, over all threads; without it, what its threads can use in its time.
    #[serde(default)]
    pub python_processor_seconds: Option<u64>,
    /// Bytes of memory of one plan.
    #[serde(default = "default_memory")]
    pub python_memory: u64,
    /// Threads that one plan may have.
    #[serde(default = "default_processes")]
    pub python_processes: u32,
    /// Bytes of one plan's scratch folder.
    #[serde(default = "default_disk")]
    pub python_disk: u64,
    /// Bytes that one plan may print.
    #[serde(default = "default_output")]
    pub python_output: u64,
    /// Bytes of one plan's result.
    #[serde(default = "default_result")]
    pub python_result: u64,
}

impl Default for PythonBounds {
    fn default() -> Self {
        Self {
            python: None,
            minimum_sandbox_level: default_level(),
            python_threads: None,
            python_seconds: default_seconds(),
            python_processor_seconds: None,
            python_memory: default_memory(),
            python_processes: default_processes(),
            python_disk: default_disk(),
            python_output: default_output(),
            python_result: default_result(),
        }
    }
}

impl PythonBounds {
    /// A value that breaks a rule which its type cannot tell: its key, and the rule.
    pub(super) fn broken_rule(&self) -> Option<(&'static str, &'static str)> {
        if self.minimum_sandbox_level == Level::D {
            return Some(("minimum_sandbox_level", "must be \"A\", \"B\" or \"C\""));
        }
        if self.python_threads == Some(0) {
            return Some(("python_threads", "must be at least 1"));
        }
        (self.python_seconds == 0).then_some(("python_seconds", "must be at least 1"))
    }
}

const fn default_level() -> Level {
    Level::B
}

const fn default_seconds() -> u64 {
    24 * 60 * 60
}

const fn default_memory() -> u64 {
    8 << 30
}

const fn default_processes() -> u32 {
    128
}

const fn default_disk() -> u64 {
    1 << 30
}

const fn default_output() -> u64 {
    16 << 20
}

const fn default_result() -> u64 {
    2 << 30
}

/// What `init` writes of them.
pub(super) const TEMPLATE: &str = r#"
# The Python interpreter of Python plans, by the name that `wardround node python add` gave it.
# Without the key it is the only one, or the one called "default".
# python = "default"

# Python plans run confined at this level or better, or not at all: "A" or "B"; "C" is for machines without Landlock.
minimum_sandbox_level = "B"

# What one Python plan may use in one round; beyond it, the round ends with a code that says so.
# Threads; without the key, the machine's share of one round.
# python_threads = 2
# Seconds on the clock, and of processor time over all threads (without the key: what the threads can use).
python_seconds = 86400
# python_processor_seconds = 86400
# Bytes of memory, threads, bytes of its scratch folder, of what it prints, and of its result.
python_memory = 8589934592
python_processes = 128
python_disk = 1073741824
python_output = 16777216
python_result = 2147483648
"#;
