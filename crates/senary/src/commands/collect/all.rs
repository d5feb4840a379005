//! All instances of a test together.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use senary_metrics::Engine;
use senary_metrics::engine::Crossed;
use senary_output::state::belonging;
use senary_web::Client;
use tokio::task::JoinSet;

use super::address::Address;
use super::client::ApiClient;
use super::instance::{Instance, Known};
use crate::ask_error::AskError;
use crate::command_error::CommandError;
use crate::commands::merge::{Opened, put_together};

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
    pub fn check(&self, partial: bool) -> Result<(), CommandError> {
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

    /// What of the thresholds does not hold at the moment, if one is to end the test.
    pub fn crossed(&self) -> Option<Crossed> {
        let (_, known) = self.known().next()?;
        let thresholds = known.head.test.thresholds;
        if !thresholds.iter().flat_map(|(_, specs)| specs).any(|spec| spec.abort_on_fail) {
            return None;
        }
        let (whole, _) = put_together(&mut self.states(), true).ok()?;
        let mut engine = Engine::new(whole.registry, &thresholds, true, false).ok()?;
        engine.merge(&whole.totals).ok()?;
        Some(engine.evaluate(whole.seconds)).filter(|crossed| crossed.abort)
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
            all = all.and(set.unwrap_or(Ok(())));
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
