//! The owner's commands about the policy.

use std::collections::HashSet;

use protocol::DatasetName;
use serde_json::Value;

use super::{Office, answer, refused};
use crate::administration::{Error, PolicyRequest};
use crate::audit::{Action, Actor};
use crate::policy::{Policy, PolicyShown};
use crate::policy_file::{replace, written};
use crate::registry::{self, datasets};

impl Office {
    pub(super) async fn policy(
        &self,
        request: PolicyRequest,
        actor: &Actor,
    ) -> Result<Value, Error> {
        match request {
            PolicyRequest::Show { dataset } => answer(self.policy_show(dataset).await?),
            PolicyRequest::Reload => answer(self.policy_reload(actor).await?),
        }
    }

    async fn policy_show(&self, dataset: Option<DatasetName>) -> Result<PolicyShown, Error> {
        let policy = self.site.policy();
        let registered = self.read(datasets::all).await?;
        let names: HashSet<DatasetName> =
            registered.into_iter().map(|dataset| dataset.name).collect();
        let unregistered = policy.datasets().filter(|name| !names.contains(*name)).cloned();
        let unregistered = unregistered.collect();
        if let Some(name) = &dataset
            && !names.contains(name)
        {
            let error = registry::Error::UnknownDataset { name: name.to_string() };
            return Err(super::refused_by_registry(&error));
        }
        let text = std::fs::read(self.site.folder.policy()).ok();
        let digest = text.map(|text| protocol::Digest::of(&text));
        Ok(PolicyShown {
            digest: policy.digest(),
            is_changed: digest != policy.digest(),
            settings: policy.settings(&self.site.config, dataset.as_ref()),
            dataset,
            unregistered,
        })
    }

    /// A file that is wrong, or gone, changes nothing.
    async fn policy_reload(&self, actor: &Actor) -> Result<PolicyShown, Error> {
        let (file, before) = (self.site.folder.policy(), self.site.policy().digest());
        let policy = Policy::load(&file, &self.site.config);
        let policy = policy.map_err(|error| refused(&error, Some(CHECK_HINT)))?;
        let digest = policy.digest();
        if before.is_some() && digest.is_none() {
            let gone = crate::policy::Error::Gone { path: file };
            return Err(refused(&gone, Some(GONE_HINT)));
        }
        if digest != before {
            self.act(actor, Action::PolicyChange, move |transaction, entry| {
                registry::set_policy(transaction, &written(digest))?;
                Ok(((), entry.policy(digest.as_ref())))
            })
            .await?;
        }
        replace(&self.site, policy);
        // A minimum of rows decides what searches show.
        self.announce().await?;
        self.policy_show(None).await
    }
}

const CHECK_HINT: &str = "what was in effect stays; correct the line and reload again";
const GONE_HINT: &str =
    "what was in effect stays; write the file again, an empty one bounds nothing";
