//! The `scenarios` option: what each executor takes, as written and not yet judged.
//!
//! An unknown field here is an error, unlike elsewhere: it would silently change the load.

use std::collections::BTreeMap;

use senary_execution::ExecutorKind;
use senary_words::spelling::nearest;
use serde_json::{Map, Value, json};

use super::remarks::{Remarks, UnknownField};
use super::types::StageOption;
use super::value::{Fields, Invalid, Nanos, OptionValue, Raw};

pub type Scenarios = BTreeMap<String, ScenarioOption>;

#[derive(Clone, Debug, PartialEq)]
pub struct ScenarioOption {
    pub start_time: Option<Nanos>,
    pub graceful_stop: Option<Nanos>,
    pub env: Option<BTreeMap<String, String>>,
    pub exec: Option<String>,
    pub tags: Option<BTreeMap<String, String>>,
    /// Of protocols that take options per scenario.
    pub options: Option<Raw>,
    pub executor: ExecutorOption,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExecutorOption {
    SharedIterations {
        vus: Option<i64>,
        iterations: Option<i64>,
        max_duration: Option<Nanos>,
    },
    PerVuIterations {
        vus: Option<i64>,
        iterations: Option<i64>,
        max_duration: Option<Nanos>,
    },
    ConstantVus {
        vus: Option<i64>,
        duration: Option<Nanos>,
    },
    RampingVus {
        start_vus: Option<i64>,
        stages: Option<Vec<StageOption>>,
        graceful_ramp_down: Option<Nanos>,
    },
    ConstantArrivalRate {
        rate: Option<i64>,
        time_unit: Option<Nanos>,
        duration: Option<Nanos>,
        pre_allocated_vus: Option<i64>,
        max_vus: Option<i64>,
    },
    RampingArrivalRate {
        start_rate: Option<i64>,
        time_unit: Option<Nanos>,
        stages: Option<Vec<StageOption>>,
        pre_allocated_vus: Option<i64>,
        max_vus: Option<i64>,
    },
}

impl ScenarioOption {
    /// A scenario that says nothing but how it executes.
    pub fn of(executor: ExecutorOption) -> Self {
        Self {
            start_time: None,
            graceful_stop: None,
            env: None,
            exec: None,
            tags: None,
            options: None,
            executor,
        }
    }

    fn decode(name: &str, value: &Value, remarks: &mut Remarks) -> Result<Self, Invalid> {
        let before = remarks.unknown.len();
        let mut fields = Fields::of(value, "a scenario")?;
        let executor: Option<String> = fields.take("executor", remarks)?;
        let Some(executor) = executor.filter(|e| !e.is_empty()) else {
            return Err(Invalid::new(format!("scenario '{name}' doesn't have a specified executor type")));
        };
        let kind = kind_named(&executor)?;
        let scenario = Self {
            start_time: fields.take("startTime", remarks)?,
            graceful_stop: fields.take("gracefulStop", remarks)?,
            env: fields.take("env", remarks)?,
            exec: fields.take("exec", remarks)?,
            tags: fields.take("tags", remarks)?,
            options: fields.take("options", remarks)?,
            executor: ExecutorOption::decode(kind, &mut fields, remarks)?,
        };
        if let Some(UnknownField { name, .. }) = remarks.unknown.get(before) {
            // Nothing in a scenario has fields of its own but stages.
            let advice = "a stage has duration, target";
            return Err(Invalid::new(format!("json: unknown field {name:?}; {advice}")).within("stages"));
        }
        let Some(field) = fields.rest().next() else { return Ok(scenario) };
        let written = scenario.encode();
        let known: Vec<&str> =
            written.as_object().into_iter().flat_map(Map::keys).map(String::as_str).collect();
        let advice = match nearest(field, known.iter().copied()) {
            Some(name) => format!("did you mean {name:?}?"),
            None => format!("a {executor} scenario has {}", known.join(", ")),
        };
        Err(Invalid::new(format!("json: unknown field {field:?}; {advice}")))
    }

