//! All instances of a test together.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use senary_metrics::engine::Crossed;
use senary_metrics::{Engine, Registry};
use senary_output::state::{Head, Objection, Whole, belonging};
use senary_output::timeline::Timeline;
use senary_web::Client;
use tokio::task::JoinSet;

use super::address::Address;
use super::client::ApiClient;
use super::instance::{Instance, Known};
use crate::ask_error::AskError;
use crate::command_error::CommandError;
use crate::commands::merge::{Opened, add_up, first_of, put_together};
use crate::dashboard::{Contact, Gathered, Standing};
use crate::merged::judgeable;
use crate::plan::PlanError;
use crate::run_events::ThresholdState;
use crate::run_phase::RunPhase;

/// How long an instance may take for an answer, at most and at least.
const MAX_ANSWER: Duration = Duration::from_secs(30);
const MIN_ANSWER: Duration = Duration::from_secs(2);

/// The instances, in the order in which they were named.
pub struct All(Vec<Arc<Instance>>);

impl All {
    /// Follows instances. It is over with the event loop.
    pub fn follow(addresses: Vec<Address>, web: &Client, retry_for: Duration) -> Self {
        let limit = retry_for.clamp(MIN_ANSWER, MAX_ANSWER);
        let instance = |address| Arc::new(Instance::new(ApiClient::new(address, web.clone(), limit)));
        let all: Vec<_> = addresses.into_iter().map(instance).collect();
        for instance in &all {
            tokio::spawn(instance.clone().follow(retry_for));
        }
        Self(all)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.0.iter()
    }

    /// Whether each has told its state once, or never will.
    pub fn have_answered(&self) -> bool {
        self.0.iter().all(|instance| instance.last().is_some() || instance.is_lost())
    }

    /// Whether nothing new is to come.
    pub fn are_settled(&self) -> bool {
        self.0.iter().all(|instance| instance.is_settled())
    }

    /// Why no summary will come of these instances, however they end: it is told at once, not after the test.
    pub fn check(&self, partial: bool, judges: bool) -> Result<(), CommandError> {
        for instance in &self.0 {
            let Some(error) = instance.lost() else { continue };
            let is_fatal = !error.is_passing() || !partial;
            match instance.last() {
                None if is_fatal => return Err(of_instance(instance, &error)),
                None => log::error!("{} {error}", instance.api.address),
                Some(_) => {}
            }
        }
        let states: Vec<_> = self.known().collect();
        for (at, (place, known)) in states.iter().enumerate() {
            let same =
                states[..at].iter().find(|(_, other)| other.head.instance.id == known.head.instance.id);
            if let Some((other, _)) = same {
                let error = AskError::Same(other.clone());
                return Err(CommandError::Instance { address: place.clone(), error });
            }
        }
        if let Some((_, known)) = states.first().filter(|_| judges) {
            check_thresholds(&known.head)?;
        }
        let heads: Vec<_> = states.iter().map(|(place, known)| (place.clone(), &known.head)).collect();
        let mut objections = belonging(&heads).objections;
        // They still run.
        objections.retain(|objection| !objection.is_of_unfinished());
        match objections.is_empty() || partial {
            true => Ok(()),
            false => Err(CommandError::NotOneTest(objections)),
        }
    }

    /// Their last states.
    pub fn states(&self) -> Vec<Opened<Cursor<Arc<[u8]>>>> {
        self.known().filter_map(|(place, known)| known.open(&place)).collect()
    }

    /// Whether a threshold may end the test.
    pub fn may_abort(&self) -> bool {
        let Some((_, known)) = self.known().next() else { return false };
        known.head.test.thresholds.iter().flat_map(|(_, specs)| specs).any(|spec| spec.abort_on_fail)
    }

    /// What their states come to at the moment; `None` if nothing can be made of them.
    pub fn together(&self, judges: bool) -> Option<Together> {
        let (_, known) = self.known().next()?;
        let (whole, objections) = put_together(&mut self.states(), true).ok()?;
        let mut engine =
            Engine::new(whole.registry.clone(), &known.head.test.thresholds, judges, false).ok()?;
        engine.merge(&whole.totals).ok()?;
        let crossed = engine.evaluate(whole.seconds);
        Some(Together { whole, objections, engine, crossed })
    }

