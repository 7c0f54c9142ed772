//! A node's configuration: `node.toml`, with environment variables over it.

mod python;
mod retention;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use protocol::{NodeId, Phase};
use serde::{Deserialize, Serialize};
use store::configuration::{self, Configuration, Form};
use store::{Durability, write_whole};
use transport::Address;

use crate::devices::DeviceOptions;
use crate::folder::Folder;

pub use python::PythonBounds;
pub use retention::RetentionPeriods;

pub(crate) use retention::days;

/// All that a node is told before it starts.
///
/// Every key stands in `node.toml`; the environment variable `WARDROUND_NODE_<KEY>` wins over it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The node's name: unique at its coordinator, and never changed.
    pub name: NodeId,
    /// Where the coordinator is reached.
    #[serde(with = "address_text")]
    pub coordinator: Address,
    /// How many rounds may run at once; the others queue, first come, first served.
    #[serde(default = "default_rounds_at_once")]
    pub rounds_at_once: usize,
    /// Fewer rows than this, and a dataset is not worked on.
    #[serde(default = "default_minimum_samples")]
    pub minimum_samples: u64,
    /// Fewer validated rows than this, and metrics are withheld.
    #[serde(default = "default_minimum_validation_samples")]
    pub minimum_validation_samples: u64,
    /// At most so many scalar messages leave the node in a round.
    #[serde(default = "default_scalars_per_round")]
    pub scalars_per_round: u64,
    /// The largest L2 norm of what an update changes in the model, where the owner sets one.
    #[serde(default)]
    pub maximum_update_norm: Option<f64>,
    /// The most bytes of memory that a round may need, where the owner sets a limit.
    #[serde(default)]
    pub memory_limit: Option<u64>,
    /// Whether rounds run on a graphics processor, and on which.
    #[serde(flatten)]
    pub devices: DeviceOptions,
    /// What Python plans may use, and how well they must be confined.
    #[serde(flatten)]
    pub python: PythonBounds,
    /// The program that confines Python plans: this one, where it is `wardround`.
    #[serde(skip)]
    pub program: Option<PathBuf>,
    /// At most so many bytes of plans, parameters and updates are kept.
    #[serde(default = "default_cache_bytes")]
    pub cache_bytes: u64,
    /// Days for which replies are kept to be sent again.
    #[serde(default = "default_keep_replies_days")]
    pub keep_replies_days: u64,
    /// How long other things are kept.
    #[serde(flatten)]
    pub retention: RetentionPeriods,
    /// Seconds that running rounds have to end at a shutdown; after them they are left to the next start.
    #[serde(default = "default_shutdown_seconds")]
    pub shutdown_seconds: u64,
    /// The group of the operating system whose members may command the node while it runs, by name or number.
    #[serde(default)]
    pub administrators: Option<String>,
    /// Stops for ever where this phase begins: for tests of what a crash leaves behind.
    #[serde(skip)]
    pub pause_at: Option<Phase>,
}

