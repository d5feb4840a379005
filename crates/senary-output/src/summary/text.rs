//! The text at the end of a run, compact or full.
//!
//! A section (`█ TOTAL RESULTS`) is made of blocks with an empty line between them: the figures of all checks,
//! one line per check, one block of metrics per category. Names and columns line up within a section; a group
//! inside another is set further in and lines up by itself.

use anstyle::{AnsiColor, Style};
use senary_metrics::engine::ThresholdResult;

use super::group::steps;
use super::{Line, Metric, Part, Summary, TrendStat, Values, all_checks};
use crate::number::{percentage, plain, value};

/// The scenario that options without scenarios stand for; it has no section of its own.
const DEFAULT_SCENARIO: &str = "default";

/// Categories of metrics in the order they are shown, after those of scripts and protocols (`CUSTOM`), with
/// the exact names of their metrics. A name that only begins like one of these is a script's own.
const CATEGORIES: [(&str, &[&str]); 5] = [
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
    ("EXECUTION", &["dropped_iterations", "iteration_duration", "iterations", "vus", "vus_max"]),
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

/// Shown in another form: as lines of checks, and as groups.
const NEVER_LISTED: [&str; 2] = ["checks", "group_duration"];

/// Said when the generator could not keep up with its own test.
pub const BOTTLENECK: &str = "the generator was the bottleneck: the figures above cannot be trusted";

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
        if !self.options.remarks.is_empty() {
            self.section(&mut text, "GENERATOR", &self.remarks());
        }
        text.push_str("\n\n");
        text
    }

    /// What speaks against the figures above it.
    fn remarks(&self) -> Vec<String> {
        let mut block = format!("    {}", self.paint(RED, BOTTLENECK));
        for remark in &self.options.remarks {
            let (text, advice) = (&remark.text, self.paint(FAINT, &remark.advice));
            block.push_str(&format!("\n    {} {text}\n      ↳ {advice}", self.mark(false)));
        }
        vec![block]
    }

    fn section(&self, text: &mut String, title: &str, blocks: &[String]) {
        text.push_str(&format!("  █ {} \n\n", self.paint(BOLD, title)));
        text.push_str(&blocks.join("\n\n"));
        text.push_str("\n\n\n");
    }

    /// Groups outside of named scenarios, then the named scenarios with theirs.
    fn full_sections(&self, text: &mut String) {
        let unnamed = |part: &&Part| part.scenario.is_empty() || part.scenario == DEFAULT_SCENARIO;
        let mut outer: Vec<&str> = Vec::new();
        for path in self.parts.iter().filter(unnamed).filter_map(|part| part.group.as_deref()) {
            outer.extend(steps(path).next().map(|(_, path)| path).filter(|path| !outer.contains(path)));
        }
        for path in outer {
            let name = path.strip_prefix("::").unwrap_or(path);
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
        let own = |part: &&Part| part.group.as_deref() == Some(path) && scenarios.contains(&&*part.scenario);
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
                let mark = self.mark(threshold.ok);
                let value = self.threshold_value(metric, threshold);
                let (source, method) = (&threshold.spec.source, &threshold.method);
                block.push_str(&format!(
                    "\n{indent}{mark} '{source}' {}",
                    self.paint(CYAN, &format!("{method}={value}"))
                ));
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
    fn blocks(&self, checks: &[Line], metrics: &[Metric], indent: &str) -> Vec<String> {
        let mut blocks = self.checks(checks, metrics, indent);
        let listed: Vec<_> = metrics.iter().filter(|metric| self.is_listed(metric)).collect();
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

    fn checks(&self, checks: &[Line], metrics: &[Metric], indent: &str) -> Vec<String> {
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

    fn check(&self, check: &Line, indent: &str) -> String {
        let name = &check.name;
        let (passes, fails) = (check.passes, check.fails);
        if fails == 0 {
            return format!("{indent}{} {name}", self.mark(true));
        }
        let percent = u128::from(passes) * 100 / u128::from(passes + fails);
        let counts = format!("↳  {percent}% — ✓ {passes} / ✗ {fails}");
        format!("{indent}{} {name}\n{indent}  {}", self.mark(false), self.paint(RED, &counts))
    }

    fn is_listed(&self, metric: &Metric) -> bool {
        let name = metric.parent.as_ref().map_or(&*metric.name, |(parent, _)| parent);
        !NEVER_LISTED.contains(&name) && (self.options.full || !FULL_ONLY.contains(&name))
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
    /// The value itself, then what is said beside it.
    Figures(String, Vec<String>),
    /// Name (with the equals sign) and value of each statistic.
    Stats(Vec<(String, String)>),
}

/// How wide the columns of a section are.
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
    let name = metric.parent.as_ref().map_or(&*metric.name, |(parent, _)| parent);
    CATEGORIES.iter().find(|(_, names)| names.contains(&name)).map_or("CUSTOM", |(title, _)| title)
}

#[cfg(test)]
mod tests {
    use senary_metrics::MetricType::{Counter, Gauge, Rate, Trend};
    use senary_metrics::ValueType::{Default as Plain, Time};

    use crate::TimeUnit;
    use crate::summary::testing::Run;
    use crate::summary::{Summary, SummaryOptions, TrendStat};

    const NO_TAGS: &[(&str, &str)] = &[];

    /// Trailing blanks are part of the text; `·` makes them visible in expectations.
    fn visible(text: &str) -> String {
        text.lines()
            .map(|line| line.strip_suffix(' ').map_or(line.to_owned(), |l| format!("{l}·")) + "\n")
            .collect()
    }

    fn text(run: Run, thresholds: &[(&str, &[&str])], options: SummaryOptions) -> String {
        visible(&Summary::new(run.results(thresholds), options).text())
    }

    #[test]
    fn compact() {
        let mut run = Run::new();
        run.metric("lag", Trend, Time);
        run.metric("hits", Counter, Plain);
        run.metric("flaky_share", Rate, Plain);
        run.metric("level", Gauge, Plain);
        run.add("checks", &[("check", "len is 5"), ("group", "")], &[1.0, 1.0, 1.0]);
        run.add("checks", &[("check", "flaky"), ("group", "::g")], &[1.0, 1.0, 0.0]);
        run.add("hits", &[("kind", "a")], &[60.0, 3.0]);
        run.add("hits", &[("kind", "b")], &[1.0]);
        run.add("lag", NO_TAGS, &[0.3925, 2.0, 1500.0]);
        run.add("lag", &[("kind", "a")], &[61_000.0]);
        run.add("flaky_share", NO_TAGS, &[1.0, 0.0, 0.0]);
        run.add("level", NO_TAGS, &[0.0, 12.5, 2.0]);
        run.add("group_duration", &[("group", "::g")], &[1.0]);
        run.add("iterations", NO_TAGS, &[1.0; 7]);
        run.add("vus", NO_TAGS, &[3.0, 1.0]);
        run.add("data_sent", NO_TAGS, &[4_900.0]);
        let thresholds: &[(&str, &[&str])] = &[
            ("lag{kind:a}", &["max<100"]),
            ("lag", &["p(99.9) < 10", "min>0"]),
            ("hits{kind:b}", &["count==1", "rate>1"]),
            ("flaky_share", &["rate<0.5"]),
        ];
        let expected = "
  █ THRESHOLDS·

    flaky_share
    ✓ 'rate<0.5' rate=33.33%

    hits{kind:b}
    ✓ 'count==1' count=1
    ✗ 'rate>1' rate=0.1/s

    lag
    ✗ 'p(99.9) < 10' p(99.9)=1m0s
    ✓ 'min>0' min=392.5µs

      {kind:a}
      ✗ 'max<100' max=1m1s


  █ TOTAL RESULTS·

    checks_total.......: 6      0.6/s
    checks_succeeded...: 83.33% 5 out of 6
    checks_failed......: 16.66% 1 out of 6

    ✓ len is 5
    ✗ flaky
      ↳  66% — ✓ 2 / ✗ 1

    CUSTOM
    flaky_share....: 33.33% 1 out of 3
    hits...........: 64     6.4/s
      { kind:b }...: 1      0.1/s
    lag............: avg=15.62s min=392.5µs med=751ms max=1m1s p(90)=43.15s p(95)=52.07s
      { kind:a }...: avg=1m1s   min=1m1s    med=1m1s  max=1m1s p(90)=1m1s   p(95)=1m1s ·
    level..........: 2      min=0      max=12.5

    EXECUTION
    iterations.....: 7      0.7/s
    vus............: 1      min=1      max=3

    NETWORK
    data_sent......: 4.9 kB 490 B/s




";
        assert_eq!(text(run, thresholds, SummaryOptions::default()), expected);
    }

    #[test]
    fn full_shows_groups_of_the_default_scenario() {
        let mut run = Run::new();
        run.metric("lag", Trend, Time);
        let default = |group: &'static str| [("group", group), ("scenario", "default")];
        run.add("checks", &[("check", "prepared"), ("group", "::setup")], &[1.0]);
        for (name, group) in [("at the root", ""), ("in first", "::first"), ("in nested", "::first::nested")]
        {
            run.add("checks", &[("check", name), ("group", group), ("scenario", "default")], &[1.0]);
        }
        run.add("lag", &default("::first"), &[3.0]);
        run.add("lag", &default("::deep::er"), &[4.0]);
        run.add("lag", &default("::first::nested"), &[0.25]);
        run.add("group_duration", &default("::empty"), &[1.0]);
        run.add("group_duration", &default("::first::nested"), &[1.0]);
        run.add("group_duration", &default("::first"), &[1.0]);
        let options = SummaryOptions {
            full: true,
            trend_stats: vec![TrendStat::Max, TrendStat::Count],
            ..SummaryOptions::default()
        };
        let expected = "
  █ TOTAL RESULTS·

    checks_total.......: 4       0.4/s
    checks_succeeded...: 100.00% 4 out of 4
    checks_failed......: 0.00%   0 out of 4

    ✓ prepared
    ✓ at the root
    ✓ in first
    ✓ in nested

    CUSTOM
    lag...: max=4ms count=3


  █ GROUP: setup·

    checks_total.......: 1       0.1/s
    checks_succeeded...: 100.00% 1 out of 1
    checks_failed......: 0.00%   0 out of 1

    ✓ prepared


  █ GROUP: first·

    checks_total.......: 1       0.1/s
    checks_succeeded...: 100.00% 1 out of 1
    checks_failed......: 0.00%   0 out of 1

    ✓ in first

    CUSTOM
    lag...: max=3ms count=1

    ↳ GROUP: nested·

      checks_total.......: 1       0.1/s
      checks_succeeded...: 100.00% 1 out of 1
      checks_failed......: 0.00%   0 out of 1

      ✓ in nested

      CUSTOM
      lag...: max=250µs count=1


  █ GROUP: deep·

    ↳ GROUP: er·

      CUSTOM
      lag...: max=4ms count=1




";
        assert_eq!(text(run, &[], options), expected);
    }

    #[test]
    fn full_shows_named_scenarios_sorted_with_their_groups_inside() {
        let mut run = Run::new();
        for (scenario, group, passed) in [("b", "", 1.0), ("a", "::g", 0.0), ("b", "::g", 1.0)] {
            run.add("checks", &[("check", "same"), ("group", group), ("scenario", scenario)], &[passed]);
        }
        run.add("iterations", &[("group", ""), ("scenario", "a")], &[1.0; 20]);
        run.add("http_req_blocked", &[("group", ""), ("scenario", "b")], &[1.0]);
        let options =
            SummaryOptions { full: true, trend_stats: vec![TrendStat::Max], ..SummaryOptions::default() };
        let expected = "
  █ TOTAL RESULTS·

    checks_total.......: 3      0.3/s
    checks_succeeded...: 66.66% 2 out of 3
    checks_failed......: 33.33% 1 out of 3

    ✓ same
    ✗ same
      ↳  50% — ✓ 1 / ✗ 1

    HTTP
    http_req_blocked...: max=1ms

    EXECUTION
    iterations.........: 20 2/s


  █ SCENARIO: a·

    checks_total.......: 1       0.1/s
    checks_succeeded...: 0.00%   0 out of 1
    checks_failed......: 100.00% 1 out of 1

    ✗ same
      ↳  0% — ✓ 0 / ✗ 1

    EXECUTION
    iterations...: 20 2/s

    ↳ GROUP: g·

      checks_total.......: 1       0.1/s
      checks_succeeded...: 0.00%   0 out of 1
      checks_failed......: 100.00% 1 out of 1

      ✗ same
        ↳  0% — ✓ 0 / ✗ 1


  █ SCENARIO: b·

    checks_total.......: 2       0.2/s
    checks_succeeded...: 100.00% 2 out of 2
    checks_failed......: 0.00%   0 out of 2

    ✓ same
    ✓ same

    HTTP
    http_req_blocked...: max=1ms

    ↳ GROUP: g·

      checks_total.......: 1       0.1/s
      checks_succeeded...: 100.00% 1 out of 1
      checks_failed......: 0.00%   0 out of 1

      ✓ same




";
        assert_eq!(text(run, &[], options), expected);
    }

    #[test]
    fn a_name_that_only_begins_like_a_built_in_one_is_a_scripts_own() {
        let mut run = Run::new();
        let names = [
            "checks_mine",
            "data_sent_x",
            "group_duration_x",
            "http_req_blocked_x",
            "iterations_x",
            "vus_x",
            "ws_x",
        ];
        for name in names {
            run.metric(name, Counter, Plain);
            run.add(name, NO_TAGS, &[1.0]);
        }
        run.add("http_req_blocked", NO_TAGS, &[1.0]);
        run.add("ws_sessions", NO_TAGS, &[2.0]);
        let expected = "
  █ TOTAL RESULTS·

    CUSTOM
    checks_mine..........: 1 0.1/s
    data_sent_x..........: 1 0.1/s
    group_duration_x.....: 1 0.1/s
    http_req_blocked_x...: 1 0.1/s
    iterations_x.........: 1 0.1/s
    vus_x................: 1 0.1/s
    ws_x.................: 1 0.1/s

    WEBSOCKET
    ws_sessions..........: 2 0.2/s




";
        assert_eq!(text(run, &[], SummaryOptions::default()), expected);
    }

    #[test]
    fn one_unit_for_all_durations() {
        let mut run = Run::new();
        run.metric("lag", Trend, Time);
        run.metric("lag_without_samples", Trend, Time);
        run.add("lag", NO_TAGS, &[1500.0, 12.5]);
        let options = SummaryOptions { time_unit: Some(TimeUnit::Seconds), ..SummaryOptions::default() };
        let thresholds: &[(&str, &[&str])] =
            &[("lag", &["avg<1"]), ("lag{never:seen}", &["max<1"]), ("lag_without_samples", &["med<1"])];
        let expected = "
  █ THRESHOLDS·

    lag
    ✗ 'avg<1' avg=0.76s

      {never:seen}
      ✓ 'max<1' max=0.00s

    lag_without_samples
    ✓ 'med<1' med=0.00s


  █ TOTAL RESULTS·

    CUSTOM
    lag...................: avg=0.76s min=0.01s med=0.76s max=1.50s p(90)=1.35s p(95)=1.43s
      { never:seen }......: avg=0.00s min=0.00s med=0.00s max=0.00s p(90)=0.00s p(95)=0.00s
    lag_without_samples...: avg=0.00s min=0.00s med=0.00s max=0.00s p(90)=0.00s p(95)=0.00s




";
        assert_eq!(text(run, thresholds, options), expected);
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let make = || {
            let mut run = Run::new();
            run.add("checks", &[("check", "c"), ("group", "::g"), ("scenario", "s")], &[1.0, 0.0]);
            run.add("iteration_duration", NO_TAGS, &[1.0]);
            run.add("vus", NO_TAGS, &[1.0]);
            run.results(&[("checks", &["rate>0.9"])])
        };
        let plain = Summary::new(make(), SummaryOptions { full: true, ..SummaryOptions::default() }).text();
        let options = SummaryOptions { full: true, colored: true, ..SummaryOptions::default() };
        let colored = Summary::new(make(), options).text();
        assert!(
            colored.contains("\u{1b}[31m✗\u{1b}[0m 'rate>0.9' \u{1b}[36mrate=50.00%\u{1b}[0m"),
            "{colored}"
        );
        let mut stripped = String::new();
        let mut rest = &*colored;
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            stripped.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        stripped.push_str(rest);
        assert_eq!(stripped, plain);
    }
}
