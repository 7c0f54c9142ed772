//! A coordinator's configuration: `coordinator.toml`, with environment variables over it.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use identity::Authority;
use round::experiment::StateName;
use serde::Deserialize;
use store::configuration::{self, Configuration, Form};
use store::{Clock, Durability, SystemClock, write_whole};
use transport::Address;

use crate::membership::LONGEST_LIFE;

/// All that a coordinator is told before it starts.
///
/// Every key stands in `coordinator.toml`; the environment variable `WARDROUND_COORDINATOR_<KEY>` wins over it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The folder of configuration, database and artifacts.
    #[serde(skip)]
    pub folder: PathBuf,
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address that members dial, where it is another than the one listened on; empty where it is not.
    pub address: String,
    /// Further names and addresses that the coordinator's certificate is for.
    pub names: Vec<String>,
    /// Seconds that a member's certificate is good; it is renewed when two thirds have passed.
    pub certificate_seconds: u64,
    /// Serves plain loopback, where callers say who they are and are believed: for tests and benchmarks.
    #[serde(skip)]
    pub insecure_loopback: bool,
    /// Most connections at once.
    pub connections: usize,
    /// Most connections at once from one address.
    pub connections_per_address: usize,
    /// Most experiments that are under way or paused at once.
    pub open_experiments: usize,
    /// Most bytes of a plan or of initial parameters.
    pub largest_artifact_bytes: u64,
    /// Most uploads that one caller has begun and not ended.
    pub uploads_per_caller: usize,
    /// Most bytes that one caller has brought, or begun to bring, and that nothing names yet.
    pub waiting_bytes_per_caller: u64,
    /// Bytes of the disk that artifacts leave free for the journal.
    pub reserve_bytes: u64,
    /// Seconds to wait for enough nodes, where an experiment does not say.
    pub selection_deadline_seconds: u64,
    /// Milliseconds before a round is first tried again; each further wait is twice as long.
    pub retry_delay_milliseconds: u64,
    /// Seconds of silence after which an upload or a greeting is given up.
    pub silence_seconds: u64,
    /// Seconds that open calls have to end at a shutdown.
    pub shutdown_seconds: u64,
    /// Stops for ever when an experiment has entered this state and nothing of it was performed: for tests of what a
    /// crash leaves behind.
    #[serde(skip)]
    pub pause_at: Option<StateName>,
}

