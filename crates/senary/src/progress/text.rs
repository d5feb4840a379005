//! How progress reads: lines and columns. The formats are the reference's.

use std::time::Duration;

use anstyle::AnsiColor;
use senary_execution::{ExecutorKind, ScenarioProgress, ScenarioStatus};
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
    let (vus, whole) = match s.executor {
        ExecutorKind::RampingVus => {
            let vus = format!("{:0max_vus$}/{} VUs", s.active_vus, s.share.max_vus);
            (vus, fixed(s.duration, s.duration))
        }
        ExecutorKind::ConstantArrivalRate | ExecutorKind::RampingArrivalRate => {
            let vus = format!("{:0max_vus$}/{:0max_vus$} VUs", s.running_vus, s.active_vus);
            (vus, format_go(s.duration))
        }
        ExecutorKind::SharedIterations | ExecutorKind::PerVuIterations | ExecutorKind::ConstantVus => {
            (format!("{} VUs", s.share.vus), format_go(s.duration))
        }
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
mod tests;
