//! What the owner says of a plan, to whoever asks for it.

pub(crate) mod lapses;

use std::sync::Arc;

use protocol::wire::v1;
use protocol::wire::v1::node_message::Message;
use protocol::{
    ArtifactReference, Code, DatasetId, Digest, ExperimentId, ResearcherId, RuntimeKind,
    TrainRequest,
};
use store::Transaction;
use training_plan::arguments::TrainingArguments;
use training_plan::{Bundle, Plan, bundle, normal};

use crate::audit::{Action, Actor, Entry};
use crate::grant::{Claim, Grant, Status, Verdict, decide, status, use_of};
use crate::registry::plans::{self, Decision, KnownPlan};
use crate::registry::{self, datasets, grants};
use crate::round_log::chain;
use crate::site::Site;

/// What somebody wants to run.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) plan: Digest,
    pub(crate) researcher: ResearcherId,
    pub(crate) dataset: DatasetId,
    /// What a round adds: its arguments, and what makes it the same as another.
    pub(crate) round: Option<(TrainingArguments, Digest)>,
}

/// A question that came over the line.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) question: Question,
    /// What was answered last.
    pub(crate) told: Option<Standing>,
}

/// What is answered: whether a round may run, and what the grants that are about the asker come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) code: Code,
    pub(crate) status: Status,
}

/// An experiment that asks for a plan on a dataset.
pub(crate) type Asker = (ExperimentId, DatasetId);

impl Question {
    pub(crate) fn of_round(request: &TrainRequest, arguments: &TrainingArguments) -> Self {
        Self {
            plan: request.plan.digest,
            researcher: request.researcher_id.clone(),
            dataset: request.dataset_id,
            round: Some((arguments.clone(), use_of(request))),
        }
    }
}

/// Looks a plan up for an experiment that has not started: one that is new is fetched, and listed as pending.
pub(crate) async fn ask(site: &Arc<Site>, asked: KnownPlan, question: &Question) -> Code {
    if !is_offered(asked.runtime) {
        return Code::PlanUnsupportedRuntime;
    }
    if is_too_large(&asked.plan) {
        return Code::PolicyDenied;
    }
    let known = match known(site, &asked.plan.digest) {
        Ok(known) => known,
        Err(error) => return unreadable(&error),
    };
    // Held until the plan is judged, so that its file is not evicted before it is pinned.
    let mut _fetched = None;
    if known.is_none() {
        match site.carrier.fetch(&asked.plan).await {
            Ok(fetched) => _fetched = Some(fetched),
            Err(error) => {
                tracing::warn!(error = chain(&error), "a plan cannot be fetched");
                return Code::PlanUnavailable;
            }
        }
    }
    judge(site, asked, question).await.map_or_else(|code| code, |verdict| verdict.answer())
}

/// What is said of a plan that is known, as things stand.
pub(crate) fn standing(site: &Site, question: &Question) -> Standing {
    match look(site, question) {
        Ok(Looked { decision: Some(Decision::Rejected), .. }) => {
            Standing { code: Code::PlanRejected, status: Status::Rejected }
        }
        Ok(Looked { verdict, status, .. }) => Standing { code: verdict.answer(), status },
        Err(error) => Standing { code: unreadable(&error), status: Status::Pending },
    }
}

/// Looks a plan up whose file is here; one that is new is listed, as pending where no family admits it.
pub(crate) async fn judge(
    site: &Arc<Site>,
    asked: KnownPlan,
    question: &Question,
) -> Result<Verdict, Code> {
    let digest = asked.plan.digest;
    let Looked { decision, verdict, .. } =
        look(site, question).map_err(|error| unreadable(&error))?;
    match decision {
        Some(Decision::Rejected) => return Err(Code::PlanRejected),
        Some(Decision::Pending | Decision::Approved) => {
            site.pin_plan(&digest);
            return Ok(verdict);
        }
        None => {}
    }
    let is_admitted = matches!(verdict, Verdict::Admitted(_));
    let decision = if is_admitted { Decision::Approved } else { Decision::Pending };
    let normal = read(site, &digest).and_then(|bundle| normal::digest(&bundle));
    let asked = KnownPlan { decision, normal, ..asked };
    let audit = site.audit.clone();
    let listed = site.database.write(move |transaction| {
        if !is_admitted && plans::is_full(transaction)? {
            return Ok(Code::NodeUnavailable);
        }
        plans::keep(transaction, &asked)?;
        audit.permit_blocking(request(&asked))?;
        Ok(Code::PlanNotRegistered)
    });
    match listed.await.unwrap_or_else(|error| unreadable(&error)) {
        Code::PlanNotRegistered => {
            site.pin_plan(&digest);
            if is_admitted { Ok(verdict) } else { Err(Code::PlanNotRegistered) }
        }
        code => Err(code),
    }
}

