//! The text at the end of a run, compact or full.
//!
//! A section (`█ TOTAL RESULTS`) is made of blocks with an empty line between them: the figures of all checks,
//! one line per check, one block of metrics per category. Names and columns line up within a section; a group
//! inside another is set further in and lines up by itself.

use anstyle::{AnsiColor, Style};
use senary_metrics::engine::ThresholdResult;
use senary_metrics::group::{SEPARATOR, steps};

use super::failures::Told;
use super::instances::without_controls;
use super::{Breakdown, CheckLine, Instances, Metric, Summary, TrendStat, Values, all_checks};
use crate::number::{percentage, plain, value};

/// The scenario that options without scenarios stand for; it has no section of its own.
const DEFAULT_SCENARIO: &str = "default";

/// Categories of metrics in the order they are shown, after the scripts' own (`CUSTOM`), with
/// the exact names of their metrics. A name that only begins like one of these is a script's own.
const CATEGORIES: [(&str, &[&str]); 6] = [
    (
        "TCP",
        &[
            "tcp_congestion_window",
            "tcp_delivery_rate",
            "tcp_errors",
            "tcp_message_latency",
            "tcp_min_rtt",
            "tcp_msgs_received",
            "tcp_msgs_sent",
            "tcp_partial_writes",
            "tcp_reads",
            "tcp_req_blocked",
            "tcp_req_duration",
            "tcp_req_failed",
            "tcp_req_waiting",
            "tcp_reqs",
            "tcp_retransmits",
            "tcp_rtt",
            "tcp_rtt_variance",
            "tcp_socket_connecting",
            "tcp_socket_duration",
            "tcp_socket_resolving",
            "tcp_sockets",
            "tcp_timeouts",
            "tcp_tls_handshaking",
            "tcp_unmatched_messages",
            "tcp_writes",
        ],
    ),
    (
        "HTTP",
        &[
            "http_req_blocked",
            "http_req_connecting",
            "http_req_duration",
            "http_req_failed",
            "http_req_receiving",
            "http_req_sending",
            "http_req_tls_handshaking",
            "http_req_waiting",
            "http_reqs",
        ],
    ),
    (
        "EXECUTION",
        &[
            "dropped_iterations",
            "iteration_duration",
            "iterations",
            "iterations_failed",
            "iterations_interrupted",
            "vus",
            "vus_max",
        ],
    ),
    ("NETWORK", &["data_received", "data_sent"]),
    ("GRPC", &["grpc_req_duration"]),
    (
        "WEBSOCKET",
        &[
            "ws_connecting",
            "ws_msgs_received",
            "ws_msgs_sent",
            "ws_ping",
            "ws_session_duration",
            "ws_sessions",
        ],
    ),
];

/// These are shown in another form: as lines of checks, and as groups.
const NEVER_LISTED: [&str; 2] = ["checks", "group_duration"];

/// Senary's own among the metrics of iterations. The reference's text has no lines for them, so they are listed only if
/// a threshold names them.
const LISTED_IF_WATCHED: [&str; 2] = ["iterations_failed", "iterations_interrupted"];

/// The heading if the generator could not keep up with its own test.
pub const BOTTLENECK: &str = "the generator was the bottleneck: the figures above cannot be trusted";

/// The text for a threshold without data.
const NO_DATA: &str = "no data";

/// Phases of a request, which compact summaries leave out.
const FULL_ONLY: [&str; 6] = [
    "http_req_blocked",
    "http_req_connecting",
    "http_req_receiving",
    "http_req_sending",
    "http_req_tls_handshaking",
    "http_req_waiting",
];

impl Summary {
    /// The default text, with the empty lines around it.
    pub fn text(&self) -> String {
        let mut text = String::from("\n");
        let thresholds = self.thresholds();
        if !thresholds.is_empty() {
            self.section(&mut text, "THRESHOLDS", &thresholds);
        }
        self.section(&mut text, "TOTAL RESULTS", &self.blocks(&self.checks, &self.metrics, "    "));
        if self.options.full {
            self.full_sections(&mut text);
        }
        if !self.wrong.failures.is_empty() {
            text.push_str(&self.failures());
        }
        if !self.options.remarks.is_empty() {
            self.section(&mut text, "GENERATOR", &self.remarks());
        }
        if !self.options.objections.is_empty() {
            self.section(&mut text, "STRICT", &self.objections());
        }
        if let Some(instances) = &self.options.instances {
            self.section(&mut text, "INSTANCES", &self.instances(instances));
        }
        text.push_str("\n\n");
        text
    }

