//! `k6/execution`: what a script may know, and change, of the test it runs in.
//! (<https://grafana.com/docs/k6/latest/javascript-api/k6-execution/>)
//!
//! The natives answer single questions; `FACADE` arranges them as the objects scripts see.

use rquickjs::function::Opt;
use rquickjs::{Coerced, Ctx, Function, Object, Value};
use senary_execution::StopReason;
use senary_js::errors::{self, throw_uncatchable};
use senary_js::snippet::Snippet;
use senary_js::source::loader::store_of;
use senary_js::source::{frames, stack};
use senary_js::vu::core::vu_of;
use senary_metrics::failures::shape;
use senary_metrics::{Details, FailureId, FailureKind};

use crate::metrics::tag_value;

static FACADE: Snippet = Snippet::new(
    "k6/execution",
    "(function (n) {
  const getters = (o, table) => { for (const k of Object.keys(table)) Object.defineProperty(o, k, { get: table[k], enumerable: true }); return o };
  const own = (get, k) => typeof k === 'string' ? get(k) : undefined;
  const store = (get, set, keys) => new Proxy({}, {
    get: (o, k) => own(get, k) ?? Reflect.get(o, k),
    set: (_, k, v) => typeof k === 'string' && (set(k, v), true),
    defineProperty: (_, k, d) => typeof k === 'string' && 'value' in d && d.configurable !== false && (set(k, d.value), true),
    deleteProperty: (_, k) => { if (own(get, k) !== undefined) set(k, undefined, true); return true },
    has: (o, k) => own(get, k) !== undefined || Reflect.has(o, k),
    ownKeys: () => keys(),
    getOwnPropertyDescriptor: (_, k) => {
      const value = own(get, k);
      return value === undefined ? undefined : { value, writable: true, enumerable: true, configurable: true };
    },
  });
  const freeze = (o) => { if (o !== null && typeof o === 'object') { Object.values(o).forEach(freeze); Object.freeze(o) } return o };
  let options;
  const tags = store(n.tag, n.setTag, n.tagKeys);
  const metadata = store(n.metadata, n.setMetadata, n.metadataKeys);
  const metrics = getters({}, { tags: () => tags, metadata: () => metadata });
  const instance = getters({}, {
    iterationsInterrupted: () => n.instance(0), iterationsCompleted: () => n.instance(1), vusActive: () => n.instance(2),
    vusInitialized: () => n.instance(3), currentTestRunDuration: () => n.instance(4) });
  const scenario = getters({}, {
    name: () => n.scenario(0), executor: () => n.scenario(1), startTime: () => n.scenario(2), progress: () => n.scenario(3),
    iterationInInstance: () => n.scenario(4), iterationInTest: () => n.scenario(5) });
  const vu = getters({}, {
    idInInstance: () => n.vu(0), idInTest: () => n.vu(1), iterationInInstance: () => n.vu(2), iterationInScenario: () => n.vu(3),
    tags: () => tags, metrics: () => metrics });
  const test = getters({ abort: n.abort, fail: n.fail }, { options: () => options ??= freeze(JSON.parse(n.options())) });
  const all = getters({}, { instance: () => instance, scenario: () => scenario, test: () => test, vu: () => vu });
  return { ...all, default: all };
})",
);

pub fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let natives = Object::new(ctx.clone())?;
    let add =
        |name: &str, function: rquickjs::Result<Function<'js>>| natives.set(name, function?.with_name(name)?);
    add("instance", Function::new(ctx.clone(), instance))?;
    add("scenario", Function::new(ctx.clone(), scenario))?;
    add("vu", Function::new(ctx.clone(), vu))?;
    add("options", Function::new(ctx.clone(), options))?;
    add("abort", Function::new(ctx.clone(), abort))?;
    add("fail", Function::new(ctx.clone(), fail))?;
    add("tag", Function::new(ctx.clone(), tag))?;
    add("setTag", Function::new(ctx.clone(), set_tag))?;
    add("tagKeys", Function::new(ctx.clone(), tag_keys))?;
    add("metadata", Function::new(ctx.clone(), metadata))?;
    add("setMetadata", Function::new(ctx.clone(), set_metadata))?;
    add("metadataKeys", Function::new(ctx.clone(), metadata_keys))?;
    FACADE.evaluate(ctx)?.get::<Function<'js>>()?.call((natives,))
}

fn instance(ctx: Ctx<'_>, what: u32) -> rquickjs::Result<f64> {
    let vu = vu_of(&ctx)?;
    if vu.script_context.is_init() {
        return Err(errors::throw_go_error(
            &ctx,
            "getting instance information in the init context is not supported",
        ));
    }
    let state = &vu.worker.state;
    Ok(match what {
        0 => state.interrupted_iterations() as f64,
        1 => state.full_iterations() as f64,
        2 => state.active_vus() as f64,
        3 => state.initialized_vus() as f64,
        _ => state.run_duration().as_secs_f64() * 1e3,
    })
}