/// What is wrong with a coordinator's configuration or folder.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file or a variable is not a configuration.
    #[error(transparent)]
    Configuration(#[from] configuration::Error),
    /// The folder belongs to a coordinator already.
    #[error("folder {} belongs to a coordinator already", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The address that members shall dial is none.
    #[error(transparent)]
    Address(#[from] transport::address::Error),
    /// The authority cannot be made.
    #[error(transparent)]
    Authority(#[from] identity::authority::Error),
    /// The folder or its configuration cannot be written.
    #[error("folder {} cannot be made a coordinator's", path.display())]
    Unwritable {
        /// The folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

/// Makes a folder a coordinator's, with an authority of its own and a commented configuration of nothing but defaults,
/// but for the address that members dial.
///
/// # Errors
///
/// Returns [`Error::Exists`] for a folder that is one already, [`Error::Unwritable`] for one that cannot be written.
pub fn init(folder: &Path, address: Option<&str>) -> Result<(), Error> {
    let address = address.map(str::parse::<Address>).transpose()?.map(Address::encrypted);
    let path = folder.join(FILE);
    if path.exists() {
        return Err(Error::Exists { path: folder.to_owned() });
    }
    let unwritable = |source| Error::Unwritable { path: folder.to_owned(), source };
    create_private(folder).map_err(unwritable)?;
    let authority = Config::new(folder).authority();
    if !Authority::exists(&authority) {
        Authority::create(&authority, SystemClock.now())?;
    }
    let stated = address.map(|address| format!("\naddress = \"{address}\"\n"));
    let text = stated
        .map_or_else(|| TEMPLATE.to_owned(), |text| TEMPLATE.replace("\naddress = \"\"\n", &text));
    write_whole(&path, text.as_bytes(), Durability::PowerLoss).map_err(unwritable)
}

/// Creates the folder, for this user only.
fn create_private(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

impl Config {
    /// The defaults, for a folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), ..Self::default() }
    }

    /// Reads a folder's `coordinator.toml`, then the variables `WARDROUND_COORDINATOR_…` among those given.
    ///
    /// # Errors
    ///
    /// Names the file and line, or the variable, the key and the rule that it breaks.
    pub fn load(
        folder: &Path,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let form = Form { role: "coordinator", prefix: VARIABLES, keys: TEMPLATE_KEYS };
        let read = Configuration::read(&folder.join(FILE), form, variables)?;
        let config = Self { folder: folder.to_owned(), ..read.parse_into()? };
        if let Some(key) = config.broken_rule() {
            return Err(read.broken(key, "must be at least 1").into());
        }
        if !config.address.is_empty() && config.address.parse::<Address>().is_err() {
            return Err(read.broken("address", "must be of the form https://host:port").into());
        }
        if !(SHORTEST_LIFE..=LONGEST_LIFE.as_secs()).contains(&config.certificate_seconds) {
            let rule = "must be from 10 to 5184000 seconds, which are 60 days";
            return Err(read.broken("certificate_seconds", rule).into());
        }
        if config.names.iter().any(|name| !is_certifiable(name)) {
            return Err(read.broken("names", "must be host names and IP addresses").into());
        }
        Ok(config)
    }

    /// Where the database is.
    pub fn database(&self) -> PathBuf {
        self.folder.join("coordinator.sqlite")
    }

    /// Where the artifacts are.
    pub fn artifacts(&self) -> PathBuf {
        self.folder.join("artifacts")
    }

    /// Where the authority is.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("authority")
    }

    /// The address that members dial, given the one that is listened on.
    pub(crate) fn public_address(&self, listening: SocketAddr) -> Address {
        // An address that is none is refused when the configuration is read.
        self.address.parse().map_or_else(|_| Address::from(listening), Address::encrypted)
    }

    /// The names that the coordinator's certificate is for.
    pub(crate) fn certified_names(&self) -> Vec<String> {
        let public = self.public_address(self.listen);
        let own = [public.host(), "localhost", "127.0.0.1", "::1"];
        let mut names: Vec<String> = own.into_iter().map(str::to_owned).collect();
        if !self.listen.ip().is_unspecified() {
            names.push(self.listen.ip().to_string());
        }
        names.extend(self.names.iter().cloned());
        names.sort();
        names.dedup();
        names
    }

    /// Where a running coordinator says on which address it listens.
    pub fn address_file(&self) -> PathBuf {
        self.folder.join("address")
    }

    /// How long to wait for enough nodes, where an experiment does not say.
    pub fn selection_deadline(&self) -> Duration {
        Duration::from_secs(self.selection_deadline_seconds)
    }

    /// How long to wait before a round is first tried again.
    pub fn retry_delay(&self) -> Duration {
        Duration::from_millis(self.retry_delay_milliseconds)
    }

    /// How much silence is too much.
    pub fn silence(&self) -> Duration {
        Duration::from_secs(self.silence_seconds)
    }

    /// The key whose value must not be 0 and is.
    fn broken_rule(&self) -> Option<&'static str> {
        let rules = [
            ("connections", self.connections > 0),
            ("connections_per_address", self.connections_per_address > 0),
            ("open_experiments", self.open_experiments > 0),
            ("largest_artifact_bytes", self.largest_artifact_bytes > 0),
            ("uploads_per_caller", self.uploads_per_caller > 0),
            ("waiting_bytes_per_caller", self.waiting_bytes_per_caller > 0),
            ("silence_seconds", self.silence_seconds > 0),
        ];
        rules.into_iter().find(|(_, holds)| !holds).map(|(key, _)| key)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            folder: PathBuf::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 7400)),
            address: String::new(),
            names: Vec::new(),
            certificate_seconds: LONGEST_LIFE.as_secs(),
            insecure_loopback: false,
            connections: 1024,
            connections_per_address: 256,
            open_experiments: 64,
            largest_artifact_bytes: 16 << 30,
            uploads_per_caller: 64,
            waiting_bytes_per_caller: 64 << 30,
            reserve_bytes: 64 << 20,
            selection_deadline_seconds: 600,
            retry_delay_milliseconds: 1000,
            silence_seconds: 30,
            shutdown_seconds: 5,
            pause_at: None,
        }
    }
}

fn is_certifiable(name: &str) -> bool {
    format!("https://{name}:1").parse::<Address>().is_ok()
        || name.parse::<std::net::IpAddr>().is_ok()
}

/// The configuration's file in its folder.
const FILE: &str = "coordinator.toml";

/// Seconds below which a certificate could not be renewed in time.
const SHORTEST_LIFE: u64 = 10;

const VARIABLES: &str = "WARDROUND_COORDINATOR_";

const TEMPLATE_KEYS: &[&str] = &[
    "listen",
    "address",
    "names",
    "certificate_seconds",
    "connections",
    "connections_per_address",
    "open_experiments",
    "largest_artifact_bytes",
    "uploads_per_caller",
    "waiting_bytes_per_caller",
    "reserve_bytes",
    "selection_deadline_seconds",
    "retry_delay_milliseconds",
    "silence_seconds",
    "shutdown_seconds",
];