    /// What each instance has done, then what is missing. The marks are others than those of checks, which programs count.
    fn instances(&self, instances: &Instances) -> Vec<String> {
        let line = |(is_good, line): (bool, String)| match is_good {
            true => format!("    {} {line}", self.paint(FAINT, "·")),
            false => format!("    {} {line}", self.paint(RED, "!")),
        };
        let rows = instances.lines().into_iter().map(line).collect::<Vec<_>>().join("\n");
        let objection = |text: &String| format!("    {} {}", self.paint(RED, "!"), without_controls(text));
        let objections = instances.objections.iter().map(objection).collect::<Vec<_>>().join("\n");
        [rows, objections].into_iter().filter(|block| !block.is_empty()).collect()
    }

    /// The failures, with the most likely cause first. They do not use the marks of checks and thresholds, because
    /// programs that read the text count those.
    fn failures(&self) -> String {
        let line = |failure: &Told| {
            let circumstances = self.paint(FAINT, &failure.circumstances);
            format!("    {} {}\n      {circumstances}", self.paint(RED, "!"), failure.what)
        };
        let lines: Vec<_> = self.wrong.told().iter().map(line).collect();
        format!("    {}\n{}\n\n\n", self.paint(BOLD, "WHAT WENT WRONG"), lines.join("\n"))
    }

    /// Remarks that put the figures above in doubt.
    fn remarks(&self) -> Vec<String> {
        let mut block = format!("    {}", self.paint(RED, BOTTLENECK));
        for remark in &self.options.remarks {
            let (text, advice) = (&remark.text, self.paint(FAINT, &remark.advice));
            block.push_str(&format!("\n    {} {text}\n      ↳ {advice}", self.mark(false)));
        }
        vec![block]
    }

    /// Why the run fails with `--strict`, although it would not fail without it.
    fn objections(&self) -> Vec<String> {
        let line = |objection: &String| format!("    {} {objection}", self.mark(false));
        vec![self.options.objections.iter().map(line).collect::<Vec<_>>().join("\n")]
    }

    fn section(&self, text: &mut String, title: &str, blocks: &[String]) {
        text.push_str(&format!("  █ {} \n\n", self.paint(BOLD, title)));
        text.push_str(&blocks.join("\n\n"));
        text.push_str("\n\n\n");
    }

    /// Groups outside of named scenarios, then the named scenarios with theirs.
    fn full_sections(&self, text: &mut String) {
        let unnamed = |part: &&Breakdown| part.scenario.is_empty() || part.scenario == DEFAULT_SCENARIO;
        let mut outer: Vec<&str> = Vec::new();
        for path in self.parts.iter().filter(unnamed).filter_map(|part| part.group.as_deref()) {
            outer.extend(steps(path).next().map(|(_, path)| path).filter(|path| !outer.contains(path)));
        }
        for path in outer {
            let name = path.strip_prefix(SEPARATOR).unwrap_or(path);
            let scenarios = ["", DEFAULT_SCENARIO];
            let mut blocks = self.own_blocks(&scenarios, path, "    ");
            blocks.extend(self.groups_within(&scenarios, path, "    "));
            if !blocks.is_empty() {
                self.section(text, &format!("GROUP: {name}"), &blocks);
            }
        }
        let mut named: Vec<_> =
            self.parts.iter().filter(|part| part.group.is_none() && !unnamed(part)).collect();
        named.sort_by_key(|part| &part.scenario);
        for part in named {
            let mut blocks = self.blocks(&part.checks, &part.metrics, "    ");
            blocks.extend(self.groups_within(&[&part.scenario], "", "    "));
            self.section(text, &format!("SCENARIO: {}", part.scenario), &blocks);
        }
    }

    /// The blocks of a group's own samples.
    fn own_blocks(&self, scenarios: &[&str], path: &str, indent: &str) -> Vec<String> {
        let own =
            |part: &&Breakdown| part.group.as_deref() == Some(path) && scenarios.contains(&&*part.scenario);
        self.parts
            .iter()
            .filter(own)
            .flat_map(|part| self.blocks(&part.checks, &part.metrics, indent))
            .collect()
    }

    /// The groups directly inside a group (or, for the empty path, a scenario), each with those inside it.
    fn groups_within(&self, scenarios: &[&str], path: &str, indent: &str) -> Vec<String> {
        let mut inner: Vec<(&str, &str)> = Vec::new();
        for group in self.parts.iter().filter(|part| scenarios.contains(&&*part.scenario)) {
            let Some(group) = group.group.as_deref() else { continue };
            let mut on_the_way = steps(group).skip_while(|(_, step)| step.len() <= path.len());
            if group.starts_with(path) && (path.is_empty() || steps(group).any(|(_, step)| step == path)) {
                inner.extend(on_the_way.next().filter(|step| !inner.contains(step)));
            }
        }
        let mut blocks = Vec::new();
        for (name, path) in inner {
            let deeper = format!("{indent}  ");
            let mut of_group = self.own_blocks(scenarios, path, &deeper);
            of_group.extend(self.groups_within(scenarios, path, &deeper));
            if !of_group.is_empty() {
                blocks.push(format!("{indent}↳ {} ", self.paint(BOLD, &format!("GROUP: {name}"))));
                blocks.extend(of_group);
            }
        }
        blocks
    }