/// Counts a round under the grant that admits it, if there is room: nothing of it may run before that is on the disk.
pub(crate) async fn count(
    site: &Arc<Site>,
    grant: Box<Grant>,
    question: &Question,
    round: protocol::RoundId,
) -> Result<Verdict, registry::Error> {
    let Some((_, r#use)) = question.round.clone() else { return Ok(Verdict::Admitted(grant)) };
    let limit = grant.rounds;
    let counted = site.database.write(move |transaction| {
        let number = grant.number;
        let used = grants::used(transaction, number)?;
        if let Some(limit) = grant.rounds.filter(|limit| used >= *limit)
            && !grants::is_counted(transaction, number, &r#use)?
        {
            return Ok(Verdict::Denied(crate::policy::Denial::beyond("rounds", limit, used + 1)));
        }
        grants::count(transaction, number, &r#use, round)?;
        Ok(Verdict::Admitted(grant))
    });
    let counted = counted.await;
    if limit.is_some() {
        // It may have been the last one.
        site.reconsider.notify_one();
    }
    counted
}

/// Tells the experiments that have asked for a plan, or for any, what is said of it now.
pub(crate) fn answer_again(site: &Site, plan: Option<&Digest>, note: &str) {
    let questions: Vec<(Asker, Question)> = {
        let questions = site.questions.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let wanted = questions.iter();
        let wanted = wanted.filter(|(_, one)| plan.is_none_or(|plan| one.question.plan == *plan));
        wanted.map(|(asker, one)| (*asker, one.question.clone())).collect()
    };
    for (asker, question) in questions {
        let standing = standing(site, &question);
        tell(site, asker, &question.plan, standing, note);
    }
    // Another grant may be the next that ends.
    site.reconsider.notify_one();
}

/// Answers an experiment.
pub(crate) fn tell(site: &Site, asker: Asker, plan: &Digest, standing: Standing, note: &str) {
    site.answered(asker, standing);
    let Standing { code, status } = standing;
    site.outbox.send(Message::PlanAnswer(v1::PlanAnswer {
        experiment_id: asker.0.to_string(),
        dataset_id: asker.1.to_string(),
        plan_digest: plan.to_string(),
        code: code.to_string(),
        status: if is_answer(code) { status.to_string() } else { String::new() },
        note: short(note),
    }));
}

/// Whether a code is the owner's word, and not why there is none.
const fn is_answer(code: Code) -> bool {
    matches!(
        code,
        Code::Ok
            | Code::PlanNotRegistered
            | Code::PlanNotApproved
            | Code::PlanRejected
            | Code::PlanRevoked
    )
}

/// As much of a note as is told.
pub(crate) fn short(note: &str) -> String {
    note.chars().take(LONGEST_NOTE).collect()
}

/// Characters of a note that are told.
const LONGEST_NOTE: usize = 2_000;

/// The plan of a digest, where its file is here.
pub(crate) fn read(site: &Site, digest: &Digest) -> Option<Bundle> {
    let path = site.carrier.store().open_verified(digest).ok()?.path;
    Bundle::parse(&std::fs::read(path).ok()?).ok()
}

/// What a plan is to families: nothing where it is no native plan, or not here.
pub(crate) fn read_native(site: &Site, digest: &Digest) -> Option<Plan> {
    let bundle = read(site, digest)?;
    Plan::parse(&bundle).ok()
}

fn known(site: &Site, digest: &Digest) -> Result<Option<KnownPlan>, registry::Error> {
    site.database.read_blocking(|transaction| plans::by_digest(transaction, digest))
}

/// The owner's decision about a plan, what its grants say to a question, and what they come to for its asker.
struct Looked {
    decision: Option<Decision>,
    verdict: Verdict,
    status: Status,
}

fn look(site: &Site, question: &Question) -> Result<Looked, registry::Error> {
    let policy = site.policy();
    let now = site.clock.now();
    let look = |transaction: &Transaction<'_>| {
        let known = plans::by_digest(transaction, &question.plan)?;
        let kept = grants::about(transaction, &site.seal, &question.plan)?;
        let dataset = datasets::by_id(transaction, question.dataset)?;
        let mut counted = Vec::new();
        if let Some((_, r#use)) = &question.round {
            for one in &kept {
                if grants::is_counted(transaction, one.number, r#use)? {
                    counted.push(one.number);
                }
            }
        }
        Ok((known, kept, dataset, counted))
    };
    let looked: Result<_, registry::Error> = site.database.read_blocking(look);
    let (known, kept, dataset, counted) = looked?;
    let claim = Claim {
        plan: &question.plan,
        researcher: &question.researcher,
        dataset: dataset.as_ref(),
        arguments: question.round.as_ref().map(|(arguments, _)| arguments),
        groups: policy.groups(),
        now,
    };
    let is_counted = |number| counted.contains(&number);
    let mut verdict = decide(&kept, claim, None, is_counted);
    let has_families =
        kept.iter().any(|one| one.grant.as_ref().is_some_and(|grant| grant.family.is_some()));
    let mut native = None;
    if has_families && !matches!(verdict, Verdict::Admitted(_)) {
        native = read_native(site, &question.plan);
        verdict = decide(&kept, claim, native.as_ref(), is_counted);
    }
    let status = match (&verdict, status(&kept, claim, native.as_ref())) {
        (Verdict::Admitted(_), _) => Status::Approved,
        // It counts, and is not enough for what is asked.
        (_, Status::Approved) => Status::Pending,
        (_, status) => status,
    };
    Ok(Looked { decision: known.map(|known| known.decision), verdict, status })
}

fn unreadable(error: &registry::Error) -> Code {
    tracing::error!(error = chain(error), "the plans cannot be read");
    match error {
        registry::Error::Audit(_) => Code::AuditUnavailable,
        _ => Code::NodeInternal,
    }
}

/// What is recorded of a plan that is new here.
fn request(asked: &KnownPlan) -> Entry {
    let actor = asked.researcher_id.clone().map_or(Actor::Node, Actor::Researcher);
    let entry = Entry::new(asked.seen_at, actor, Action::PlanAsk).plan(&asked.plan.digest);
    match asked.experiment_id {
        Some(experiment) => entry.experiment(experiment),
        None => entry,
    }
}

/// Whether a plan is declared larger than any plan is read; such a file is not even fetched.
pub(crate) const fn is_too_large(plan: &ArtifactReference) -> bool {
    plan.size > bundle::LARGEST as u64
}
/// Whether this node can run plans of a kind at all.
pub(crate) const fn is_offered(runtime: RuntimeKind) -> bool {
    match runtime {
        RuntimeKind::Native => true,
        RuntimeKind::Python => true,
        RuntimeKind::Statistics => true,
    }
}
