//! How progress reads: lines and columns. The formats are the reference's.

use std::time::Duration;

use anstyle::AnsiColor;
use senary_execution::{ScenarioProgress, ScenarioStatus};
use senary_words::duration::format_go;

use super::{Headline, Running, Snapshot};

/// Characters of a bar, its brackets included.
const BAR: usize = 40;
/// Between a name and a bar: blanks, and the mark of a state.
const MARGIN: usize = 3;
/// A terminal that is narrower has no second lines.
const WIDE_ENOUGH: usize = 80;
/// Longer names of scenarios are cut.
const MAX_NAME: usize = 30;

/// How lines are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// With percentages, as long as they come.
    Percent,
    /// With bars, on lines of so many columns; with second lines, if all lines fit into so many rows.
    Bars { columns: usize, rows: usize, color: bool },
}

/// All lines of a snapshot.
pub fn lines(snapshot: &Snapshot, style: Style) -> Vec<String> {
    let started = matches!(snapshot.headline, Headline::Running(_) | Headline::Teardown);
    let rows: Vec<Row> = snapshot.scenarios.iter().map(|s| Row::of_scenario(s, started)).collect();
    let layout = Layout::new(&rows, style);
    let head = match &snapshot.headline {
        Headline::Running(running) => layout.clip(&running_line(running)),
        Headline::Preparing(what) => layout.line(&Row::of_stage("Init", 0.0, (*what).to_owned())),
        Headline::InitializingVus { initialized, planned } => {
            let fraction = if *planned == 0 { 1.0 } else { *initialized as f64 / *planned as f64 };
            layout.line(&Row::of_stage("Init", fraction, format!("{initialized}/{planned} VUs initialized")))
        }
        Headline::Stage(stage) => layout.line(&Row::of_stage("Run", 1.0, (*stage).to_owned())),
        Headline::Teardown => layout.line(&Row::of_stage("Run", 1.0, "teardown()".to_owned())),
    };
    let scenarios = rows.iter().enumerate().flat_map(|(at, row)| {
        let live = layout.has_live() && started;
        let live = live.then(|| snapshot.scenarios.get(at)).flatten().and_then(|scenario| {
            let measured = snapshot.measured.get(at).cloned().flatten();
            live_line(scenario, measured.as_deref())
        });
        let indent = " ".repeat(layout.name_width + MARGIN);
        [Some(layout.line(row)), live.map(|live| layout.clip(&format!("{indent}{live}")))]
    });
    [head].into_iter().chain(scenarios.flatten()).collect()
}

/// How a scenario does at the moment, so that a dead service is seen at once; nothing before its start and after its end.
fn live_line(s: &ScenarioProgress, measured: Option<&str>) -> Option<String> {
    if !matches!(s.status, ScenarioStatus::Running | ScenarioStatus::Stopping) {
        return None;
    }
    let failures = if s.failures == 1 { "1 failure".to_owned() } else { format!("{} failures", s.failures) };
    let p95 = s.p95.map_or_else(String::new, |(p95, _)| {
        format!(", p95 of {} {}", measured.unwrap_or("iterations"), milliseconds(p95))
    });
    Some(format!("{:.1} iterations/s, {failures}{p95}", s.done_rate))
}

fn milliseconds(of: f64) -> String {
    if of < 1000.0 { format!("{of:.1}ms") } else { format!("{:.2}s", of / 1000.0) }
}

/// As many lines as there is room for; a last one says how many are missing.
pub fn shorten(mut lines: Vec<String>, room: usize) -> Vec<String> {
    if lines.len() > room.max(1) {
        let kept = room.max(1) - 1;
        let missing = lines.len() - kept;
        lines.truncate(kept);
        lines.push(format!("… {missing} more"));
    }
    lines
}

fn running_line(r: &Running) -> String {
    let width = digits(r.max_vus.max(r.initialized_vus));
    format!(
        "running ({}), {:0width$}/{:0width$} VUs, {} complete and {} interrupted iterations",
        fixed(r.elapsed, r.max_duration),
        r.active_vus,
        r.initialized_vus,
        r.complete_iterations,
        r.interrupted_iterations
    )
}

