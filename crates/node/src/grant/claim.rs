//! Whether a grant admits a request, and which bound it exceeds where not.

use std::time::Duration;

use protocol::{Code, Detail, Digest, ResearcherId, RoundId, Timestamp, TrainRequest};
use round::Failure;
use serde_json::{Value, json};
use training_plan::Plan;
use training_plan::arguments::TrainingArguments;

use super::{Grant, Second, Status};
use crate::policy::argument;
use crate::policy::{Denial, Groups};
use crate::registry::datasets::Dataset;

/// A grant as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) number: u64,
    /// The grant; nothing where its signature is not the node's.
    pub(crate) grant: Option<Grant>,
    /// How many rounds have run under it.
    pub(crate) used: u64,
}

/// What is asked for: all that a grant may bound. An experiment that has not started has no arguments yet.
#[derive(Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) plan: &'a Digest,
    pub(crate) researcher: &'a ResearcherId,
    pub(crate) dataset: Option<&'a Dataset>,
    pub(crate) arguments: Option<&'a TrainingArguments>,
    pub(crate) groups: &'a Groups,
    pub(crate) now: Timestamp,
}

/// What a plan's grants say to a claim.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// The grant admits it.
    Admitted(Box<Grant>),
    /// A grant that counts does not.
    Denied(Denial),
    /// The grants were withdrawn.
    Revoked,
    /// Nothing was granted, or not by all who have to.
    NotApproved,
    /// There are grants and none has the node's signature.
    NotSigned,
}

/// Judges a claim by the grants of its plan and of families. `plan` is the plan itself, where it is known and native.
pub(crate) fn decide(
    kept: &[Kept],
    claim: Claim<'_>,
    plan: Option<&Plan>,
    is_counted: impl Fn(u64) -> bool,
) -> Verdict {
    let mut closest: Option<(usize, Box<Verdict>)> = None;
    for one in kept {
        let found = match &one.grant {
            None => (0, Box::new(Verdict::NotSigned)),
            Some(grant) if !covers(grant, claim.plan, plan) => continue,
            Some(grant) => match claim.judge(grant, one.used, is_counted(one.number)) {
                Ok(()) => return Verdict::Admitted(Box::new(grant.clone())),
                Err(found) => found,
            },
        };
        if closest.as_ref().is_none_or(|(far, _)| found.0 > *far) {
            closest = Some(found);
        }
    }
    closest.map_or(Verdict::NotApproved, |(_, verdict)| *verdict)
}

/// What a plan's grants come to for whoever claims, as the owner's list names it: only grants that name nobody else and
/// no other dataset are looked at.
pub(crate) fn status(kept: &[Kept], claim: Claim<'_>, plan: Option<&Plan>) -> Status {
    let about = kept.iter().filter_map(|one| {
        let grant = one.grant.as_ref().filter(|grant| covers(grant, claim.plan, plan))?;
        let is_theirs = claim.researcher(grant).is_ok() && claim.dataset(grant).is_ok();
        is_theirs.then(|| grant.status(one.used, claim.now))
    });
    about.min().unwrap_or(Status::Pending)
}

/// Whether a grant is about a plan at all.
pub(crate) fn covers(grant: &Grant, digest: &Digest, plan: Option<&Plan>) -> bool {
    match &grant.family {
        None => grant.plan == *digest,
        Some(family) => plan.is_some_and(|plan| family.judge(plan).is_empty()),
    }
}