    fn thresholds(&self) -> Vec<String> {
        let has_some = |metric: &&Metric| !metric.thresholds.is_empty();
        let watched: Vec<_> = self.metrics.iter().filter(has_some).collect();
        let block = |metric: &&Metric| {
            let below_parent = metric.parent.as_ref().filter(|(parent, _)| {
                watched.iter().any(|other| other.parent.is_none() && other.name == *parent)
            });
            let (indent, name) = match below_parent {
                Some((_, suffix)) => ("      ", format!("{{{suffix}}}")),
                None => ("    ", metric.name.clone()),
            };
            let mut block = format!("{indent}{name}");
            for threshold in &metric.thresholds {
                let mark = match (threshold.ok, threshold.has_data) {
                    (true, false) => self.paint(FAINT, "○"),
                    (ok, _) => self.mark(ok),
                };
                let figure = if threshold.has_data {
                    let value = self.threshold_value(metric, threshold);
                    self.paint(CYAN, &format!("{}={value}", threshold.method))
                } else {
                    self.paint(FAINT, NO_DATA)
                };
                block.push_str(&format!("\n{indent}{mark} '{}' {figure}", threshold.spec.source));
            }
            block
        };
        watched.iter().map(block).collect()
    }

    fn threshold_value(&self, metric: &Metric, threshold: &ThresholdResult) -> String {
        match (&metric.values, &*threshold.method) {
            (Values::Rate { passes, total }, _) => percentage(*passes, *total),
            (Values::Counter { .. }, "rate") => self.value(metric, threshold.value) + "/s",
            _ => self.value(metric, threshold.value),
        }
    }

    /// The blocks of a section, or of a group within one.
    fn blocks(&self, checks: &[CheckLine], metrics: &[Metric], indent: &str) -> Vec<String> {
        let mut blocks = self.checks(checks, metrics, indent);
        let listed: Vec<_> = metrics.iter().filter(|metric| self.is_listed(metric, metrics)).collect();
        let rows: Vec<_> =
            listed.iter().map(|metric| (category(metric), self.row(metric, &listed))).collect();
        let layout = Layout::of(rows.iter().map(|(_, row)| row));
        for wanted in ["CUSTOM"].into_iter().chain(CATEGORIES.map(|(title, _)| title)) {
            let mut lines = rows.iter().filter(|(category, _)| *category == wanted).peekable();
            if lines.peek().is_none() {
                continue;
            }
            let lines: String =
                lines.map(|(_, row)| format!("\n{indent}{}", self.line(row, &layout))).collect();
            blocks.push(format!("{indent}{}{lines}", self.paint(BOLD, wanted)));
        }
        blocks
    }

    fn checks(&self, checks: &[CheckLine], metrics: &[Metric], indent: &str) -> Vec<String> {
        let Some((passes, total)) = all_checks(metrics) else { return Vec::new() };
        let per_second = if self.duration > 0.0 { total as f64 / self.duration } else { 0.0 };
        let rate = |passes| (percentage(passes, total), vec![format!("{passes} out of {total}")]);
        let figures = [
            ("checks_total", (total.to_string(), vec![plain(per_second) + "/s"])),
            ("checks_succeeded", rate(passes)),
            ("checks_failed", rate(total - passes)),
        ];
        let rows = figures
            .map(|(name, (first, more))| Row { name: name.to_owned(), cells: Cells::Figures(first, more) });
        let layout = Layout::of(rows.iter());
        let lines = rows.iter().map(|row| format!("{indent}{}", self.line(row, &layout)));
        let mut blocks = vec![lines.collect::<Vec<_>>().join("\n")];
        if !checks.is_empty() {
            let lines = checks.iter().map(|check| self.check(check, indent));
            blocks.push(lines.collect::<Vec<_>>().join("\n"));
        }
        blocks
    }

    fn check(&self, check: &CheckLine, indent: &str) -> String {
        let name = &check.name;
        let (passes, fails) = (check.passes, check.fails);
        if fails == 0 {
            return format!("{indent}{} {name}", self.mark(true));
        }
        let percent = u128::from(passes) * 100 / u128::from(passes + fails);
        let counts = format!("↳  {percent}% — ✓ {passes} / ✗ {fails}");
        format!("{indent}{} {name}\n{indent}  {}", self.mark(false), self.paint(RED, &counts))
    }