fn scenario<'js>(ctx: Ctx<'js>, what: u32) -> rquickjs::Result<Value<'js>> {
    use rquickjs::IntoJs;
    let vu = vu_of(&ctx)?;
    let Some(activation) = vu.activation().filter(|_| !vu.script_context.is_init()) else {
        let text = "getting scenario information outside of the VU context is not supported";
        return Err(errors::throw_go_error(&ctx, text));
    };
    match what {
        0 => activation.scenario.as_str().into_js(&ctx),
        1 => activation.executor.into_js(&ctx),
        2 => (activation.started_unix_ms as f64).into_js(&ctx),
        3 => (activation.progress)().into_js(&ctx),
        4 => (vu.iteration.get().in_instance as f64).into_js(&ctx),
        _ => (vu.iteration.get().in_test as f64).into_js(&ctx),
    }
}

fn vu(ctx: Ctx<'_>, what: u32) -> rquickjs::Result<f64> {
    let vu = vu_of(&ctx)?;
    if vu.script_context.is_init() {
        return Err(errors::throw_go_error(
            &ctx,
            "getting VU information in the init context is not supported",
        ));
    }
    Ok(match what {
        0 => vu.id.in_instance as f64,
        1 => vu.id.in_test as f64,
        2 => vu.iterations_begun.get().saturating_sub(1) as f64,
        _ => vu.iterations_in_scenario.get().saturating_sub(1) as f64,
    })
}

fn options(ctx: Ctx<'_>) -> rquickjs::Result<String> {
    let vu = vu_of(&ctx)?;
    if vu.script_context.is_init() {
        return Err(errors::throw_go_error(
            &ctx,
            "getting test options in the init context is not supported",
        ));
    }
    Ok(vu.settings.options_json.clone())
}

fn abort(ctx: Ctx<'_>, message: Opt<Value<'_>>) -> rquickjs::Result<()> {
    let vu = vu_of(&ctx)?;
    let mut text = "test aborted".to_owned();
    if let Some(message) = message.0.filter(|m| !m.is_undefined()) {
        text = format!("test aborted: {}", message.get::<Coerced<String>>()?.0);
    }
    if let Some(frame) = frames::current(&ctx).into_iter().find(|frame| frame.url().is_some()) {
        text.push_str(&format!(" at {}", stack::place(&frame, store_of(&ctx).ok().as_ref())));
    }
    vu.aborted.set(true);
    vu.interrupt.raise();
    vu.fail(&FailureId::new(FailureKind::Stopped, &text), || told(&ctx, &text));
    vu.worker.shutdown.stop(StopReason::ScriptAborted { message: text.clone() });
    Err(throw_uncatchable(&ctx, &text))
}

fn fail(ctx: Ctx<'_>, message: Opt<Value<'_>>) -> rquickjs::Result<()> {
    let vu = vu_of(&ctx)?;
    if vu.script_context.is_init() {
        return Err(errors::throw_go_error(&ctx, "execution.test.fail() called outside of VU context"));
    }
    let mut text = "test marked as failed".to_owned();
    if let Some(message) = message.0.filter(|m| !m.is_undefined()) {
        text = format!("{text}: {}", message.get::<Coerced<String>>()?.0);
    }
    vu.worker.state.mark_failed();
    vu.fail(&FailureId::new(FailureKind::Stopped, &shape(&text)), || told(&ctx, &text));
    log::error!("{text}");
    Ok(())
}

fn told(ctx: &Ctx<'_>, text: &str) -> Details {
    Details { text: text.to_owned(), place: stack::here(ctx).unwrap_or_default() }
}

fn tag(ctx: Ctx<'_>, key: String) -> rquickjs::Result<Option<String>> {
    Ok(vu_of(&ctx)?.tags.current().get(&key).map(str::to_owned))
}

fn set_tag<'js>(ctx: Ctx<'js>, key: String, value: Value<'js>, remove: Opt<bool>) -> rquickjs::Result<()> {
    let vu = vu_of(&ctx)?;
    if remove.0 == Some(true) {
        vu.tags.remove(&vu.worker, &key);
        return Ok(());
    }
    let value = tag_value(&ctx, &key, &value)?;
    vu.tags.set(&vu.worker, &key, &value);
    Ok(())
}

fn tag_keys(ctx: Ctx<'_>) -> rquickjs::Result<Vec<String>> {
    Ok(vu_of(&ctx)?.tags.current().iter().map(|(k, _)| k.to_owned()).collect())
}

fn metadata(ctx: Ctx<'_>, key: String) -> rquickjs::Result<Option<String>> {
    Ok(vu_of(&ctx)?.tags.metadata_value(&key).map(|v| v.to_string()))
}

fn set_metadata<'js>(
    ctx: Ctx<'js>,
    key: String,
    value: Value<'js>,
    remove: Opt<bool>,
) -> rquickjs::Result<()> {
    let vu = vu_of(&ctx)?;
    if remove.0 == Some(true) {
        vu.tags.set_metadata(&key, None);
        return Ok(());
    }
    let value = tag_value(&ctx, &key, &value)?;
    vu.tags.set_metadata(&key, Some(&value));
    Ok(())
}

fn metadata_keys(ctx: Ctx<'_>) -> rquickjs::Result<Vec<String>> {
    Ok(vu_of(&ctx)?.tags.metadata_keys().iter().map(|k| k.to_string()).collect())
}
