//! The owner's commands about Python interpreters.

use std::path::Path;
use std::sync::Arc;

use runtime::python::Environment;
use serde_json::Value;

use super::{Office, answer, refused};
use crate::administration::Error;
use crate::administration::answer::PythonCheck;
use crate::administration::request::{Acceptance, PythonRequest};
use crate::audit::{Action, Actor, Entry};
use crate::carrier::blocking;
use crate::registry::pythons::{self, Interpreter};
use crate::registry::{self};
use crate::self_test;

impl Office {
    pub(super) async fn python(
        &self,
        request: PythonRequest,
        actor: &Actor,
    ) -> Result<Value, Error> {
        match request {
            PythonRequest::Add { name, path } => answer(self.python_add(name, &path, actor).await?),
            PythonRequest::List => answer(self.read(pythons::all).await?),
            PythonRequest::Check { name, acceptance } => {
                answer(self.python_check(name, acceptance, actor).await?)
            }
            PythonRequest::Remove { name } => {
                let removed = self.act(actor, Action::PythonRemove, move |transaction, entry| {
                    pythons::remove(transaction, &name)?;
                    Ok(((), entry.interpreter(&name)))
                });
                answer(removed.await?)
            }
        }
    }

    async fn python_add(
        &self,
        name: String,
        path: &Path,
        actor: &Actor,
    ) -> Result<Interpreter, Error> {
        check_name(&name)?;
        let environment = inspect(path).await?;
        let interpreter = Interpreter { name, environment, added_at: self.site.clock.now() };
        let kept = interpreter.clone();
        self.act(actor, Action::PythonAdd, move |transaction, entry| {
            pythons::add(transaction, &kept)?;
            Ok(((), named(entry, &kept)))
        })
        .await?;
        if self.daemon.is_some() {
            tokio::spawn(self_test::run(Arc::clone(&self.site)));
        }
        Ok(interpreter)
    }

    pub(super) async fn python_check(
        &self,
        name: String,
        acceptance: Acceptance,
        actor: &Actor,
    ) -> Result<PythonCheck, Error> {
        let wanted = name.clone();
        let mut interpreter = self
            .read(move |transaction| {
                pythons::by_name(transaction, &wanted)?
                    .ok_or(registry::Error::UnknownPython { name: wanted.clone() })
            })
            .await?;
        let before = interpreter.environment.clone();
        let now = inspect(&before.interpreter).await?;
        let is_changed = now != before;
        let is_updated = is_changed && acceptance == Acceptance::Update;
        if is_updated {
            interpreter.environment = now.clone();
            self.act(actor, Action::PythonUpdate, move |transaction, entry| {
                pythons::replace(transaction, &interpreter)?;
                Ok(((), named(entry, &interpreter)))
            })
            .await?;
        }
        Ok(PythonCheck { name, is_changed, is_updated, before, now })
    }
}

fn named(entry: Entry, interpreter: &Interpreter) -> Entry {
    entry.interpreter(&interpreter.name).environment(Some(&interpreter.environment.digest))
}

async fn inspect(path: &Path) -> Result<Environment, Error> {
    let path = path.to_owned();
    let hint = "a Python of version 3.10 or later with numpy, and torch or scikit-learn, is needed";
    blocking(move || Environment::inspect(&path)).await.map_err(|error| refused(&error, Some(hint)))
}

fn check_name(name: &str) -> Result<(), Error> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if (1..=64).contains(&name.len()) && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(Error::Refused {
        message: format!("{name:?} is no name: 1 to 64 letters, digits, '.', '_' and '-'"),
        hint: None,
    })
}