impl Claim<'_> {
    /// Judges one grant; a refusal comes with how many bounds were met before it.
    fn judge(
        self,
        grant: &Grant,
        used: u64,
        is_counted: bool,
    ) -> Result<(), (usize, Box<Verdict>)> {
        if grant.revoked.is_some() {
            return Err((1, Box::new(Verdict::Revoked)));
        }
        if grant.second == Second::Awaited {
            // One that was given anew is nearer than one that was withdrawn.
            return Err((2, Box::new(Verdict::NotApproved)));
        }
        let bounds = [
            self.researcher(grant),
            self.dataset(grant),
            self.expiry(grant),
            self.arguments(grant),
            self.samples(grant),
            rounds(grant, used, is_counted),
        ];
        for (place, bound) in bounds.into_iter().enumerate() {
            bound.map_err(|denial| (3 + place, Box::new(Verdict::Denied(denial))))?;
        }
        Ok(())
    }

    fn researcher(self, grant: &Grant) -> Result<(), Denial> {
        let name = self.researcher.as_str();
        let is_named = grant.researchers.iter().any(|one| one == name);
        let mut groups = grant.groups.iter().filter_map(|group| self.groups.get(group));
        let is_member = groups.any(|members| members.iter().any(|one| one == name));
        let is_open = grant.researchers.is_empty() && grant.groups.is_empty();
        match is_open || is_named || is_member {
            true => Ok(()),
            false => {
                Err(refused("researcher_id", json!(name), "is not allowed by the plan's grant"))
            }
        }
    }

    fn dataset(self, grant: &Grant) -> Result<(), Denial> {
        let Some(dataset) = self.dataset else { return Ok(()) };
        match grant.datasets.is_empty() || grant.datasets.contains(&dataset.name) {
            true => Ok(()),
            false => {
                let value = json!(dataset.name);
                Err(refused("dataset", value, "is not allowed by the plan's grant"))
            }
        }
    }

    fn expiry(self, grant: &Grant) -> Result<(), Denial> {
        match grant.expires_at {
            Some(end) if self.now >= end => {
                Err(refused("expires", Value::Null, "of the plan's grant has passed"))
            }
            _ => Ok(()),
        }
    }

    fn arguments(self, grant: &Grant) -> Result<(), Denial> {
        let Some(arguments) = self.arguments else { return Ok(()) };
        if grant.arguments.is_empty() {
            return Ok(());
        }
        match argument::check(&grant.arguments, &arguments.to_json(), GRANT) {
            Some((name, breach)) => Err(Denial::of(name, breach)),
            None => Ok(()),
        }
    }

    /// How many rows there are is not said: the bound is there because there are few.
    fn samples(self, grant: &Grant) -> Result<(), Denial> {
        let (Some(least), Some(dataset)) = (grant.minimum_samples, self.dataset) else {
            return Ok(());
        };
        if dataset.registration.samples() >= least {
            return Ok(());
        }
        let rule = "of the plan's grant is more than the dataset has";
        Err(refused("minimum_samples", json!(least), rule))
    }
}

fn rounds(grant: &Grant, used: u64, is_counted: bool) -> Result<(), Denial> {
    match grant.rounds {
        Some(rounds) if used >= rounds && !is_counted => {
            Err(Denial::beyond("rounds", rounds, used + 1))
        }
        _ => Ok(()),
    }
}

fn refused(key: &str, value: Value, rule: &str) -> Denial {
    let detail = Detail::Argument { key: key.to_owned(), value, rule: rule.to_owned() };
    Denial { detail }
}

/// What makes a round the same as another: everything that its result depends on, so that asking again for what was
/// given once, under another identifier, does not count twice and gives nothing new.
pub(crate) fn use_of(request: &TrainRequest) -> Digest {
    let nobody = RoundId::from_uuid(uuid::Uuid::nil());
    let facts = TrainRequest { round_id: nobody, time_left: Duration::ZERO, ..request.clone() };
    let facts = serde_json::to_string(&facts).expect("a request is plain data");
    Digest::of(format!("wardround-use/1\0{facts}").as_bytes())
}

