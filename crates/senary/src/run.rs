//! `senary run`: the main line, from arguments to exit code.
//!
//! Everything happens in the order in which it stands here. What may take long runs on threads of its own; this one
//! waits for it and for signals, so that a run can be ended at any moment and still reports its results.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::SystemTime;

use senary_execution::Shutdown;
use senary_js::source::input;
use senary_metrics::threshold::WatchList;
use senary_net::EchoServer;
use senary_output::{Output, OutputContext, OutputSpec};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::cli::RunArgs;
use crate::command_error::CommandError;
use crate::dashboard::{self, Prepared, Wanted, Watching};
use crate::environment::Environment;
use crate::event_loop::event_loop;
use crate::http_server::Server;
use crate::options::{OptionLayers, Options};
use crate::plan::TestPlan;
use crate::report::Closing;
use crate::rest::WrittenState;
use crate::script::{Loaded, Planned};
use crate::settings::{GivenTest, GlobalSettings, RuntimeSettings};
use crate::shared_setup::SharedSetup;
use crate::state::States;
use crate::test_run::TestRun;
use crate::{failures, logging, open_files, report, rest, script, signals, stacks, state, view, vu_memory};

pub fn run(args: &RunArgs, global: &GlobalSettings, env: &Environment) -> Result<(), CommandError> {
    let shutdown = Shutdown::new();
    let runtime = event_loop()?;
    // Before the event loop runs: in it, nothing that fails here could be taken apart.
    let signalled = signals::watch(shutdown.clone()).map_err(CommandError::system("watching for signals"))?;
    let run = main_line(args, global, env, shutdown.clone(), signalled);
    runtime.block_on(run).map_err(|failure| match shutdown.reason() {
        // What was waited for in vain is not what has failed.
        Some(reason) if input::was_given_up() => CommandError::Stopped(reason.clone()),
        _ => failure,
    })
}

async fn main_line(
    args: &RunArgs,
    global: &GlobalSettings,
    env: &Environment,
    shutdown: Shutdown,
    signalled: CancellationToken,
) -> Result<(), CommandError> {
    let (begun, open_files) = (SystemTime::now(), senary_net::limits::raise_open_files());

    // Arguments → source → bundle → options → plan.
    let name = args.script.name();
    let mut runtime = RuntimeSettings::new(&args.script.runtime, env, true)?;
    let layers = OptionLayers::read(args.layer()?, env, global.config.as_ref())?;
    runtime.given = args.script.generated.clone().map(GivenTest::Script);
    runtime.freeze_env = layers.freezes_env();
    runtime.memory_limit = layers.vu_memory_limit();
    if let Some(path) = layers.console_output() {
        logging::console_to(path.as_ref())?;
    }
    let echo = start_echo(args, &mut runtime)?;
    let Planned { test, plan, as_given } =
        script::planned(name, layers, &runtime, global, env, &shutdown).await?;
    let (mut outputs, states) = open_outputs(args, global, &plan, &test, &as_given, env)?;
    let prepared = Prepared::new(Wanted::new(args, &plan, env)?, &plan, test.bundle.registry())?;

    // Plan → scheduler → workers → iterations → samples → metrics engine and outputs.
    let (view, workers) = (view::View::new(global), worker_count(args, &plan));
    view.describe(name, &plan.load, &outputs, prepared.as_ref().and_then(Prepared::url).as_deref());
    outputs.extend(prepared.iter().flat_map(Prepared::outputs).chain(states.watcher()));
    let shared_setup = shared_setup(args, env, &plan, begun, (&test, &as_given)).await?;
    let mut run = TestRun::start(plan, Arc::new(test.bundle), outputs, workers, shutdown)?;
    run.shared_setup = shared_setup;
    let writing = states.start(&run)?;
    let mut watching = prepared.map(|prepared| prepared.start(&run, &test.source.url)).transpose()?;
    let _api = serve_api(&run, global, writing.for_clients())?;
    check_machine(&run, open_files, echo.is_some())?;
    let progress = view.follow(&run)?;
    let outcome = run.execute().await;
    watching.iter_mut().for_each(Watching::run_is_over);
    let (ended, finished) = run.finish().await;
    writing.keep(&finished.totals);

    // Results → summary → exit code. What the load had to say last stands above the bars that stay; of blocks, the last
    // one follows the summary.
    logging::flush_lines();
    let last_block = (!view.has_bars()).then_some(progress);
    report::warn_of_nothing_done(&ended, &finished.results);
    let wrong = failures::of_run(&ended.handle.run, &finished);
    let closing = Closing::of_run(&ended, test.source.text, global.no_color);
    let reported = report::write(&closing, finished.results, wrong, &signalled).await;
    drop(last_block);
    senary_net::lingering::wait_all();
    let verdict = ended.verdict(outcome.and(reported), finished.crossed);
    writing.finish(&verdict, &ended, finished.totals, &finished.output_errors);
    if let Some(watching) = watching {
        watching.finish(&verdict, &ended, finished.output_errors, &signalled).await;
    }
    ended.linger(&signalled, global.quiet).await;
    verdict
}