    /// The same over time; the series of the time line before keep their places.
    pub fn gathered(&self, together: &Together, mut timeline: Timeline) -> Option<Gathered> {
        let Together { whole, objections, engine, .. } = together;
        let contacts: Vec<_> = self.contacts().collect();
        let contact = |head: &Head| contact_of(&contacts, head);
        let may_change = |head: &Head| !head.progress.is_final && !contact(head).is_lost;
        add_up(&mut timeline, &mut self.states(), may_change).ok()?;
        let judged = engine.judgements().map(|judgement| ThresholdState::of(&judgement)).collect();
        let results = engine.overview(whole.seconds);
        let phase = phase(whole.instances.iter().map(|instance| &instance.head));
        let standing = Standing::new(whole, results.clone(), &timeline, objections, phase, contact);
        Some(Gathered { standing, timeline, judged, results })
    }

    /// What is known of the instances besides their states.
    pub fn contacts(&self) -> impl Iterator<Item = (String, Contact)> {
        self.0.iter().filter_map(|instance| {
            let known = instance.last()?;
            let contact = Contact { is_lost: instance.is_lost(), clock: known.clock };
            Some((known.head.instance.id, contact))
        })
    }

    /// Changes the status of all at once, other than of those that are lost. What an instance says against it is given back.
    pub async fn set(&self, attribute: &'static str, value: bool) -> Result<(), CommandError> {
        let mut tasks = JoinSet::new();
        for instance in self.0.iter().filter(|instance| !instance.is_lost()).cloned() {
            tasks.spawn(async move {
                let set = instance.api.set(attribute, value).await;
                set.map_err(|error| CommandError::Instance {
                    address: instance.api.address.to_string(),
                    error,
                })
            });
        }
        let mut all = Ok(());
        while let Some(set) = tasks.join_next().await {
            // A task that has panicked has said so.
            all = first_of([all, set.unwrap_or(Ok(()))]);
        }
        all
    }

    fn known(&self) -> impl Iterator<Item = (String, Known)> {
        self.0.iter().filter_map(|instance| Some((instance.api.address.to_string(), instance.last()?)))
    }
}

fn of_instance(instance: &Instance, error: &AskError) -> CommandError {
    let text = format!("{} {error}", instance.api.address);
    CommandError::Command(text)
}

/// Thresholds that cannot be judged are not found by instances with `--no-thresholds`, and would never end the test.
fn check_thresholds(head: &Head) -> Result<(), CommandError> {
    let registry = Registry::new();
    for metric in &head.test.metrics {
        metric.register(&registry).map_err(|error| CommandError::Command(error.to_string()))?;
    }
    let (_, problems) = judgeable(&head.test.thresholds, &registry);
    if problems.is_empty() {
        return Ok(());
    }
    log::warn!("The instances are left alone; with --no-thresholds, they can be collected without a verdict");
    Err(CommandError::Plan(PlanError { problems }))
}

/// What the instances come to at a moment.
pub struct Together {
    pub whole: Whole,
    objections: Vec<Objection>,
    engine: Engine,
    /// What of the thresholds does not hold.
    pub crossed: Crossed,
}

/// What is known of one of them.
pub fn contact_of(contacts: &[(String, Contact)], head: &Head) -> Contact {
    let found = contacts.iter().find(|(id, _)| *id == head.instance.id);
    found.map(|(_, contact)| *contact).unwrap_or_default()
}

/// How far the test is: as far as the instance that is behind the others, once one of them has begun.
fn phase<'a>(heads: impl Iterator<Item = &'a Head>) -> RunPhase {
    let of = |head: &Head| match &head.progress {
        progress if progress.is_final => RunPhase::Ended,
        progress if progress.has_run => RunPhase::Running,
        progress if progress.started.is_some() => RunPhase::Setup,
        _ => RunPhase::Created,
    };
    let phases: Vec<_> = heads.map(of).collect();
    let is_under_way = phases.contains(&RunPhase::Running);
    let least = phases.iter().min().copied().unwrap_or(RunPhase::Created);
    if is_under_way { RunPhase::Running } else { least }
}