/// What stands to the right of a scenario's bar.
fn columns(s: &ScenarioProgress) -> Vec<String> {
    if s.status == ScenarioStatus::Waiting {
        return vec!["waiting".to_owned(), fixed(s.starts_in, s.starts_in)];
    }
    let max_vus = digits(s.share.max_vus);
    let vus = match s.executor {
        "ramping-vus" => format!("{:0max_vus$}/{} VUs", s.active_vus, s.share.max_vus),
        "constant-arrival-rate" | "ramping-arrival-rate" => {
            format!("{:0max_vus$}/{:0max_vus$} VUs", s.running_vus, s.active_vus)
        }
        _ => format!("{} VUs", s.share.vus),
    };
    let whole = match s.executor {
        "ramping-vus" => fixed(s.duration, s.duration),
        _ => format_go(s.duration),
    };
    let over = s.elapsed >= s.duration;
    let time = if over { format_go(s.duration) } else { format!("{}/{whole}", fixed(s.elapsed, s.duration)) };
    let mut columns = vec![vus, time];
    if let Some(all) = s.share.iterations {
        let done = format!("{:0width$}/{all}", s.iterations, width = digits(all));
        columns.push(match s.iterations_per_vu {
            Some(each) => format!("{done} iters, {each} per VU"),
            None => format!("{done} shared iters"),
        });
    }
    if let Some(rate) = s.rate {
        let width = format!("{:.2}", s.share.rate.unwrap_or(rate)).len();
        columns.push(format!("{rate:0width$.2} iters/s"));
    }
    columns
}

/// A line: a name, a bar, and columns to the right of it.
struct Row {
    name: String,
    status: ScenarioStatus,
    fraction: f64,
    columns: Vec<String>,
}

impl Row {
    fn of_scenario(s: &ScenarioProgress, started: bool) -> Self {
        let name = short_name(&s.name);
        if !started {
            return Self { name, status: ScenarioStatus::Running, fraction: 0.0, columns: Vec::new() };
        }
        Self { name, status: s.status, fraction: s.fraction, columns: columns(s) }
    }

    fn of_stage(name: &str, fraction: f64, what: String) -> Self {
        Self { name: name.to_owned(), status: ScenarioStatus::Running, fraction, columns: vec![what] }
    }

    fn glyph(&self) -> char {
        match self.status {
            ScenarioStatus::Waiting => '•',
            ScenarioStatus::Running => ' ',
            ScenarioStatus::Stopping => '↓',
            ScenarioStatus::Done => '✓',
            ScenarioStatus::Interrupted => '✗',
        }
    }

    fn color(&self) -> anstyle::Style {
        match self.status {
            ScenarioStatus::Waiting => anstyle::Style::new().dimmed(),
            ScenarioStatus::Running => AnsiColor::Cyan.on_default(),
            ScenarioStatus::Stopping => AnsiColor::Yellow.on_default(),
            ScenarioStatus::Done => AnsiColor::Green.on_default(),
            ScenarioStatus::Interrupted => AnsiColor::Red.on_default(),
        }
    }
}

/// How the lines of a snapshot stand under each other.
struct Layout {
    style: Style,
    scenarios: usize,
    name_width: usize,
    column_widths: Vec<usize>,
    /// Whether there is room for bars; all lines have one, or none.
    bars: bool,
}

impl Layout {
    fn new(rows: &[Row], style: Style) -> Self {
        let names = rows.iter().map(|row| row.name.chars().count());
        let name_width = names.fold("Init".len(), usize::max);
        let column_widths = column_widths(rows);
        let right: usize = column_widths.iter().map(|width| width + GAP.len()).sum();
        let bars = match style {
            Style::Percent => false,
            Style::Bars { columns, .. } => name_width + MARGIN + BAR + right <= columns,
        };
        Self { style, scenarios: rows.len(), name_width, column_widths, bars }
    }

    /// Whether each scenario has a second line.
    fn has_live(&self) -> bool {
        match self.style {
            Style::Percent => false,
            // An empty line comes before the first one.
            Style::Bars { columns, rows, .. } => columns >= WIDE_ENOUGH && 2 + 2 * self.scenarios <= rows,
        }
    }