/// The echo server of `--with-echo`, on a free port, and its address in the script's `__ENV`.
fn start_echo(args: &RunArgs, runtime: &mut RuntimeSettings) -> Result<Option<EchoServer>, CommandError> {
    if !args.config.with_echo.unwrap_or_default() {
        return Ok(None);
    }
    let server = EchoServer::start((Ipv4Addr::LOCALHOST, 0).into(), false)
        .map_err(CommandError::system("starting the echo server"))?;
    let address = server.address();
    runtime.env.push(("TCP_HOST".to_owned(), address.ip().to_string()));
    runtime.env.push(("TCP_PORT".to_owned(), address.port().to_string()));
    Ok(Some(server))
}

fn open_outputs(
    args: &RunArgs,
    global: &GlobalSettings,
    plan: &TestPlan,
    test: &Loaded,
    as_given: &Options,
    env: &Environment,
) -> Result<(Vec<Box<dyn Output>>, States), CommandError> {
    warn_if_instances_are_alike(args, plan, env);
    let collectors = Value::Object(plan.output_settings.clone());
    let variables = env.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let context = OutputContext {
        env: &variables,
        collectors: Some(&collectors),
        features: &plan.features,
        system_tags: &plan.indexed_system_tags,
        registry: test.bundle.registry(),
        watched: &WatchList::new(&plan.thresholds, plan.evaluate_thresholds),
    };
    let open = |text: &String| OutputSpec::parse(text)?.create(&context);
    let texts = plan.outputs.iter().filter(|text| !dashboard::is_meant_by(text) && !state::is_meant_by(text));
    let mut outputs = texts.map(open).collect::<Result<Vec<_>, _>>().map_err(CommandError::Output)?;
    let states = States::wanted(plan, test.kept(as_given), &context, global.address.is_some())?;
    outputs.extend(states.outputs());
    Ok((outputs, states))
}

/// The file of `--setup-data`, if one is given; `begun` is when this process did.
async fn shared_setup(
    args: &RunArgs,
    env: &Environment,
    plan: &TestPlan,
    begun: SystemTime,
    (test, as_given): (&Loaded, &Options),
) -> Result<Option<SharedSetup>, CommandError> {
    let hash = || state::script_hash(&test.kept(as_given));
    SharedSetup::wanted(args.config.setup_data.as_deref(), env, plan, begun, hash).await
}

/// Several instances of a test send the same time series to a server, which then has no more than one of them, unless a tag
/// tells them apart. A tag in the script or the configuration does not: it is the same for all of them.
fn warn_if_instances_are_alike(args: &RunArgs, plan: &TestPlan, env: &Environment) {
    let has_tags = !args.options.tag.is_empty() || env.get("K6_TAGS").is_some();
    if plan.load.segment().segment().is_full() || plan.instance.is_some() || has_tags {
        return;
    }
    let specs = plan.outputs.iter().filter_map(|text| OutputSpec::parse(text).ok());
    if let Some(output) = specs.into_iter().find(OutputSpec::joins_instances) {
        log::warn!(
            "This instance runs a segment of the test and sends its results to {}, where the same time series of other instances would take their place: give each instance a tag of its own, such as --tag instance_id=1, or use --instance-index and --instance-count",
            output.kind()
        );
    }
}

/// The REST API, if an address was given. Failing to listen is an error only if the address was given as a flag.
fn serve_api(
    run: &TestRun,
    global: &GlobalSettings,
    state: WrittenState,
) -> Result<Option<Server>, CommandError> {
    let served = global.address.as_ref().map(|address| rest::serve(address, run.handle.clone(), state));
    let api = match served.transpose() {
        Err(error) if global.address_from_flag => return Err(CommandError::RestApi(error)),
        Err(error) => {
            log::warn!("{}", CommandError::RestApi(error));
            None
        }
        Ok(api) => api,
    };
    if run.plan.paused {
        say_how_to_resume(api.as_ref());
    }
    Ok(api)
}

/// Warns of what the machine may have too little of; too little memory is an error.
fn check_machine(run: &TestRun, open_files: Option<u64>, has_echo: bool) -> Result<(), CommandError> {
    open_files::warn_if_too_few(run, open_files, has_echo);
    stacks::warn_if_too_few(run);
    vu_memory::refuse_too_many(run)
}

/// A paused test starts when a client of the REST API resumes it, and never without the API.
fn say_how_to_resume(api: Option<&Server>) {
    let resume = "PATCH /v1/status with {\"data\": {\"type\": \"status\", \"id\": \"default\", \"attributes\": {\"paused\": false}}}";
    match api {
        Some(server) => {
            log::info!("the test is paused; to start it, send http://{} a {resume}", server.address())
        }
        None => log::warn!(
            "the test is paused, and nothing can start it: the REST API is off. Leave out --paused (the option `paused`, K6_PAUSED), or give --address localhost:6565 and send it a {resume}"
        ),
    }
}

/// One worker per core, unless the user chooses another number; but none that would have no VU.
fn worker_count(args: &RunArgs, plan: &TestPlan) -> usize {
    let with_vus = || {
        let cores = available_parallelism().map_or(1, Into::into);
        cores.min(usize::try_from(plan.load.max_vus()).unwrap_or(usize::MAX))
    };
    args.config.workers.unwrap_or_else(with_vus).max(1)
}
