//! The instances that a test ran on: a section of the text, and `instances` in the summary's data.

use serde_json::{Value, json};

use crate::number;

/// Of a name, in characters.
const MAX_WIDTH: usize = 48;

/// What each instance has done, and what is missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Instances {
    pub rows: Vec<InstanceRow>,
    /// Why the instances are not the whole test, in words.
    pub objections: Vec<String>,
}

/// One instance.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceRow {
    pub name: String,
    /// `0:1/4`
    pub segment: String,
    pub iterations: u64,
    /// How often something went wrong.
    pub failures: u64,
    /// How long it ran.
    pub seconds: f64,
    /// How it ended, and whether it kept up.
    pub verdict: String,
    pub is_good: bool,
}

impl Instances {
    pub(super) fn json(&self) -> Value {
        let row = |row: &InstanceRow| {
            json!({
                "name": row.name,
                "segment": row.segment,
                "iterations": row.iterations,
                "failures": row.failures,
                "duration": number::json(row.seconds),
                "verdict": row.verdict,
            })
        };
        self.rows.iter().map(row).collect()
    }

    /// The rows as columns that line up.
    pub(super) fn lines(&self) -> Vec<(bool, String)> {
        let columns: [Vec<String>; 5] = [
            self.rows.iter().map(|row| shown(&row.name)).collect(),
            self.rows.iter().map(|row| shown(&row.segment)).collect(),
            self.rows.iter().map(|row| counted(row.iterations, "iteration")).collect(),
            self.rows.iter().map(|row| counted(row.failures, "failure")).collect(),
            self.rows.iter().map(|row| format!("{:.1}s", row.seconds)).collect(),
        ];
        let widths = columns.each_ref().map(|texts| texts.iter().map(|text| width(text)).max().unwrap_or(0));
        let line = |(at, row): (usize, &InstanceRow)| {
            let mut line = String::new();
            for (column, (texts, column_width)) in columns.iter().zip(widths).enumerate() {
                let fill = " ".repeat(column_width - width(&texts[at]));
                // Names to the left, numbers to the right.
                line.push_str(&if column < 2 {
                    format!("{}{fill}  ", texts[at])
                } else {
                    format!("{fill}{}  ", texts[at])
                });
            }
            (row.is_good, line + &without_controls(&row.verdict))
        };
        self.rows.iter().enumerate().map(line).collect()
    }
}

fn counted(count: u64, noun: &str) -> String {
    // The longer form always, so that the numbers stand below each other.
    format!("{count} {noun}{}", if count == 1 { " " } else { "s" })
}

/// A name, cut if it is long: one machine with a long name would push the figures of all to the right.
fn shown(name: &str) -> String {
    let name = without_controls(name);
    if width(&name) <= MAX_WIDTH {
        return name;
    }
    name.chars().take(MAX_WIDTH - 1).chain(['…']).collect()
}

/// What comes from elsewhere must not be able to command the terminal.
pub(super) fn without_controls(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

fn width(text: &str) -> usize {
    text.chars().count()
}