    fn encode(&self) -> Value {
        fn put<T: OptionValue>(object: &mut Map<String, Value>, key: &str, value: &Option<T>) {
            object.insert(key.to_owned(), value.as_ref().map_or(Value::Null, T::encode));
        }
        let mut object = Map::new();
        object.insert("executor".into(), self.executor.kind().name().into());
        put(&mut object, "startTime", &self.start_time);
        put(&mut object, "gracefulStop", &self.graceful_stop);
        put(&mut object, "env", &self.env);
        put(&mut object, "exec", &self.exec);
        put(&mut object, "tags", &self.tags);
        if self.options.is_some() {
            put(&mut object, "options", &self.options);
        }
        match &self.executor {
            ExecutorOption::SharedIterations { vus, iterations, max_duration }
            | ExecutorOption::PerVuIterations { vus, iterations, max_duration } => {
                put(&mut object, "vus", vus);
                put(&mut object, "iterations", iterations);
                put(&mut object, "maxDuration", max_duration);
            }
            ExecutorOption::ConstantVus { vus, duration } => {
                put(&mut object, "vus", vus);
                put(&mut object, "duration", duration);
            }
            ExecutorOption::RampingVus { start_vus, stages, graceful_ramp_down } => {
                put(&mut object, "startVUs", start_vus);
                put(&mut object, "stages", stages);
                put(&mut object, "gracefulRampDown", graceful_ramp_down);
            }
            ExecutorOption::ConstantArrivalRate { rate, time_unit, duration, pre_allocated_vus, max_vus } => {
                put(&mut object, "rate", rate);
                put(&mut object, "timeUnit", time_unit);
                put(&mut object, "duration", duration);
                put(&mut object, "preAllocatedVUs", pre_allocated_vus);
                put(&mut object, "maxVUs", max_vus);
            }
            ExecutorOption::RampingArrivalRate {
                start_rate,
                time_unit,
                stages,
                pre_allocated_vus,
                max_vus,
            } => {
                put(&mut object, "startRate", start_rate);
                put(&mut object, "timeUnit", time_unit);
                put(&mut object, "stages", stages);
                put(&mut object, "preAllocatedVUs", pre_allocated_vus);
                put(&mut object, "maxVUs", max_vus);
            }
        }
        object.into()
    }
}

impl ExecutorOption {
    fn decode(kind: ExecutorKind, fields: &mut Fields<'_>, remarks: &mut Remarks) -> Result<Self, Invalid> {
        Ok(match kind {
            ExecutorKind::SharedIterations => Self::SharedIterations {
                vus: fields.take("vus", remarks)?,
                iterations: fields.take("iterations", remarks)?,
                max_duration: fields.take("maxDuration", remarks)?,
            },
            ExecutorKind::PerVuIterations => Self::PerVuIterations {
                vus: fields.take("vus", remarks)?,
                iterations: fields.take("iterations", remarks)?,
                max_duration: fields.take("maxDuration", remarks)?,
            },
            ExecutorKind::ConstantVus => Self::ConstantVus {
                vus: fields.take("vus", remarks)?,
                duration: fields.take("duration", remarks)?,
            },
            ExecutorKind::RampingVus => Self::RampingVus {
                start_vus: fields.take("startVUs", remarks)?,
                stages: fields.take("stages", remarks)?,
                graceful_ramp_down: fields.take("gracefulRampDown", remarks)?,
            },
            ExecutorKind::ConstantArrivalRate => Self::ConstantArrivalRate {
                rate: fields.take("rate", remarks)?,
                time_unit: fields.take("timeUnit", remarks)?,
                duration: fields.take("duration", remarks)?,
                pre_allocated_vus: fields.take("preAllocatedVUs", remarks)?,
                max_vus: fields.take("maxVUs", remarks)?,
            },
            ExecutorKind::RampingArrivalRate => Self::RampingArrivalRate {
                start_rate: fields.take("startRate", remarks)?,
                time_unit: fields.take("timeUnit", remarks)?,
                stages: fields.take("stages", remarks)?,
                pre_allocated_vus: fields.take("preAllocatedVUs", remarks)?,
                max_vus: fields.take("maxVUs", remarks)?,
            },
        })
    }

    pub fn kind(&self) -> ExecutorKind {
        match self {
            Self::SharedIterations { .. } => ExecutorKind::SharedIterations,
            Self::PerVuIterations { .. } => ExecutorKind::PerVuIterations,
            Self::ConstantVus { .. } => ExecutorKind::ConstantVus,
            Self::RampingVus { .. } => ExecutorKind::RampingVus,
            Self::ConstantArrivalRate { .. } => ExecutorKind::ConstantArrivalRate,
            Self::RampingArrivalRate { .. } => ExecutorKind::RampingArrivalRate,
        }
    }
}

fn kind_named(name: &str) -> Result<ExecutorKind, Invalid> {
    let kinds = ExecutorKind::ALL.iter().copied();
    kinds.clone().find(|kind| kind.name() == name).ok_or_else(|| {
        let names: Vec<_> = kinds.map(ExecutorKind::name).collect();
        let hint = nearest(name, names.iter().copied()).map(|name| format!("; did you mean {name}?"));
        Invalid::new(format!(
            "unknown executor type '{name}', the known ones are: {}{}",
            names.join(", "),
            hint.unwrap_or_default()
        ))
    })
}

impl OptionValue for Scenarios {
    fn decode(value: &Value, remarks: &mut Remarks) -> Result<Option<Self>, Invalid> {
        let mut scenarios = Self::new();
        for (name, value) in
            value.as_object().ok_or_else(|| Invalid::new("expected an object of scenarios"))?
        {
            // Null says as little of a scenario as an object without anything in it.
            let nothing = Value::Object(Map::new());
            let value = if value.is_null() { &nothing } else { value };
            let scenario = remarks.within(name, |remarks| ScenarioOption::decode(name, value, remarks));
            scenarios.insert(name.clone(), scenario.map_err(|e| e.within(name))?);
        }
        Ok(Some(scenarios))
    }

    fn encode(&self) -> Value {
        json!(self.iter().map(|(name, s)| (name.clone(), s.encode())).collect::<Map<_, _>>())
    }
}