impl Verdict {
    /// What a round ends with that is not admitted; nothing for one that is.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self {
            Self::Admitted(_) => None,
            Self::Denied(denial) => Some(denial.clone().into()),
            Self::Revoked => Some(Code::PlanRevoked.into()),
            Self::NotApproved | Self::NotSigned => Some(Code::PlanNotApproved.into()),
        }
    }

    /// What an experiment is told that has not started: it waits for whatever the owner can still say.
    pub(crate) fn answer(&self) -> Code {
        match self {
            Self::Admitted(_) => Code::Ok,
            Self::Revoked => Code::PlanRevoked,
            Self::Denied(_) | Self::NotApproved | Self::NotSigned => Code::PlanNotApproved,
        }
    }

    /// Why, for the node's own log.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Admitted(grant) => format!("grant {} admits it", grant.number),
            Self::Denied(denial) => {
                format!("the bound \"{}\" of its grant is exceeded", denial.bound())
            }
            Self::Revoked => "its grant was revoked".to_owned(),
            Self::NotApproved => "nothing is granted".to_owned(),
            Self::NotSigned => {
                "the signature of its grant is not the node's: it counts as no grant".to_owned()
            }
        }
    }
}

const GRANT: &str = "the plan's grant";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use training_plan::Bundle;
    use training_plan::plan::{Family, FamilyBounds};

    use super::*;

    /// A plan with hidden layers of these kinds and widths.
    fn plan(hidden: &[(usize, u64)], target: &str, optimizer: &str) -> Plan {
        let layer = |(kind, units): &(usize, u64)| match kind {
            0 => format!("{{ dense = {{ units = {units} }} }}, "),
            1 => "\"relu\", ".to_owned(),
            _ => "{ dropout = { rate = 0.1 } }, ".to_owned(),
        };
        let layers: String = hidden.iter().map(layer).collect();
        let text = format!(
            "plan = {{ name = \"p\", runtime = \"native\" }}\n\
             data = {{ task = \"binary\", target = \"{target}\", classes = [\"a\", \"b\"] }}\n\
             model = {{ layers = [{layers}{{ dense = {{ units = 1 }} }}] }}\n\
             loss = {{ kind = \"binary_cross_entropy\" }}\noptimizer = {{ kind = \"{optimizer}\" }}"
        );
        Plan::parse(&Bundle::native(&text, |_| unreachable!("it names no file")).unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn a_plan_outside_its_family_is_never_admitted(
            hidden in proptest::collection::vec((0_usize..3, 1_u64..20), 0..5),
            target in "y|z",
            optimizer in "sgd|adam",
            most_units in 1_u64..20,
            most_layers in 1_u64..6,
        ) {
            let base = plan(&[], "y", "sgd");
            let bounds = FamilyBounds {
                layers: Some(vec!["dense".to_owned(), "relu".to_owned()]),
                most_layers: Some(most_layers),
                most_units: Some(most_units),
                optimizers: None,
            };
            let digest = Digest::of(b"base");
            let mut grant = Grant::without_bounds(digest, Timestamp::from_milliseconds(0));
            grant.family = Some(Family::of(&base, bounds));
            let kept = [Kept { number: 1, grant: Some(grant), used: 0 }];
            let (researcher, other) = ("ada".parse().unwrap(), Digest::of(b"other"));
            let claim = Claim {
                plan: &other,
                researcher: &researcher,
                dataset: None,
                arguments: None,
                groups: &Groups::new(),
                now: Timestamp::from_milliseconds(1),
            };
            let asked = plan(&hidden, &target, &optimizer);
            let is_inside = target == "y"
                && optimizer == "sgd"
                && (hidden.len() as u64) < most_layers
                && hidden.iter().all(|(kind, units)| *kind == 1 || (*kind == 0 && *units <= most_units));
            let verdict = decide(&kept, claim, Some(&asked), |_| false);
            prop_assert_eq!(matches!(verdict, Verdict::Admitted(_)), is_inside, "{:?}", verdict);
            // Nor is any of which the text is not here.
            prop_assert_eq!(decide(&kept, claim, None, |_| false), Verdict::NotApproved);
        }
    }
}