/// What is wrong with a node's configuration or folder.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file or a variable is not a configuration.
    #[error(transparent)]
    Configuration(#[from] configuration::Error),
    /// The folder belongs to a node already.
    #[error("folder {} belongs to a node already", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The folder or its configuration cannot be written.
    #[error("folder {} cannot be made a node's", path.display())]
    Unwritable {
        /// The folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

impl Config {
    /// Reads a folder's `node.toml`, then the variables `WARDROUND_NODE_…` among those given.
    ///
    /// # Errors
    ///
    /// Names the file and line, or the variable, the key and the rule that it breaks.
    pub fn load(
        folder: &Folder,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let form = Form { role: "node", prefix: VARIABLE_PREFIX, keys: KEYS };
        let read = Configuration::read(&folder.configuration(), form, variables)?;
        let config: Self = read.parse_into()?;
        match config.broken_rule() {
            Some((key, rule)) => Err(read.broken(key, rule).into()),
            None => Ok(config),
        }
    }

    /// The text that `init` writes: every key with its default and what it means.
    fn template(name: &NodeId, coordinator: &Address) -> String {
        let general = TEMPLATE.replace("{name}", name.as_str());
        let general = general.replace("{coordinator}", &coordinator.to_string());
        general + retention::TEMPLATE + python::TEMPLATE
    }

    /// A value that breaks a rule which its type cannot tell: its key, and the rule.
    fn broken_rule(&self) -> Option<(&'static str, &'static str)> {
        if !(1..=64).contains(&self.rounds_at_once) {
            return Some(("rounds_at_once", "must be from 1 to 64"));
        }
        let has_norm = self.maximum_update_norm.is_none_or(|norm| norm.is_finite() && norm > 0.0);
        if !has_norm {
            return Some(("maximum_update_norm", "must be above 0"));
        }
        self.python.broken_rule()
    }

    /// How long replies are kept.
    pub fn keep_replies(&self) -> Duration {
        days(self.keep_replies_days)
    }
}

/// Makes a folder a node's: its configuration and its sub-folders.
///
/// # Errors
///
/// [`Error::Exists`] for a folder that is a node's already.
pub fn init(folder: &Folder, name: &NodeId, coordinator: &Address) -> Result<(), Error> {
    let unwritable = |source| Error::Unwritable { path: folder.root().to_owned(), source };
    if folder.configuration().exists() {
        return Err(Error::Exists { path: folder.root().to_owned() });
    }
    create_private(folder).map_err(unwritable)?;
    prepare(folder)?;
    configure(folder, name, coordinator)
}

/// Puts into a folder what every node has but its configuration; what an interrupted attempt has left stays.
pub(crate) fn prepare(folder: &Folder) -> Result<(), Error> {
    let unwritable = |source| Error::Unwritable { path: folder.root().to_owned(), source };
    if !folder.audit_key().exists() {
        crate::audit::create_key(folder).map_err(|error| unwritable(io::Error::other(error)))?;
    }
    let policy = crate::policy::TEMPLATE.as_bytes();
    write_whole(&folder.policy(), policy, Durability::PowerLoss).map_err(unwritable)
}

/// Writes the configuration, with which a folder is a node's.
pub(crate) fn configure(
    folder: &Folder,
    name: &NodeId,
    coordinator: &Address,
) -> Result<(), Error> {
    let unwritable = |source| Error::Unwritable { path: folder.root().to_owned(), source };
    let text = Config::template(name, coordinator);
    write_whole(&folder.configuration(), text.as_bytes(), Durability::PowerLoss).map_err(unwritable)
}

/// Reads the address of a coordinator that serves plain loopback.
///
/// # Errors
///
/// Returns a sentence for an address of another machine, or one that asks for encryption.
pub fn plain_loopback(text: &str) -> Result<Address, String> {
    let address: Address =
        text.parse().map_err(|error: transport::address::Error| error.to_string())?;
    if address.is_encrypted() {
        return Err(format!("address \"{text}\" is not plain loopback"));
    }
    Ok(address)
}

/// Creates the folder and its sub-folders, for this user only.
pub(crate) fn create_private(folder: &Folder) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    let rounds = folder.logs().join("rounds");
    for path in [folder.artifacts(), folder.scratch(), rounds, folder.audit()] {
        builder.create(path)?;
    }
    std::fs::set_permissions(folder.root(), std::fs::Permissions::from_mode(0o700))
}

mod address_text {
    //! An address as the text it is written as.

    use serde::{Deserialize, Deserializer, Serializer};
    use transport::Address;

    pub(super) fn serialize<S: Serializer>(
        address: &Address,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(address)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Address, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

const fn default_rounds_at_once() -> usize {
    1
}

const fn default_minimum_samples() -> u64 {
    20
}

const fn default_minimum_validation_samples() -> u64 {
    10
}

const fn default_scalars_per_round() -> u64 {
    1_000
}

const fn default_cache_bytes() -> u64 {
    10 << 30
}

const fn default_keep_replies_days() -> u64 {
    30
}

const fn default_shutdown_seconds() -> u64 {
    10
}

const VARIABLE_PREFIX: &str = "WARDROUND_NODE_";

const KEYS: &[&str] = &[
    "name",
    "coordinator",
    "rounds_at_once",
    "minimum_samples",
    "minimum_validation_samples",
    "scalars_per_round",
    "maximum_update_norm",
    "memory_limit",
    "gpu",
    "gpu_num",
    "gpu_only",
    "cache_bytes",
    "keep_replies_days",
    "keep_round_logs_days",
    "keep_tracebacks_days",
    "keep_updates_days",
    "keep_cache_days",
    "shutdown_seconds",
    "administrators",
    "python",
    "minimum_sandbox_level",
    "python_threads",
    "python_seconds",
    "python_processor_seconds",
    "python_memory",
    "python_processes",
    "python_disk",
    "python_output",
    "python_result",
];

const TEMPLATE: &str = r#"# The configuration of a Wardround node.
# Every key can also be set by an environment variable: WARDROUND_NODE_ and the key in capitals.

# The node's name: unique at its coordinator. Seeds are derived from it: never change it.
name = "{name}"

# Where the coordinator is reached. The node dials it and never listens to the network.
# https:// shows the certificate that `node init --join` has brought; http:// is for trials within this machine only.
coordinator = "{coordinator}"

# How many rounds may run at once; the others queue, first come, first served.
rounds_at_once = 1

# A dataset with fewer rows than this is not worked on, and its row count is not shown.
minimum_samples = 20

# Metrics over fewer validated rows than this do not leave the node.
minimum_validation_samples = 10

# At most so many scalar messages leave the node in a round.
scalars_per_round = 1000

# Refuse updates that change the model by an L2 norm above this. Without the key there is no bound.
# maximum_update_norm = 1000.0

# Refuse rounds that need more memory than this, in bytes. Without the key there is no bound.
# memory_limit = 8589934592

# Whether rounds may use a GPU, which one, and whether all of them must.
gpu = false
# gpu_num = 0
gpu_only = false

# At most so many bytes of plans, parameters and updates are kept below artifacts/.
cache_bytes = 10737418240

# Days for which replies are kept, to be sent again when the coordinator asks.
keep_replies_days = 30

# Seconds that running rounds have to end when the node is stopped.
shutdown_seconds = 10

# A group of the operating system whose members may give the owner's commands while the node runs,
# each under their own name. Without the key only the owner of this folder may.
# administrators = "wardround"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path());
        std::fs::write(folder.configuration(), text).unwrap();
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Config::load(&folder, variables).map_err(|error| error.to_string())
    }

    fn template() -> String {
        Config::template(&"north".parse().unwrap(), &"127.0.0.1:7400".parse().unwrap())
    }

    #[test]
    fn the_written_configuration_is_the_default_one() {
        let config = parse(&template(), &[]).unwrap();
        let short = "name = \"north\"\ncoordinator = \"http://127.0.0.1:7400\"";
        assert_eq!(config, parse(short, &[]).unwrap());
        assert_eq!(config.rounds_at_once, 1);
        assert_eq!(config.minimum_samples, 20);
    }

    #[test]
    fn the_template_names_every_key() {
        for key in KEYS {
            assert!(template().contains(&format!("{key} = ")), "{key}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = parse(&format!("{}\nrounds = 2", template()), &[]).unwrap_err();
        assert!(error.contains("unknown key \"rounds\""), "{error}");
        let error = parse(&template().replace("once = 1", "once = 65"), &[]).unwrap_err();
        assert!(error.contains("line 12: key \"rounds_at_once\" must be from 1 to 64"), "{error}");
    }

    #[test]
    fn a_variable_wins_over_the_file() {
        let variables = [("WARDROUND_NODE_ROUNDS_AT_ONCE", "3"), ("WARDROUND_NODE_NAME", "south")];
        let config = parse(&template(), &variables).unwrap();
        assert_eq!(config.rounds_at_once, 3);
        assert_eq!(config.name.as_str(), "south");
        let error = parse(&template(), &[("WARDROUND_NODE_ROUNDS", "3")]).unwrap_err();
        assert!(error.contains("WARDROUND_NODE_ROUNDS"), "{error}");
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        let text = "name = \"north\"\ncoordinator = \"http://192.0.2.1:7400\"";
        assert!(parse(text, &[]).unwrap_err().contains("loopback"));
    }

    #[test]
    fn a_folder_becomes_a_nodes_once() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path().join("north"));
        let (name, address) = ("north".parse().unwrap(), "127.0.0.1:7400".parse().unwrap());
        init(&folder, &name, &address).unwrap();
        assert_eq!(Config::load(&folder, []).unwrap().name, name);
        assert!(matches!(init(&folder, &name, &address), Err(Error::Exists { .. })));
    }
}
