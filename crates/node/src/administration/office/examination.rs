//! What whoever holds the folder finds of it.

use dataset::{Glance, Interrupt};
use protocol::Timestamp;
use store::Transaction;
use store::database::migrations;

use super::Office;
use crate::administration::Onlooker;
use crate::administration::request::Acceptance;
use crate::audit::Actor;
use crate::carrier::blocking;
use crate::doctor::{Area, Finding, machine};
use crate::registry::datasets::{self, Dataset};
use crate::registry::pythons::{self, Interpreter};
use crate::registry::{self, rounds};
use crate::round_log::chain;

/// What the database tells of all the others.
struct Registered {
    versions: Vec<(String, u32)>,
    interpreters: Vec<Interpreter>,
    datasets: Vec<Dataset>,
    damaged: Vec<String>,
    latest: Option<Timestamp>,
}

impl Office {
    /// Looks at everything that can be seen from here.
    pub(super) async fn examine(&self, onlooker: &Onlooker) -> Vec<Finding> {
        let config = &self.site.config;
        let now = self.site.clock.now();
        let read = move |transaction: &Transaction<'_>| Registered::read(transaction, now);
        let registered = match self.site.database.read(read).await {
            Ok(registered) => registered,
            Err(error) => {
                let remedy = "restore the folder from its backup";
                return vec![Area::Database.wrong(chain(&error), remedy)];
            }
        };
        let versions: Vec<String> =
            registered.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let mut findings =
            vec![Area::Database.good(format!("it opens; its tables are {}", versions.join(", ")))];
        findings.extend(registered.damaged.iter().map(|round| damaged(round)));
        findings.push(machine::disk(&self.site.folder, config.cache_bytes));
        findings.extend(machine::clock_against(registered.latest, now));
        let node = config.python.minimum_sandbox_level;
        let minimum = registered.datasets.iter().map(|dataset| dataset.demanded(node)).max();
        let minimum = minimum.unwrap_or(node);
        let interpreters = Some(registered.interpreters.len());
        findings.push(machine::sandbox(config.program.clone(), minimum, interpreters).await);
        findings.extend(self.choice(&registered.interpreters));
        for interpreter in registered.interpreters {
            findings.push(self.interpreter(interpreter.name).await);
        }
        for dataset in registered.datasets {
            findings.extend(self.seen(dataset, onlooker).await);
        }
        findings
    }

    /// What is wrong with the choice of the interpreter that rounds use.
    fn choice(&self, interpreters: &[Interpreter]) -> Option<Finding> {
        let wanted = self.site.config.python.python.as_deref();
        let has = |name: &str| interpreters.iter().any(|interpreter| interpreter.name == name);
        let fact = match wanted {
            Some(name) if !has(name) => {
                format!("`python` in node.toml names {name}, which is not registered")
            }
            None if interpreters.len() > 1 && !has(pythons::DEFAULT) => format!(
                "none of {} interpreters is chosen: none is called {}",
                interpreters.len(),
                pythons::DEFAULT
            ),
            Some(_) | None => return None,
        };
        Some(Area::Interpreter.wrong(fact, "set `python` in node.toml to the name of one"))
    }

    async fn interpreter(&self, name: String) -> Finding {
        let remedy = |what: &str| format!("`wardround node python {what}`");
        match self.python_check(name.clone(), Acceptance::Look, &Actor::Node).await {
            Ok(check) if check.is_changed => Area::Interpreter.wrong(
                format!("{name} is another than was registered"),
                remedy(&format!("check {name}")) + " tells how, and accepts it with --update",
            ),
            Ok(check) => Area::Interpreter.good(format!("{name}: Python {}", check.now.python)),
            Err(error) => {
                let fact = format!("{name}: {}", chain(&error));
                let otherwise = remedy(&format!("remove {name}"));
                let hint = error.hint().map_or(otherwise, str::to_owned);
                Area::Interpreter.wrong(fact, hint)
            }
        }
    }

    /// A dataset, from outside.
    async fn seen(&self, dataset: Dataset, onlooker: &Onlooker) -> Vec<Finding> {
        let (name, rows) = (dataset.name.to_string(), dataset.registration.samples());
        let minimum = self.site.config.minimum_samples;
        let (path, onlooker) = (dataset.path.clone(), onlooker.clone());
        let looked = blocking(move || {
            let mut goes_on = || onlooker.goes_on();
            dataset::glance(&path, &dataset.registration, &mut Interrupt::by(&mut goes_on))
        });
        let check = format!("`wardround node dataset check {name}` tells how");
        let finding = match looked.await {
            Ok(Glance::Untouched) => {
                Area::Dataset.good(format!("{name} is as it was registered, from outside"))
            }
            Ok(Glance::Touched) => {
                Area::Dataset.notice(format!("{name} was written since it was registered"), check)
            }
            Ok(Glance::Resized) => Area::Dataset.wrong(
                format!("{name} has changed since it was registered"),
                check + ", and accepts it with --update",
            ),
            Err(error) => Area::Dataset.wrong(
                format!("{name}: {}", chain(&error)),
                "bring it back to its place, or `wardround node dataset remove` it",
            ),
        };
        let few = (rows < minimum).then(|| {
            let fact = format!("{name} has fewer rows than `minimum_samples` ({minimum})");
            Area::Dataset.notice(fact, "no round works on it")
        });
        std::iter::once(finding).chain(few).collect()
    }
}

impl Registered {
    fn read(transaction: &Transaction<'_>, now: Timestamp) -> Result<Self, registry::Error> {
        let datasets = datasets::all(transaction)?;
        let mut damaged = Vec::new();
        for round in rounds::open(transaction)? {
            if rounds::is_damaged(transaction, round, now)? {
                damaged.push(round.to_string());
            }
        }
        let round = rounds::latest(transaction, 1, now)?.first().map(|row| row.changed_at);
        let added = datasets.iter().map(|dataset| dataset.updated_at.unwrap_or(dataset.added_at));
        Ok(Self {
            versions: migrations::versions(transaction)?,
            interpreters: pythons::all(transaction)?,
            damaged,
            latest: added.chain(round).max(),
            datasets,
        })
    }
}

fn damaged(round: &str) -> Finding {
    let fact = format!("round {round} is damaged: it can neither end nor go on");
    Area::Rounds.wrong(fact, format!("forget it with `wardround node round drop {round}`"))
}