const TEMPLATE: &str = r#"# The configuration of a Wardround coordinator. Every key may be left out: what is written here is its default.
# The environment variable WARDROUND_COORDINATOR_<KEY> wins over the file.

# The address to listen on; port 0 takes a free one.
listen = "127.0.0.1:7400"
# The address that nodes and researchers dial, as it stands in join tokens: "https://ward.example:7400". Where it is
# empty, it is the address listened on.
address = ""
# Further host names and addresses that the coordinator's certificate is for; this machine's and those above always are.
names = []
# Seconds that a member's certificate is good: 60 days, and no more. Members renew theirs when two thirds have passed.
certificate_seconds = 5184000
# Most connections at once, and from one address.
connections = 1024
connections_per_address = 256
# Most experiments that are under way or paused at once.
open_experiments = 64
# Most bytes of a plan or of initial parameters.
largest_artifact_bytes = 17179869184
# Most uploads that one caller has begun and not ended, and most bytes that it has brought or begun to bring and that
# no experiment and no reply names yet. Both are forgotten after a day.
uploads_per_caller = 64
waiting_bytes_per_caller = 68719476736
# Bytes of the disk that artifacts leave free, so that the journal can always be written.
reserve_bytes = 67108864
# Seconds to wait for enough nodes, where an experiment does not say.
selection_deadline_seconds = 600
# Milliseconds before a round with too few successes is first tried again; each further wait is twice as long.
retry_delay_milliseconds = 1000
# Seconds of silence after which an upload or a greeting is given up.
silence_seconds = 30
# Seconds that open calls have to end at a shutdown.
shutdown_seconds = 5
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, Error> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), text).unwrap();
        let owned = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Config::load(folder.path(), owned.collect::<Vec<_>>())
    }

    #[test]
    fn the_template_states_every_key_with_its_default() {
        let config = load(TEMPLATE, &[]).unwrap();
        assert_eq!(Config { folder: PathBuf::new(), ..config }, Config::default());
        let table: toml::Table = toml::from_str(TEMPLATE).unwrap();
        assert_eq!(table.keys().collect::<Vec<_>>().len(), TEMPLATE_KEYS.len());
        assert!(TEMPLATE_KEYS.iter().all(|key| table.contains_key(*key)));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = load("listen = \"127.0.0.1:0\"\nlissten = 3\n", &[]).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("lissten"), "{error}");
    }

    #[test]
    fn a_variable_wins_over_the_file_and_an_unknown_one_is_refused() {
        let listen = ("WARDROUND_COORDINATOR_LISTEN", "127.0.0.1:9");
        let config = load("connections = 2\n", &[listen, ("HOME", "/root")]).unwrap();
        assert_eq!((config.listen.port(), config.connections), (9, 2));
        let number = load("", &[("WARDROUND_COORDINATOR_CONNECTIONS", "5")]).unwrap();
        assert_eq!(number.connections, 5);
        let unknown = load("", &[("WARDROUND_COORDINATOR_COLOUR", "red")]).unwrap_err();
        assert!(unknown.to_string().contains("WARDROUND_COORDINATOR_COLOUR"), "{unknown}");
        let zero = load("", &[("WARDROUND_COORDINATOR_CONNECTIONS", "0")]).unwrap_err();
        let expected = "environment variable WARDROUND_COORDINATOR_CONNECTIONS: \
            key \"connections\" must be at least 1";
        assert_eq!(zero.to_string(), expected);
    }

    #[test]
    fn a_folder_is_made_a_coordinators_once() {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path(), None).unwrap();
        let config = Config::load(folder.path(), []).unwrap();
        assert!(Authority::exists(&config.authority()));
        assert!(matches!(init(folder.path(), None), Err(Error::Exists { .. })));
    }

    #[test]
    fn a_folder_is_made_with_the_address_that_members_dial() {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path(), Some("ward.example:7400")).unwrap();
        let config = Config::load(folder.path(), []).unwrap();
        let listening = SocketAddr::from(([0, 0, 0, 0], 7400));
        let address = config.public_address(listening);
        assert_eq!(address.to_string(), "https://ward.example:7400");
        assert!(config.certified_names().contains(&"ward.example".to_owned()));
        assert!(load("address = \"ward\"", &[]).is_err());
        assert!(load("names = [\"two words\"]", &[]).is_err());
        assert!(load("names = [\"ward.example\", \"10.0.0.1\", \"fd00::1\"]", &[]).is_ok());
    }
}