    fn is_listed(&self, metric: &Metric, among: &[Metric]) -> bool {
        let name = metric.base_name();
        let is_watched =
            || among.iter().any(|other| other.base_name() == name && !other.thresholds.is_empty());
        !NEVER_LISTED.contains(&name)
            && (self.options.full || !FULL_ONLY.contains(&name))
            && (!LISTED_IF_WATCHED.contains(&name) || is_watched())
    }

    fn row(&self, metric: &Metric, listed: &[&Metric]) -> Row {
        // A sub-metric stands below its parent, unless that has had no sample.
        let below = metric.parent.as_ref().filter(|(parent, _)| listed.iter().any(|m| m.name == *parent));
        let name = match below {
            Some((_, suffix)) => format!("  {{ {suffix} }}"),
            None => metric.name.clone(),
        };
        let show = |number| self.value(metric, number);
        let cells = match &metric.values {
            Values::Counter { count, rate } => Cells::Figures(show(*count), vec![show(*rate) + "/s"]),
            Values::Gauge { value, min, max } => Cells::Figures(
                show(*value),
                vec![format!("min={}", show(*min)), format!("max={}", show(*max))],
            ),
            Values::Rate { passes, total } => {
                Cells::Figures(percentage(*passes, *total), vec![format!("{passes} out of {total}")])
            }
            Values::Trend { shown, .. } => {
                let stat = |(stat, number): &(TrendStat, f64)| {
                    let text = match stat {
                        TrendStat::Count => plain(*number),
                        _ => show(*number),
                    };
                    (format!("{stat}="), text)
                };
                Cells::Stats(shown.iter().map(stat).collect())
            }
        };
        Row { name, cells }
    }

    fn line(&self, row: &Row, layout: &Layout) -> String {
        let dots = layout.name - width(&row.name) + 3;
        let mut line = format!("{}{} ", row.name, self.paint(FAINT, &format!("{}:", ".".repeat(dots))));
        match &row.cells {
            Cells::Figures(first, more) => {
                line.push_str(&self.padded(CYAN, first, layout.first));
                for (at, text) in more.iter().enumerate() {
                    // Nothing follows the last column: it is not filled up.
                    let column = if at + 1 < more.len() { layout.more[at] } else { 0 };
                    line.push(' ');
                    line.push_str(&self.padded(FAINT_CYAN, text, column));
                }
            }
            Cells::Stats(stats) => {
                for (at, (name, text)) in stats.iter().enumerate() {
                    let separator = if at == 0 { "" } else { " " };
                    line.push_str(separator);
                    line.push_str(name);
                    line.push_str(&self.padded(CYAN, text, layout.stats[at] - width(name)));
                }
            }
        }
        line
    }

    fn value(&self, metric: &Metric, number: f64) -> String {
        value(number, metric.contains, self.options.time_unit)
    }

    fn mark(&self, ok: bool) -> String {
        if ok { self.paint(GREEN, "✓") } else { self.paint(RED, "✗") }
    }

    fn padded(&self, style: Style, text: &str, column: usize) -> String {
        let fill = column.saturating_sub(width(text));
        self.paint(style, text) + &" ".repeat(fill)
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.options.colored { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

const BOLD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const CYAN: Style = AnsiColor::Cyan.on_default();
const FAINT_CYAN: Style = AnsiColor::Cyan.on_default().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default();

/// A line of a block: a name, dots, and its figures.
struct Row {
    name: String,
    cells: Cells,
}

enum Cells {
    /// The value itself, then the text next to it.
    Figures(String, Vec<String>),
    /// Name (with the equals sign) and value of each statistic.
    Stats(Vec<(String, String)>),
}

/// The widths of the columns of a section.
#[derive(Default)]
struct Layout {
    name: usize,
    first: usize,
    more: Vec<usize>,
    stats: Vec<usize>,
}

impl Layout {
    fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Self {
        let mut layout = Self::default();
        for row in rows {
            layout.name = layout.name.max(width(&row.name));
            match &row.cells {
                Cells::Figures(first, more) => {
                    layout.first = layout.first.max(width(first));
                    widen(&mut layout.more, more.iter().map(|text| width(text)));
                }
                Cells::Stats(stats) => {
                    widen(&mut layout.stats, stats.iter().map(|(name, text)| width(name) + width(text)));
                }
            }
        }
        layout
    }
}

fn widen(columns: &mut Vec<usize>, widths: impl Iterator<Item = usize>) {
    for (at, width) in widths.enumerate() {
        match columns.get_mut(at) {
            Some(column) => *column = width.max(*column),
            None => columns.push(width),
        }
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn category(metric: &Metric) -> &'static str {
    let category = CATEGORIES.iter().find(|(_, names)| names.contains(&metric.base_name()));
    category.map_or("CUSTOM", |(title, _)| title)
}

#[cfg(test)]
mod tests;