    fn line(&self, row: &Row) -> String {
        let name = format!("{:<width$} ", row.name, width = self.name_width);
        let bar = if self.bars { bar(row.fraction) } else { percent(row.fraction) };
        let state = format!("{} {bar}", row.glyph());
        let columns = self.columns(&row.columns);
        let line = self.clip(&format!("{name}{state}{columns}"));
        match self.style {
            Style::Bars { color: true, .. } if line.starts_with(&format!("{name}{state}")) => {
                let (color, rest) = (row.color(), &line[name.len() + state.len()..]);
                format!("{name}{color}{state}{color:#}{rest}")
            }
            _ => line,
        }
    }

    /// The columns, each as wide as on the other lines; nothing trails.
    fn columns(&self, columns: &[String]) -> String {
        let mut text = String::new();
        for (index, column) in columns.iter().enumerate() {
            let width = self.column_widths.get(index).copied().unwrap_or_default();
            text.push_str(if index == 0 { " " } else { GAP });
            text.push_str(&format!("{column:<width$}"));
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn clip(&self, line: &str) -> String {
        match self.style {
            Style::Percent => line.to_owned(),
            Style::Bars { columns, .. } => line.chars().take(columns).collect(),
        }
    }
}

/// Between two columns.
const GAP: &str = "  ";

fn column_widths(rows: &[Row]) -> Vec<usize> {
    let mut widths = Vec::new();
    for row in rows {
        for (index, column) in row.columns.iter().enumerate() {
            if index == widths.len() {
                widths.push(0);
            }
            widths[index] = column.chars().count().max(widths[index]);
        }
    }
    widths
}

fn percent(fraction: f64) -> String {
    format!("[ {:>3}% ]", (fraction.clamp(0.0, 1.0) * 100.0).round())
}

/// `[=====>-----]`
fn bar(fraction: f64) -> String {
    let room = BAR - 2;
    let filled = ((fraction.clamp(0.0, 1.0) * room as f64).round() as usize).min(room);
    let mut bar = String::from("[");
    if filled > 0 {
        bar.push_str(&"=".repeat(filled - 1));
        bar.push(if filled == room { '=' } else { '>' });
    }
    bar.push_str(&"-".repeat(room - filled));
    bar.push(']');
    bar
}

fn short_name(name: &str) -> String {
    if name.chars().count() <= MAX_NAME {
        return name.to_owned();
    }
    name.chars().take(MAX_NAME - 1).chain(['…']).collect()
}

fn digits(n: u64) -> usize {
    n.checked_ilog10().unwrap_or_default() as usize + 1
}

/// A duration to the tenth of a second, as long as the longest one would be: `00m01.0s` of ten minutes.
fn fixed(duration: Duration, longest: Duration) -> String {
    let tenths = duration.as_millis() / 100;
    let longest = longest.as_secs();
    let (minute, hour, day) = (60, 60 * 60, 24 * 60 * 60);
    let seconds = tenths / 10;
    let tenth = tenths % 10;
    let part = |unit: u64, below: u64| (seconds / u128::from(unit)) % u128::from(below);
    let width = |unit: u64| digits(longest / unit);
    let (s, m, h) = (part(1, 60), part(minute, 60), part(hour, 24));
    if longest >= day {
        let d = seconds / u128::from(day);
        return format!("{d:0w$}d{h:02}h{m:02}m{s:02}.{tenth}s", w = width(day));
    }
    if longest >= hour {
        let h = seconds / u128::from(hour);
        return format!("{h:0w$}h{m:02}m{s:02}.{tenth}s", w = width(hour));
    }
    if longest >= minute {
        let m = seconds / u128::from(minute);
        return format!("{m:0w$}m{s:02}.{tenth}s", w = width(minute));
    }
    format!("{seconds:0w$}.{tenth}s", w = width(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use senary_execution::Share;

    use super::*;
    use crate::terminal;

    fn scenario(
        name: &str,
        executor: &'static str,
        fraction: f64,
        seconds: f64,
        whole: u64,
    ) -> ScenarioProgress {
        ScenarioProgress {
            name: name.to_owned(),
            executor,
            status: ScenarioStatus::Running,
            fraction,
            elapsed: Duration::from_secs_f64(seconds),
            duration: Duration::from_secs(whole),
            starts_in: Duration::ZERO,
            active_vus: 2,
            running_vus: 1,
            share: Share { vus: 2, max_vus: 2, iterations: None, rate: None, part: 1.0 },
            iterations: 0,
            failures: 0,
            done_rate: 0.0,
            p95: None,
            iterations_per_vu: None,
            rate: None,
        }
    }

    fn running(scenarios: Vec<ScenarioProgress>) -> Snapshot {
        let headline = Headline::Running(Running {
            elapsed: Duration::from_millis(1049),
            max_duration: Duration::from_secs(630),
            active_vus: 7,
            initialized_vus: 13,
            max_vus: 13,
            complete_iterations: 13,
            interrupted_iterations: 0,
        });
        Snapshot { headline, scenarios, measured: Vec::new() }
    }

    fn every_kind() -> Snapshot {
        let mut car = scenario("car", "constant-arrival-rate", 0.334, 1.0, 3);
        (car.rate, car.share.rate) = (Some(5.0), Some(5.0));
        let cv = scenario("cv", "constant-vus", 0.334, 1.0, 3);
        let mut pvi = scenario("pvi", "per-vu-iterations", 0.6667, 1.0, 600);
        (pvi.share.vus, pvi.share.iterations, pvi.iterations, pvi.iterations_per_vu) =
            (1, Some(3), 2, Some(3));
        let mut rar = scenario("rar", "ramping-arrival-rate", 0.334, 1.0, 3);
        (rar.rate, rar.share.rate) = (Some(3.98), Some(10.0));
        let mut rv = scenario("rv", "ramping-vus", 0.334, 1.0, 3);
        (rv.active_vus, rv.share.max_vus) = (1, 3);
        let mut si = scenario("si", "shared-iterations", 0.8, 1.0, 600);
        (si.share.iterations, si.iterations) = (Some(5), 4);
        let mut late = scenario("late", "constant-vus", 0.0, 0.0, 3);
        (late.status, late.starts_in) = (ScenarioStatus::Waiting, Duration::from_secs(1));
        running(vec![car, cv, pvi, rar, rv, si, late])
    }

    #[test]
    fn every_executor_off_a_terminal() {
        let expected = "\
running (00m01.0s), 07/13 VUs, 13 complete and 0 interrupted iterations
car    [  33% ] 1/2 VUs  1.0s/3s         5.00 iters/s
cv     [  33% ] 2 VUs    1.0s/3s
pvi    [  67% ] 1 VUs    00m01.0s/10m0s  2/3 iters, 3 per VU
rar    [  33% ] 1/2 VUs  1.0s/3s         03.98 iters/s
rv     [  33% ] 1/3 VUs  1.0s/3.0s
si     [  80% ] 2 VUs    00m01.0s/10m0s  4/5 shared iters
late • [   0% ] waiting  1.0s";
        assert_eq!(lines(&every_kind(), Style::Percent).join("\n"), expected);
    }

    #[test]
    fn bars_on_a_terminal() {
        let mut snapshot = every_kind();
        snapshot.scenarios.truncate(2);
        snapshot.scenarios[1].status = ScenarioStatus::Done;
        snapshot.scenarios[1].fraction = 1.0;
        snapshot.scenarios[1].elapsed = Duration::from_millis(3004);
        let lines = lines(&snapshot, Style::Bars { columns: 100, rows: 1, color: false });
        assert_eq!(
            lines[1],
            "car    [============>-------------------------] 1/2 VUs  1.0s/3s  5.00 iters/s"
        );
        assert_eq!(lines[2], "cv   ✓ [======================================] 2 VUs    3s");
    }

    #[test]
    fn a_second_line_says_how_a_scenario_does() {
        let mut snapshot = every_kind();
        snapshot.scenarios.truncate(2);
        (snapshot.scenarios[0].done_rate, snapshot.scenarios[0].failures) = (97.31, 1);
        snapshot.scenarios[0].p95 = Some((12.34, Some(senary_metrics::MetricId(0))));
        snapshot.scenarios[1].p95 = Some((1234.0, None));
        snapshot.measured = vec![Some("answered".to_owned()), None];
        let at = |columns, rows| lines(&snapshot, Style::Bars { columns, rows, color: false });
        let shown = at(80, 6);
        assert_eq!(shown.len(), 5, "{shown:?}");
        assert_eq!(shown[2], "       97.3 iterations/s, 1 failure, p95 of answered 12.3ms");
        assert_eq!(shown[4], "       0.0 iterations/s, 0 failures, p95 of iterations 1.23s");
        assert_eq!((at(79, 6).len(), at(80, 5).len()), (3, 3), "only where there is room for all");
        snapshot.scenarios[1].status = ScenarioStatus::Done;
        assert_eq!(lines(&snapshot, Style::Bars { columns: 80, rows: 6, color: false }).len(), 4);
    }

    #[test]
    fn colour_goes_with_the_state() {
        let mut snapshot = every_kind();
        snapshot.scenarios.truncate(1);
        snapshot.scenarios[0].status = ScenarioStatus::Interrupted;
        let lines = lines(&snapshot, Style::Bars { columns: 100, rows: 1, color: true });
        assert!(
            lines[1].starts_with("car  \x1b[31m✗ [===") && lines[1].contains("-]\x1b[0m 1/2 VUs"),
            "{}",
            lines[1]
        );
    }

    #[test]
    fn narrow_terminals_lose_the_bar_then_columns() {
        let mut snapshot = every_kind();
        snapshot.scenarios.truncate(1);
        let at = |columns| lines(&snapshot, Style::Bars { columns, rows: 1, color: true })[1].clone();
        assert_eq!(at(60), "car  \x1b[36m  [  33% ]\x1b[0m 1/2 VUs  1.0s/3s  5.00 iters/s");
        assert_eq!(at(20), "car  \x1b[36m  [  33% ]\x1b[0m 1/2 ");
        assert_eq!(at(10), "car    [  ");
    }

    #[test]
    fn before_and_after_the_load() {
        let waiting = scenario("default", "constant-vus", 0.0, 0.0, 3);
        let text = |headline| {
            lines(
                &Snapshot { headline, scenarios: vec![waiting.clone()], measured: Vec::new() },
                Style::Percent,
            )
            .join("\n")
        };
        let vus = Headline::InitializingVus { initialized: 1, planned: 2 };
        assert_eq!(text(vus), "Init      [  50% ] 1/2 VUs initialized\ndefault   [   0% ]");
        assert_eq!(
            text(Headline::Preparing("Starting outputs")),
            "Init      [   0% ] Starting outputs\ndefault   [   0% ]"
        );
        assert_eq!(text(Headline::Stage("setup()")), "Run       [ 100% ] setup()\ndefault   [   0% ]");
        let mut over = scenario("default", "constant-vus", 1.0, 3.0, 3);
        over.status = ScenarioStatus::Done;
        let teardown = Snapshot { headline: Headline::Teardown, scenarios: vec![over], measured: Vec::new() };
        let expected = "Run       [ 100% ] teardown()\ndefault ✓ [ 100% ] 2 VUs  3s";
        assert_eq!(lines(&teardown, Style::Percent).join("\n"), expected);
    }

    #[test]
    fn durations_are_as_long_as_the_longest() {
        let of = |ms, longest| fixed(Duration::from_millis(ms), Duration::from_secs(longest));
        assert_eq!(of(1099, 3), "1.0s");
        assert_eq!(of(1000, 10), "01.0s");
        assert_eq!(of(59_999, 60), "0m59.9s");
        assert_eq!(of(61_000, 5400), "0h01m01.0s");
        assert_eq!(of(90_000_000, 864_000), "01d01h00m00.0s");
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(short_name(&"x".repeat(31)), format!("{}…", "x".repeat(29)));
        assert_eq!(short_name(&"x".repeat(30)), "x".repeat(30));
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let lines = |n: usize| (1..=n).map(|i| i.to_string()).collect::<Vec<_>>();
        assert_eq!(shorten(lines(3), 3), lines(3));
        assert_eq!(shorten(lines(4), 3), ["1", "2", "… 2 more"]);
    }

    proptest! {
        #[test]
        fn lines_never_exceed_the_terminal(columns in 0usize..200, fraction in -1.0f64..2.0, rows in 0usize..40, color: bool) {
            let mut snapshot = every_kind();
            snapshot.scenarios[0].fraction = fraction;
            for line in lines(&snapshot, Style::Bars { columns, rows, color }) {
                prop_assert!(terminal::width(&line) <= columns);
            }
        }
    }
}
